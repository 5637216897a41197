package channel

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
)

// The configurations are printed without their secrets by fmt, whatever the verb,
// and by slog. Those that a process is given for itself, which no JSON is made of
// on purpose, have none in JSON either; the JSON of a WebhookConfig and a
// SlackConfig is what is stored, and holds all.

// mask replaces a secret that is there.
func mask(s string) string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// maskURL keeps of a URL what does not grant access.
func maskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return mask(s)
	}
	return u.Scheme + "://" + u.Host + "/" + mask(u.RequestURI())
}

// Format prints the configuration without its secrets, whatever the verb.
func (c WebhookConfig) Format(f fmt.State, verb rune) {
	type plain WebhookConfig // without this method
	p := plain(c)
	p.URL, p.SigningSecret = maskURL(p.URL), mask(p.SigningSecret)
	p.Headers = maps.Clone(p.Headers)
	for name, value := range p.Headers {
		p.Headers[name] = mask(value)
	}
	p.SigningSecrets = slices.Clone(p.SigningSecrets)
	for i, secret := range p.SigningSecrets {
		p.SigningSecrets[i] = mask(secret)
	}
	p.PayloadTemplate = nil // which may spell out a token
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// LogValue is the configuration without its secrets.
func (c WebhookConfig) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// Format prints the configuration without its secrets, whatever the verb.
func (c SlackConfig) Format(f fmt.State, verb rune) {
	type plain SlackConfig // without this method
	p := plain(c)
	p.WebhookURL, p.BotToken, p.BlocksTemplate = maskURL(p.WebhookURL), mask(p.BotToken), mask(p.BlocksTemplate)
	p.Blocks = nil
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// LogValue is the configuration without its secrets.
func (c SlackConfig) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// Format prints the configuration without its secrets, whatever the verb.
func (c TwilioConfig) Format(f fmt.State, verb rune) {
	type plain TwilioConfig // without this method
	p := plain(c)
	p.AuthToken, p.APISecret = mask(p.AuthToken), mask(p.APISecret)
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// MarshalText returns the configuration without its secrets, for people to read.
func (c TwilioConfig) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", c), nil }

// MarshalText returns the configuration without its secrets, for people to read.
func (c SMTPConfig) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", c), nil }
