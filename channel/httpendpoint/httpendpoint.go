package httpendpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/template"
)

// Name is the channel's name in subscriptions.
const Name = "webhook"

// Config is the configuration of the "webhook" channel. Its JSON is that of the published contract;
// the fields from Method on are extensions of this library. Printing it shows no secrets, but its
// JSON contains them.
type Config struct {
	// URL is where the event is posted to. Required; see channelkit.HTTPClient.CheckURL.
	URL string `json:"url" channel:"target"`

	// Headers are sent with every request, and may override User-Agent, Content-Type, HeaderEventID,
	// HeaderDeliveryID and HeaderAttempt. With a traceparent or tracestate among them, or baggage,
	// they replace those of the trace that the attempt is a part of. Headers of the connection, such
	// as Host and Content-Length, are refused, and so are values that are empty or contain invisible
	// characters.
	Headers map[string]string `json:"headers,omitempty" channel:"secret"`

	// PayloadTemplate is a JSON object whose strings are templates. The body is the JSON that it
	// renders to. If it is empty, the body is the stored envelope, byte by byte.
	PayloadTemplate json.RawMessage `json:"payload_template,omitempty"`

	// Timeout is how long one attempt may take, in seconds and fractions: from 0.001 to 300
	// (MinTimeout, MaxTimeout). Zero means 10. A Dispatcher cuts it to its Config.MaxAttemptTimeout.
	Timeout float64 `json:"timeout,omitempty"`

	// Method is POST or PUT. Empty means POST.
	Method string `json:"method,omitempty"`

	// SigningSecret is a Standard Webhooks secret (whsec_ or whsk_) with which every request is
	// signed. If it is empty, requests are not signed.
	SigningSecret channel.Secret `json:"signing_secret,omitempty"`

	// SigningSecrets are older secrets, the newest first, that also sign every request during a
	// rotation. With SigningSecret there may be 16 in all.
	SigningSecrets []channel.Secret `json:"signing_secrets,omitempty"`
}

// ChannelName returns Name.
func (Config) ChannelName() string { return Name }

// The limits of Config.Timeout.
const (
	MinTimeout = time.Millisecond
	MaxTimeout = 5 * time.Minute
)

// Options are the options of NewDriver.
type Options struct {
	// Library has filters and functions that templates can use beyond Jinja2.
	// Defaults to none.
	Library *template.Library

	// Trace says which headers of a trace requests have. Defaults to TraceParent.
	Trace TraceHeaders
}

// TraceHeaders says which headers requests have of the trace that [tracecontext.From] finds in the
// context of an attempt. There are none if it finds none.
type TraceHeaders int

const (
	// TraceParent sends traceparent and tracestate: random ids, and what tracers add to them.
	TraceParent TraceHeaders = iota
	// TraceNone sends none.
	TraceNone
	// TraceBaggage sends baggage as well. It has what your services attach to their requests, such
	// as the id of a user, and subscribers are strangers: so it is sent only if you say so.
	TraceBaggage
)

// NewDriver returns the driver of the "webhook" channel. Its configuration is a [Config]. A nil
// client means a client with the zero channelkit.HTTPConfig.
func NewDriver(client *channelkit.HTTPClient, options Options) channel.Driver {
	if client == nil {
		client, _ = channelkit.NewHTTPClient(channelkit.HTTPConfig{}) // the zero value is valid
	}
	return &driver{client: client, library: options.Library, trace: options.Trace}
}

type driver struct {
	client  *channelkit.HTTPClient
	library *template.Library
	trace   TraceHeaders
}

// Open checks everything and prepares what all attempts have in common.
func (d *driver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, d.library)
	timeout := readTimeout(r, "timeout")
	u := r.URL("url", d.client)
	method := readMethod(r, "method")
	signer, secrets := readSigner(r)
	header := readHeaders(r, "headers", signer != nil)
	payload := r.ObjectTemplate("payload_template")
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	for _, values := range header {
		secrets = append(secrets, values...)
	}
	return &endpoint{
		target: d.client.NewTarget(channelkit.TargetConfig{
			URL: u, Method: method, Header: header, Timeout: timeout, Repeatable: true,
			Redact: channelkit.NewRedactor(append(secrets, channelkit.URLSecrets(u)...),
				r.Literals("payload_template")...),
		}),
		signer: signer, payload: payload, trace: traceNames(d.trace, header),
	}, nil
}

// endpoint is a Config made ready.
type endpoint struct {
	target  *channelkit.Target
	signer  *signature.Signer
	payload *channelkit.Template
	trace   []string // the headers of a trace that requests have
}

