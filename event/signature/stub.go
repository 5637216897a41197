package signature

import (
	"errors"
	"net/http"
	"time"
)

// The names of the three headers of a signed request.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// The reasons why a request is refused. Match them with [errors.Is].
var (
	ErrMissingHeader   = errors.New("signature: missing header")
	ErrMalformedHeader = errors.New("signature: malformed header")
	ErrTooOld          = errors.New("signature: timestamp too old")
	ErrTooNew          = errors.New("signature: timestamp too new")
	ErrNoMatch         = errors.New("signature: no matching signature")
)

// ErrKey is matched by every error about a key.
var ErrKey = errors.New("signature: invalid key")

// DefaultTolerance is how far a timestamp may be from the clock, either side.
const DefaultTolerance = 5 * time.Minute

// Key is a stub.
type Key struct{ m *struct{} }

// ParseKey is a stub.
func ParseKey(s string) (Key, error) { return Key{}, ErrKey }

// RawKey is a stub.
func RawKey(secret []byte) (Key, error) { return Key{}, ErrKey }

// Signer is a stub.
type Signer struct{}

// NewSigner is a stub.
func NewSigner(keys ...Key) (*Signer, error) { return &Signer{}, nil }

// Sign is a stub.
func (s *Signer) Sign(h http.Header, id string, at time.Time, body []byte) error { return nil }

// VerifyKey is a key and how long it counts.
type VerifyKey struct {
	Key      Key
	NotAfter time.Time
}

// Config is a stub.
type Config struct {
	Keys      []VerifyKey
	Tolerance time.Duration
}

// Verifier is a stub.
type Verifier struct{}

// NewVerifier is a stub.
func NewVerifier(cfg Config) (*Verifier, error) { return &Verifier{}, nil }

// Verified is a stub.
type Verified struct {
	ID        string
	Timestamp time.Time
}

// Pending is a request whose headers are in order and whose body is not yet checked.
type Pending struct{}

// Header is a stub.
func (v *Verifier) Header(h http.Header, now time.Time) (*Pending, error) { return nil, ErrNoMatch }

// Verify is a stub.
func (p *Pending) Verify(body []byte) (Verified, error) { return Verified{}, ErrNoMatch }

// Verify is a stub.
func (v *Verifier) Verify(h http.Header, now time.Time, body []byte) (Verified, error) {
	return Verified{}, ErrNoMatch
}
