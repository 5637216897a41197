package receiver

import (
	"context"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// The defaults of the fields of [Config].
const (
	// DefaultMaxBody is 1 MiB.
	DefaultMaxBody = 1 << 20
	// DefaultReadTimeout bounds how long a body may take to arrive.
	DefaultReadTimeout = 10 * time.Second
	// DefaultClaimTimeout bounds how long Dedupe may take to answer a claim. Senders
	// often give up after a few seconds.
	DefaultClaimTimeout = 2 * time.Second
	// DefaultInvalidateTimeout bounds how long Invalidator may take: as long as senders usually wait.
	DefaultInvalidateTimeout = 30 * time.Second
	// DefaultLease is how long an event stays claimed after its handler has died.
	DefaultLease = time.Minute
	// DefaultKeep is how long a handled event is remembered: longer than senders retry.
	DefaultKeep = 7 * 24 * time.Hour
)

// minLease leaves time to extend a lease before it ends.
const minLease = time.Second

// Config configures a Receiver. Secrets or Signature is required. In all other fields
// zero means the default, and a negative number is an error.
type Config struct {
	// Secrets are the static secrets, any of which is accepted. If there are none, Signature is
	// required. An event with an id that was handled before is a duplicate, whichever sender it is
	// from: senders that do not trust each other, or that number their events independently, need a
	// Receiver each, with a Consumer of its own if they share Dedupe. The same holds for the keys
	// of Signature.
	Secrets []Secret
	// SecretHeader is the name of the header with the static secret: letters, digits, '-' and '_',
	// and no header that the checks read, such as Content-Type. Defaults to [DefaultSecretHeader].
	SecretHeader string
	// Signature verifies Standard Webhooks signatures. If it is nil, Secrets are
	// required. With both, a request needs both.
	Signature *signature.Verifier
	// AnyOf accepts a request that has only one of secret and signature, while
	// senders change from one to the other. A request that has both needs both to be
	// right. Defaults to false: a request needs all that is configured.
	AnyOf bool

	// AllowHTTP accepts requests that did not come over HTTPS, for development.
	// Defaults to false.
	AllowHTTP bool
	// TrustedProxies are the address ranges of proxies that terminate TLS in front of this process.
	// The Receiver believes their X-Forwarded-Proto and Forwarded (RFC 7239): every hop in either
	// must be https, and if both headers name a protocol, both must say https. That holds even if
	// the proxy itself connects over TLS. A proxy on a unix socket counts as 127.0.0.1 and as ::1.
	// Defaults to none: only a TLS connection to this process counts as HTTPS.
	TrustedProxies []netip.Prefix

	// ContentTypes are the accepted media types, in lower case, without parameters.
	// Parameters of JSON types are ignored. Other types must not name a charset other
	// than UTF-8 or US-ASCII. Defaults to application/json and all types that end in
	// +json.
	ContentTypes []string
	// MaxBody bounds a body in bytes, before it is decompressed.
	// Defaults to [DefaultMaxBody].
	MaxBody int64
	// MaxDecoded bounds a body with Content-Encoding gzip in bytes, after it is
	// decompressed. A signature covers the compressed bytes.
	// Defaults to 0: no content encoding is accepted.
	MaxDecoded int64
	// ReadTimeout bounds how long a body may take to arrive. The server's own
	// ReadTimeout applies too if it is shorter, and applies alone behind middleware
	// that hides the server's ResponseWriter (see [Receiver.Handler]).
	// Defaults to [DefaultReadTimeout].
	ReadTimeout time.Duration

	// Decode decodes an authentic body, for senders whose payload is not the envelope.
	// Its error is logged, so it must hold no secret. An event without an ID is known by
	// the signed webhook-id, or else by the hash of its body. Defaults to [event.Decode]
	// and a check that the event has a type: without one no handler would be called, and
	// the event would be acknowledged and lost.
	Decode func(h http.Header, body []byte) (*event.Event, error)
	// AllowIDMismatch accepts a signed request whose webhook-id is not the event's id.
	// The event is known by its own id then. Defaults to false.
	AllowIDMismatch bool

	// Dedupe remembers which events were handled. Defaults to a [Memory] with the
	// default bounds, for one process, which forgets everything when that ends. It holds
	// a million keys in 100 MB. At more than 1.4 events a second, raise its bound or use
	// a store that processes share.
	Dedupe Deduper
	// Consumer distinguishes receivers that share a Deduper and handle the same events for
	// different purposes, or those of independent senders. It is a part of the key of each claim:
	// at most 200 bytes of printable ASCII, without spaces and "/". Defaults to none.
	Consumer string
	// Lease is how long an event stays claimed after its handler has died. It is
	// extended while the handler runs. At least one second. Defaults to [DefaultLease].
	Lease time.Duration
	// Keep is how long a handled event is remembered. It should be at least as long as senders retry,
	// and must be at least Lease. Defaults to [DefaultKeep].
	Keep time.Duration
	// ClaimTimeout bounds how long Dedupe may take to answer a claim. After that the
	// Receiver releases the claim, in case it was made, for up to a second, and the
	// sender gets 503. If the store makes the claim later still, the event can be
	// claimed again when the lease has ended. Defaults to [DefaultClaimTimeout].
	ClaimTimeout time.Duration
	// FailOpen makes the Receiver handle events even while Dedupe fails or does not answer within
	// ClaimTimeout. An event may then be handled twice. Defaults to false: the sender gets 503 and
	// sends the event again.
	FailOpen bool

	// Invalidator drops from caches what an event makes stale, after the handler has
	// succeeded or returned a [Permanent] error, and before the event is done. Its error
	// has the effect of a handler's. It runs for a duplicate too, before that is
	// acknowledged: a handler that settles the claim itself may have died before the
	// Invalidator ran. Defaults to none.
	Invalidator Invalidator
	// InvalidateTimeout bounds how long Invalidator may take for an event, whose lease is extended
	// meanwhile. Then its context ends, and the event is released if that makes it fail. Raise it if
	// an event may make more stale than the cache drops in that time, or no attempt will succeed: a
	// CDN may need a call for every 30 keys. Defaults to [DefaultInvalidateTimeout].
	InvalidateTimeout time.Duration

	// Logger gets refused requests at Info, events that were handled at Debug, failed
	// handlers at Warn, and problems that need a person at Error. It gets no secrets.
	// Defaults to [slog.Default].
	Logger *slog.Logger
	// Hooks are called for metrics and alerts. Defaults to none.
	Hooks Hooks
}

// Hooks are called synchronously, from many goroutines at a time. A nil hook is not called. A panic
// in ProcessStart or ProcessEnd is logged, and has no other effect. A panic in OnReject or OnResult
// is not recovered: it reaches the server, and the sender gets no answer from the Receiver.
type Hooks struct {
	// ProcessStart and ProcessEnd enclose what is done for each request that passed the checks:
	// claiming the event, the handler, and settling. ProcessStart returns the context to go on
	// with, which is derived from the one that it takes, such as one that holds a span. The
	// handler, the Deduper and the Invalidator get contexts derived from that; ProcessEnd gets it
	// too, and is called exactly once for each ProcessStart. Nil leaves the context as it was.
	//
	// In the context that ProcessStart takes, [tracecontext.From] finds the trace of the sender's
	// request.
	ProcessStart func(context.Context, *Delivery) context.Context
	// ProcessEnd gets what OnResult gets, before it. If the handler has ended its goroutine, as a
	// panic with http.ErrAbortHandler does, OnResult is not called; the Result then says Panicked
	// and has no Status, because the sender gets no answer.
	ProcessEnd func(context.Context, Result)
	// OnReject is called for every request that did not pass the checks. The body of r
	// may have been read.
	OnReject func(r *http.Request, why *Rejection)
	// OnResult is called for every request that passed them, before it is answered.
	OnResult func(r Result)
}

// withDefaults returns the configuration with the default in every zero field.
func (c Config) withDefaults() Config {
	if c.SecretHeader == "" {
		c.SecretHeader = DefaultSecretHeader
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = DefaultReadTimeout
	}
	if c.Decode == nil {
		c.Decode = decodeTyped
	}
	if c.ClaimTimeout == 0 {
		c.ClaimTimeout = DefaultClaimTimeout
	}
	if c.InvalidateTimeout == 0 {
		c.InvalidateTimeout = DefaultInvalidateTimeout
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Dedupe == nil {
		c.Dedupe = newMemory(MemoryConfig{Logger: c.Logger})
	}
	return c
}

// check adds what is wrong with a configuration that has its defaults, except for the
// values of secrets, to problems.
func (c *Config) check(problems *event.Problems) {
	if len(c.Secrets) == 0 && c.Signature == nil {
		problems.Add("",
			"Secrets or Signature is required: without them the receiver would accept any sender")
	}
	if c.AnyOf && (len(c.Secrets) == 0 || c.Signature == nil) {
		problems.Add("AnyOf", "needs both Secrets and Signature")
	}
	switch header := http.CanonicalHeaderKey(c.SecretHeader); {
	case !isToken(header):
		problems.Add("SecretHeader", "must be a header name")
	case slices.Contains(reservedHeaders, header):
		problems.Add("SecretHeader", "must not be %s, which has another meaning", header)
	}
	for i, p := range c.TrustedProxies {
		if !p.IsValid() {
			problems.Add(fmt.Sprintf("TrustedProxies[%d]", i), "must be an address range")
		}
	}
	for i, t := range c.ContentTypes {
		if media, params, err := mime.ParseMediaType(t); err != nil || media != t ||
			len(params) > 0 {
			problems.Add(fmt.Sprintf("ContentTypes[%d]", i),
				"must be a media type in lower case, without parameters")
		}
	}
	if len(c.Consumer) > maxPlainID || !isPrintable(c.Consumer) ||
		strings.Contains(c.Consumer, "/") {
		problems.Add("Consumer",
			"must be printable ASCII without spaces and /, at most %d bytes", maxPlainID)
	}
	if c.MaxBody < 0 {
		problems.Add("MaxBody", "must not be negative")
	}
	if c.MaxDecoded < 0 {
		problems.Add("MaxDecoded", "must not be negative")
	}
	if c.ReadTimeout < 0 {
		problems.Add("ReadTimeout", "must not be negative")
	}
	if c.ClaimTimeout < 0 {
		problems.Add("ClaimTimeout", "must not be negative")
	}
	if c.InvalidateTimeout < 0 {
		problems.Add("InvalidateTimeout", "must not be negative")
	}
	if c.Lease < minLease {
		problems.Add("Lease", "must be at least %v", minLease)
	}
	if c.Keep < c.Lease {
		problems.Add("Keep", "must not be shorter than Lease")
	}
}

// reservedHeaders cannot have the secret: the checks read them, or net/http removes them from
// the header of a request.
var reservedHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Forwarded", "Host",
	"Trailer", "Transfer-Encoding", "X-Forwarded-Proto",
	signature.HeaderID, signature.HeaderTimestamp, signature.HeaderSignature,
}

// isToken reports whether s holds only letters, digits, - and _, as header names do.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' || c == '_':
		default:
			return false
		}
	}
	return s != ""
}