// Capabilities are those of the endpoint.
func (c *endpoint) Capabilities() channel.Capabilities { return c.target.Capabilities() }

// Send posts the message once.
func (c *endpoint) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	body := m.Payload
	if c.payload != nil {
		var cancel context.CancelFunc
		ctx, cancel = c.target.WithTimeout(ctx)
		defer cancel()
		var err error
		if body, err = c.payload.Render(ctx, m); err != nil {
			return channel.Result{}, err
		}
	}
	prepare := c.sign(m, body)
	if trace := tracecontext.From(ctx); len(c.trace) > 0 && !trace.IsZero() {
		prepare = withTrace(c.trace, trace, prepare)
	}
	return c.target.Send(ctx, body, func(header http.Header) error {
		identify(header, m)
		if prepare == nil {
			return nil
		}
		return prepare(header)
	})
}

// sign returns what signs the request of a message, or nil if requests are not signed.
func (c *endpoint) sign(m *channel.Message, body []byte) func(http.Header) error {
	if c.signer == nil {
		return nil
	}
	return func(header http.Header) error {
		if err := c.signer.Sign(header, m.EventID, time.Now(), body); err != nil {
			return &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload,
				Err: errors.New("the event cannot be signed: its id does not fit")}
		}
		return nil
	}
}

// readTimeout reads a number of seconds; zero counts as absent.
func readTimeout(r *channelkit.ConfigReader, name string) time.Duration {
	seconds, ok := r.Number(name)
	if !ok || seconds == 0 {
		return channelkit.DefaultTimeout
	}
	if seconds < MinTimeout.Seconds() || seconds > MaxTimeout.Seconds() {
		r.Problems.Add(name, "must be between %g and %g seconds", MinTimeout.Seconds(),
			MaxTimeout.Seconds())
		return channelkit.DefaultTimeout
	}
	return time.Duration(seconds * float64(time.Second))
}

// readMethod reads the HTTP method.
func readMethod(r *channelkit.ConfigReader, name string) string {
	switch strings.ToUpper(r.Text(name)) {
	case "", http.MethodPost:
		return http.MethodPost
	case http.MethodPut:
		return http.MethodPut
	}
	r.Problems.Add(name, "must be POST or PUT")
	return http.MethodPost
}

// readSigner reads the signing keys, and returns nil when there are none. It
// returns the keys' text too, to be kept out of results.
func readSigner(r *channelkit.ConfigReader) (*signature.Signer, []string) {
	type entry struct{ field, secret string }
	var entries []entry
	if _, ok := r.Get("signing_secret"); ok {
		if s, ok := r.Required("signing_secret"); ok {
			entries = append(entries, entry{"signing_secret", s})
		}
	}
	if r.IsEmptyList("signing_secrets") {
		r.Problems.Add("signing_secrets", "must hold at least one key, or be absent")
	}
	r.Texts("signing_secrets", func(field, s string) { entries = append(entries, entry{field, s}) })
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
			r.Problems.Add(e.field,
				"must be a Standard Webhooks key that signs: whsec_ and 24 to 64 bytes, or whsk_ and 64 bytes, in base64")
			continue
		}
		keys, secrets = append(keys, key), append(secrets, e.secret)
	}
	signer, err := signature.NewSigner(keys...)
	if err != nil && len(keys) == len(entries) {
		r.Problems.Add("signing_secrets", "must be keys that can be used together")
	}
	return signer, secrets
}

// Schema has the fields of [Config]. The URL is no secret, because customers tell
// their webhooks apart by it; what grants access belongs in a header.
func (*driver) Schema() channel.Schema { return channel.Schema{Fields: channelkit.FieldsOf(Config{})} }

// Format prints the configuration without its secrets, whatever the verb.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config // without this method
	p := plain(c)
	p.URL = originOf(p.URL)
	p.Headers = maps.Clone(p.Headers)
	for name := range p.Headers {
		p.Headers[name] = "[redacted]"
	}
	p.PayloadTemplate = nil // which may spell out a token
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// originOf keeps of a URL what does not grant access.
func originOf(s string) string {
	u, err := url.Parse(s)
	if s == "" || err != nil || u.Host == "" {
		return fmt.Sprint(channel.Secret(s))
	}
	return u.Scheme + "://" + u.Host + "/" + fmt.Sprint(channel.Secret(u.RequestURI()))
}

// LogValue returns the configuration without its secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }
