package channelkit

import (
	"net/url"
)

// The configurations are printed without their secrets by fmt, whatever the verb,
// and by slog. Those that a process is given for itself, which no JSON is made of
// on purpose, have none in JSON either; the JSON of a WebhookConfig and a
// SlackConfig is what is stored, and holds all.

// Mask replaces a secret that is there.
func Mask(s string) string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// MaskURL keeps of a URL what does not grant access.
func MaskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return Mask(s)
	}
	return u.Scheme + "://" + u.Host + "/" + Mask(u.RequestURI())
}
