package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/template"
)

// WebhookConfig is the configuration of the "webhook" channel as the published
// contract spells it, for programs that write one. The fields from Method on
// are extensions of this library.
type WebhookConfig struct {
	// URL is where the event is posted to. Required; see HTTPClient.CheckURL.
	URL string `json:"url"`

	// Headers are sent with every request, and may override User-Agent and
	// Content-Type. Those that belong to the connection are refused, and so are
	// values that are empty or hold characters that cannot be seen.
	Headers map[string]string `json:"headers,omitempty"`

	// PayloadTemplate is a JSON object whose strings are templates; what it
	// renders to is the body. Empty means that the stored envelope is the body,
	// byte by byte.
	PayloadTemplate json.RawMessage `json:"payload_template,omitempty"`

	// Timeout of one attempt in seconds, from 0.001 to 300; fractions count.
	// Zero means 10.
	Timeout float64 `json:"timeout,omitempty"`

	// Method is POST or PUT. Empty means POST.
	Method string `json:"method,omitempty"`

	// SigningSecret is a Standard Webhooks key (whsec_ or whsk_) that every
	// request is signed with. Empty means that requests are not signed.
	SigningSecret string `json:"signing_secret,omitempty"`

	// SigningSecrets are further keys that are live at the same time, newest
	// first, for the time of a rotation.
	SigningSecrets []string `json:"signing_secrets,omitempty"`
}

// The limits of WebhookConfig.Timeout.
const (
	MinTimeout = time.Millisecond
	MaxTimeout = 5 * time.Minute
)

// WebhookOptions are the options of NewWebhookDriver.
type WebhookOptions struct {
	// Library has filters and functions that templates can use beyond Jinja2.
	// Defaults to none.
	Library *template.Library
}

// NewWebhookDriver returns the driver of the "webhook" channel, which posts
// events to an HTTP endpoint; its configuration is a [WebhookConfig]. A nil
// client means one of its own with the zero HTTPConfig.
func NewWebhookDriver(client *HTTPClient, options WebhookOptions) Driver {
	if client == nil {
		client = NewHTTPClient(HTTPConfig{})
	}
	return &webhookDriver{client: client, library: options.Library}
}

type webhookDriver struct {
	client  *HTTPClient
	library *template.Library
}

// Open checks everything and prepares what all attempts have in common.
func (d *webhookDriver) Open(config json.RawMessage) (Channel, error) {
	r := readConfig(config, d.library)
	timeout := readTimeout(r, "timeout")
	u := r.url("url", d.client)
	method := readMethod(r, "method")
	signer, secrets := readSigner(r)
	header := readHeaders(r, "headers", signer != nil)
	payload := r.objectTemplate("payload_template")
	if err := r.problems.Err(); err != nil {
		return nil, err
	}
	for _, values := range header {
		secrets = append(secrets, values...)
	}
	return &webhookChannel{
		target: d.client.NewTarget(TargetConfig{
			URL: u, Method: method, Header: header, Timeout: timeout, Repeatable: true,
			Redact: newRedactor(append(secrets, URLSecrets(u)...), r.literals("payload_template")...),
		}),
		signer: signer, payload: payload,
	}, nil
}

// webhookChannel is a WebhookConfig made ready.
type webhookChannel struct {
	target  *Target
	signer  *signature.Signer
	payload *tmpl
}

// Timeout is how long an attempt may take.
func (c *webhookChannel) Timeout() time.Duration { return c.target.Timeout() }

// Send posts the message once.
func (c *webhookChannel) Send(ctx context.Context, m *Message) (Result, error) {
	body := m.Payload
	if c.payload != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout())
		defer cancel()
		var err error
		if body, err = c.payload.run(ctx, m); err != nil {
			return Result{}, err
		}
	}
	if c.signer == nil {
		return c.target.Send(ctx, body, nil)
	}
	return c.target.Send(ctx, body, func(header http.Header) error {
		if err := c.signer.Sign(header, m.EventID, time.Now(), body); err != nil {
			return &Error{Action: Permanent, Class: ClassPayload, Err: errors.New("the event cannot be signed: its id does not fit")}
		}
		return nil
	})
}

// readTimeout reads a number of seconds; zero counts as absent.
func readTimeout(r *configReader, name string) time.Duration {
	seconds, ok := r.number(name)
	if !ok || seconds == 0 {
		return DefaultTimeout
	}
	if seconds < MinTimeout.Seconds() || seconds > MaxTimeout.Seconds() {
		r.problems.Add(name, "must be between %g and %g seconds", MinTimeout.Seconds(), MaxTimeout.Seconds())
		return DefaultTimeout
	}
	return time.Duration(seconds * float64(time.Second))
}

// readMethod reads the HTTP method.
func readMethod(r *configReader, name string) string {
	switch strings.ToUpper(r.text(name)) {
	case "", http.MethodPost:
		return http.MethodPost
	case http.MethodPut:
		return http.MethodPut
	}
	r.problems.Add(name, "must be POST or PUT")
	return http.MethodPost
}

// readSigner reads the signing keys, and returns nil when there are none. It
// returns the keys' text too, to be kept out of results.
func readSigner(r *configReader) (*signature.Signer, []string) {
	type entry struct{ field, secret string }
	var entries []entry
	if _, ok := r.get("signing_secret"); ok {
		if s, ok := r.required("signing_secret"); ok {
			entries = append(entries, entry{"signing_secret", s})
		}
	}
	if r.isEmptyList("signing_secrets") {
		r.problems.Add("signing_secrets", "must hold at least one key, or be absent")
	}
	r.texts("signing_secrets", func(field, s string) { entries = append(entries, entry{field, s}) })
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([]signature.Key, 0, len(entries))
	secrets := make([]string, 0, len(entries))
	for _, e := range entries {
		key, err := signature.ParseKey(e.secret)
		if err == nil {
			_, err = signature.NewSigner(key) // a key that only verifies is refused here
		}
		if err != nil {
			r.problems.Add(e.field, "must be a Standard Webhooks key that signs: whsec_ and 24 to 64 bytes, or whsk_ and 64 bytes, in base64")
			continue
		}
		keys, secrets = append(keys, key), append(secrets, e.secret)
	}
	signer, err := signature.NewSigner(keys...)
	if err != nil && len(keys) == len(entries) {
		r.problems.Add("signing_secrets", "must be keys that can be used together")
	}
	return signer, secrets
}

// Fields are those of [WebhookConfig]. The URL is no secret, because customers
// tell their webhooks apart by it; what grants access belongs in a header.
func (*webhookDriver) Fields() []Field {
	return []Field{
		{Name: "url", Target: true}, {Name: "headers", Secret: true}, {Name: "payload_template"}, {Name: "timeout"}, {Name: "method"},
		{Name: "signing_secret", Secret: true}, {Name: "signing_secrets", Secret: true},
	}
}

// Host is the host of the URL.
func (c *webhookChannel) Host() string { return c.target.Host() }

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
