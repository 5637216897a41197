package receiver

import (
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// What a zero field of [Config] means.
const (
	// DefaultMaxBody is 1 MiB.
	DefaultMaxBody = 1 << 20
	// DefaultReadTimeout is how long a body may take to arrive.
	DefaultReadTimeout = 10 * time.Second
	// DefaultClaimTimeout is how long Dedupe may take to answer a claim: a sender
	// that waits for longer may well have given up.
	DefaultClaimTimeout = 2 * time.Second
	// DefaultLease is how long a handler that died blocks its event.
	DefaultLease = time.Minute
	// DefaultKeep is how long a handled event is remembered: no shorter than
	// senders retry.
	DefaultKeep = 7 * 24 * time.Hour
)

// minLease leaves room to renew a lease before it ends.
const minLease = time.Second

// Config says what a Receiver accepts and what it does about it. Secrets or
// Signature is required; everything else works at its zero value.
type Config struct {
	// Secrets are the static secrets that are accepted, any of them. None
	// means that Signature is required.
	Secrets []Secret
	// SecretHeader names the header with the static secret.
	// Defaults to [DefaultSecretHeader].
	SecretHeader string
	// Signature verifies Standard Webhooks signatures. Nil means that Secrets
	// are required. With both, a request needs both.
	Signature *signature.Verifier
	// AnyOf accepts a request that carries only one of secret and signature,
	// while senders change over. What it does carry must still be right.
	// Defaults to false: what is configured is required.
	AnyOf bool

	// AllowHTTP accepts requests that did not come over HTTPS: for
	// development. Defaults to false.
	AllowHTTP bool
	// TrustedProxies are the address ranges of proxies that end TLS in front
	// of this process and whose X-Forwarded-Proto and Forwarded (RFC 7239) are
	// believed. Every hop that either of them names must have come over https,
	// and where both name one they must agree. A proxy on a unix socket counts
	// as 127.0.0.1 and as ::1: trust one of these. Defaults to none: only a TLS
	// connection to this process counts as HTTPS.
	TrustedProxies []netip.Prefix

	// ContentTypes are the media types that are accepted, without parameters.
	// The parameters of JSON types are ignored; another type must not name a
	// charset other than UTF-8 or US-ASCII.
	// Defaults to application/json and every type that ends in +json.
	ContentTypes []string
	// MaxBody is the largest body in bytes, as it travels.
	// Defaults to [DefaultMaxBody].
	MaxBody int64
	// MaxDecoded accepts bodies with Content-Encoding gzip of at most so many
	// bytes when decompressed. A signature covers the bytes as they travel.
	// Defaults to 0: no content encoding is accepted.
	MaxDecoded int64
	// ReadTimeout is how long a body may take to arrive. The server's own
	// ReadTimeout counts too, if that is shorter, and is the only one behind
	// middleware that hides the server's ResponseWriter: see
	// [Receiver.Handler]. Defaults to [DefaultReadTimeout].
	ReadTimeout time.Duration

	// Decode makes an event of an authentic body, for senders whose payload is
	// not the envelope. Its error is logged: keep secrets out of it. An event
	// without an ID is deduplicated on the signed webhook-id or else on the
	// hash of the body. Defaults to [event.Decode], and an event without a type
	// is refused: no handler could take it, and it would be lost once it was acknowledged.
	Decode func(h http.Header, body []byte) (*event.Event, error)
	// AllowIDMismatch accepts a signed request whose webhook-id is not the
	// event's id. The event's id is what counts then. Defaults to false.
	AllowIDMismatch bool

	// Dedupe remembers which events were handled. Defaults to a [Memory] of
	// its own with the default bounds, which does for one process and forgets
	// when that ends. It holds a million keys in 100 MB: from 1.4 events a second
	// on give it more room, or take a store that is shared.
	Dedupe Deduper
	// Consumer sets the receivers apart that share one Deduper and handle the
	// same events for different purposes. It becomes a part of the key, and
	// has no "/". Defaults to none.
	Consumer string
	// Lease is how long an event stays claimed after its handler has died.
	// It is renewed while the handler runs. At least one second.
	// Defaults to [DefaultLease].
	Lease time.Duration
	// Keep is how long a handled event is remembered. Make it no shorter than
	// the sender's retry horizon. Defaults to [DefaultKeep].
	Keep time.Duration
	// ClaimTimeout is how long Dedupe may take to answer a claim. After that, and
	// up to a second more in which the claim is given back in case it was made,
	// the sender gets 503. A claim that is made even later belongs to no request: its
	// token settles nothing, and the event can come again once its lease has
	// ended. Defaults to [DefaultClaimTimeout].
	ClaimTimeout time.Duration
	// FailOpen handles events also while Dedupe is failing, possibly twice, and
	// after ClaimTimeout while it does not answer.
	// Defaults to false: the sender gets 503 and tries again.
	FailOpen bool

	// Invalidator drops from caches what the event says is stale, after the
	// handler has succeeded (or failed for good) and before the event counts
	// as done. Its error is as a handler's. Duplicates of a handled event are
	// not acknowledged before it has succeeded for them too, since a handler
	// that records its event itself may have died before. Defaults to none.
	Invalidator Invalidator

	// Logger gets rejections and duplicates at Info and Debug, failed handlers
	// at Warn, and what needs a person at Error. Nothing secret is logged.
	// Defaults to [slog.Default].
	Logger *slog.Logger
	// Hooks are called for metrics and alerts. Defaults to none.
	Hooks Hooks
}

// Hooks are called synchronously, from many goroutines at a time. Nil ones are
// not called.
type Hooks struct {
	// OnReject sees every request that did not pass the checks. The body of r
	// may have been read.
	OnReject func(r *http.Request, why *Rejection)
	// OnResult sees the outcome of every request that passed them, just before
	// it is answered.
	OnResult func(r Result)
}

// withDefaults returns the configuration with every zero field filled in.
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

// check adds what is wrong with a configuration with defaults, except for the
// values of secrets, to problems.
func (c *Config) check(problems *event.Problems) {
	if len(c.Secrets) == 0 && c.Signature == nil {
		problems.Add("", "Secrets or Signature is required: a receiver that accepts everything is not offered")
	}
	if c.AnyOf && (len(c.Secrets) == 0 || c.Signature == nil) {
		problems.Add("AnyOf", "needs both Secrets and Signature")
	}
	if !isToken(c.SecretHeader) {
		problems.Add("SecretHeader", "must be a header name")
	}
	for i, p := range c.TrustedProxies {
		if !p.IsValid() {
			problems.Add(fmt.Sprintf("TrustedProxies[%d]", i), "must be an address range")
		}
	}
	for i, t := range c.ContentTypes {
		if media, params, err := mime.ParseMediaType(t); err != nil || media != t || len(params) > 0 {
			problems.Add(fmt.Sprintf("ContentTypes[%d]", i), "must be a media type in lower case, without parameters")
		}
	}
	if len(c.Consumer) > maxPlainID || !isPrintable(c.Consumer) || strings.Contains(c.Consumer, "/") {
		problems.Add("Consumer", "must be printable ASCII without spaces and /, at most %d bytes", maxPlainID)
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
	if c.Lease < minLease {
		problems.Add("Lease", "must be at least %v", minLease)
	}
	if c.Keep < c.Lease {
		problems.Add("Keep", "must not be shorter than Lease")
	}
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
