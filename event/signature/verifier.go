package signature

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// DefaultTolerance is the default of [Config.Tolerance].
const DefaultTolerance = 5 * time.Minute

// The reasons why a request is not verified. Match them with [errors.Is]. Except after ErrTooNew,
// the same request will fail again. Respond to all of them with the same 401: telling which check
// failed would help an attacker.
//
// The errors contain names of headers and rules, but never a header's value or the right
// signature.
var (
	// ErrMissingHeader means that one of the three headers is absent or empty.
	ErrMissingHeader = errors.New("signature: missing header")
	// ErrMalformedHeader means that one of the three headers cannot be parsed.
	ErrMalformedHeader = errors.New("signature: malformed header")
	// ErrTooOld means that the timestamp is further in the past than the tolerance.
	ErrTooOld = errors.New("signature: timestamp too old")
	// ErrTooNew means that the timestamp is further in the future than the tolerance.
	ErrTooNew = errors.New("signature: timestamp too new")
	// ErrNoMatch means that no signature of the request was made with an accepted key.
	ErrNoMatch = errors.New("signature: no matching signature")
)

// VerifyKey is a key of a [Verifier].
type VerifyKey struct {
	// Key is required.
	Key Key
	// NotAfter is the last moment at which the key is accepted. Set it for the old key of a
	// rotation. Zero means that the key does not expire.
	NotAfter time.Time
}

// Config configures a [Verifier].
type Config struct {
	// Keys are the accepted keys, 1 to 16: a request is verified if one of them made one of its
	// signatures. Verify reads the first 16 signatures of a request and ignores the rest. Required.
	Keys []VerifyKey
	// Tolerance is how far a request's timestamp may be in the past or in the future. Defaults
	// to [DefaultTolerance]; a negative one is an error.
	Tolerance time.Duration
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	keys      []VerifyKey
	tolerance time.Duration
}

// NewVerifier returns a Verifier. The error is an [*event.ValidationError] that lists all problems
// of the Config.
func NewVerifier(cfg Config) (*Verifier, error) {
	var p event.Problems
	checkCount(&p, len(cfg.Keys))
	for i, key := range cfg.Keys {
		if key.Key.IsZero() {
			p.Add("keys["+strconv.Itoa(i)+"].key", ruleNoKey)
		}
	}
	if cfg.Tolerance < 0 {
		p.Add("tolerance", "must not be negative")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	v := &Verifier{keys: slices.Clone(cfg.Keys), tolerance: cfg.Tolerance}
	if v.tolerance == 0 {
		v.tolerance = DefaultTolerance
	}
	return v, nil
}

// Verified describes a verified request.
type Verified struct {
	// ID is the signed id of the event, the same on every retry.
	ID string
	// Timestamp is when the attempt was made, in whole seconds and UTC.
	Timestamp time.Time
	// Key is the index in [Config.Keys] of the key that signed the request.
	Key int
}

// Verify verifies the headers and the body of a request that arrived at now. Pass the body's
// bytes as they arrived: decoding and encoding it again changes them.
//
// The error matches [ErrMissingHeader], [ErrMalformedHeader], [ErrTooOld],
// [ErrTooNew] or [ErrNoMatch].
func (v *Verifier) Verify(h http.Header, now time.Time, body []byte) (Verified, error) {
	p, err := v.Header(h, now)
	if err != nil {
		return Verified{}, err
	}
	return p.Verify(body)
}

// Header makes the checks that do not need the body: the headers are present and well-formed, the
// timestamp is within the tolerance, and an accepted key exists for the version of a signature.
// The request is not verified until [Pending.Verify] succeeds.
//
// The errors are those of [Verifier.Verify].
func (v *Verifier) Header(h http.Header, now time.Time) (*Pending, error) {
	return new(Pending).read(v, h, now) // inlined, so that Pending can be on the caller's stack
}

// read fills p in from the headers, checks them, and returns p.
func (p *Pending) read(v *Verifier, h http.Header, now time.Time) (_ *Pending, err error) {
	p.verifier, p.now = v, now
	if p.id, err = single(h, HeaderID); err != nil {
		return nil, err
	}
	if !validID(p.id) {
		return nil, fmt.Errorf("%w: %s %s", ErrMalformedHeader, HeaderID, ruleID)
	}
	if p.timestamp, err = single(h, HeaderTimestamp); err != nil {
		return nil, err
	}
	var ok bool
	if p.at, ok = parseTimestamp(p.timestamp); !ok {
		return nil, fmt.Errorf("%w: %s %s", ErrMalformedHeader, HeaderTimestamp, ruleTimestamp)
	}
	lines := h[HeaderSignature]
	if !slices.ContainsFunc(lines, func(line string) bool { return line != "" }) {
		return nil, fmt.Errorf("%w: %s", ErrMissingHeader, HeaderSignature)
	}
	if p.entries.parse(lines); p.entries.n == 0 {
		return nil, fmt.Errorf("%w: %s has no signature of the form version,base64", ErrMalformedHeader,
			HeaderSignature)
	}
	switch age := now.Sub(p.at); {
	case age > v.tolerance:
		return nil, ErrTooOld
	case age < -v.tolerance:
		return nil, ErrTooNew
	}
	for i := range v.keys {
		if p.mayMatch(&v.keys[i]) {
			return p, nil
		}
	}
	return nil, ErrNoMatch
}

// mayMatch reports whether the key has not expired and the request has a signature of its version.
func (p *Pending) mayMatch(key *VerifyKey) bool {
	return key.accepted(p.now) && p.has(key.Key.version())
}

// accepted reports whether the key has not expired.
func (k *VerifyKey) accepted(now time.Time) bool {
	return k.NotAfter.IsZero() || !now.After(k.NotAfter)
}

// Pending is a request whose headers are checked and whose body is not. It is not safe for
// concurrent use.
type Pending struct {
	verifier      *Verifier
	now, at       time.Time
	id, timestamp string
	entries       entries
}

func (p *Pending) has(version string) bool {
	return slices.ContainsFunc(p.entries.list[:p.entries.n],
		func(e entry) bool { return e.version == version })
}

// Verify verifies the signature of the headers and this body. The error matches [ErrNoMatch].
func (p *Pending) Verify(body []byte) (Verified, error) {
	for i := range p.verifier.keys {
		key := &p.verifier.keys[i]
		if p.mayMatch(key) && key.Key.matches(p, body) {
			return Verified{ID: p.id, Timestamp: p.at, Key: i}, nil
		}
	}
	return Verified{}, ErrNoMatch
}
