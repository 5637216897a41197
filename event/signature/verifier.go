package signature

import (
	"crypto/ed25519"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// DefaultTolerance is how far the timestamp of a request may be from the clock.
const DefaultTolerance = 5 * time.Minute

// VerifyKey is a key of a [Verifier].
type VerifyKey struct {
	// Key is required.
	Key Key
	// NotAfter is the last moment at which the key counts: when the old key of
	// a rotation runs out. Zero means that it does not.
	NotAfter time.Time
}

// Config configures a [Verifier].
type Config struct {
	// Keys are the keys that count, 1 to 16: a request is verified when any of them made
	// any of its signatures. Required: there is no way to verify nothing.
	Keys []VerifyKey
	// Tolerance is how far a request's timestamp may be from the clock, either
	// side. Defaults to DefaultTolerance.
	Tolerance time.Duration
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	keys      []VerifyKey
	tolerance time.Duration
}

// NewVerifier returns a Verifier. The error is an [*event.ValidationError] that
// names everything that is wrong with the Config.
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

// Verified is what a verified request says of itself.
type Verified struct {
	// ID is the event's id, as it is signed: the same on every retry.
	ID string
	// Timestamp is when the attempt was made, in whole seconds and UTC.
	Timestamp time.Time
	// Key is the index in [Config.Keys] of the key that has signed.
	Key int
}

// Verify checks the headers and the body of a request that arrived now. The
// body has to be as it arrived: decoded and encoded again it is another one.
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

// Header checks all that can be checked before the body is read: that the
// headers are there and of their form, that the timestamp is within the
// tolerance, and that there is a signature of a version for which a key counts. The
// request is not verified before [Pending.Verify] says so.
//
// Errors are those of [Verifier.Verify].
func (v *Verifier) Header(h http.Header, now time.Time) (*Pending, error) {
	return new(Pending).read(v, h, now) // inlined, so that it can be on the caller's stack
}

// read fills in what the body will be checked with, checks that, and returns p.
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
		return nil, fmt.Errorf("%w: %s has no signature of the form version,base64", ErrMalformedHeader, HeaderSignature)
	}
	switch age := now.Sub(p.at); {
	case age > v.tolerance:
		return nil, ErrTooOld
	case age < -v.tolerance:
		return nil, ErrTooNew
	}
	for i := range v.keys {
		if p.useful(&v.keys[i]) {
			return p, nil
		}
	}
	return nil, ErrNoMatch
}

// useful reports whether the key counts, and may have made a signature of the request.
func (p *Pending) useful(key *VerifyKey) bool { return key.counts(p.now) && p.has(key.Key.version()) }

// counts reports whether the key has not run out.
func (k *VerifyKey) counts(now time.Time) bool {
	return k.NotAfter.IsZero() || !now.After(k.NotAfter)
}

// Pending is a request whose headers are in order and whose body has not been
// checked. It is for one goroutine.
type Pending struct {
	verifier      *Verifier
	now, at       time.Time
	id, timestamp string
	entries       entries
}

func (p *Pending) has(version string) bool {
	return slices.ContainsFunc(p.entries.list[:p.entries.n], func(e entry) bool { return e.version == version })
}

// Verify checks the body. The error matches [ErrNoMatch].
func (p *Pending) Verify(body []byte) (Verified, error) {
	for i := range p.verifier.keys {
		key := &p.verifier.keys[i]
		if p.useful(key) && key.Key.matches(p, body) {
			return Verified{ID: p.id, Timestamp: p.at, Key: i}, nil
		}
	}
	return Verified{}, ErrNoMatch
}

// matches reports whether the key made a signature of the request.
func (k Key) matches(p *Pending, body []byte) bool {
	if k.material().mac != nil {
		return k.matchesMAC(p, body)
	}
	return k.matchesEd25519(p, body)
}

func (k Key) matchesMAC(p *Pending, body []byte) (match bool) {
	k.material().mac.with(p.id, p.timestamp, body, func(want []byte) {
		for _, e := range p.entries.list[:p.entries.n] {
			// Comparing text leaves no second spelling of a signature.
			if e.version == version1 && subtle.ConstantTimeCompare([]byte(e.signature), want) == 1 {
				match = true
			}
		}
	})
	return match
}

func (k Key) matchesEd25519(p *Pending, body []byte) bool {
	signed := message(p.id, p.timestamp, body)
	for _, e := range p.entries.list[:p.entries.n] {
		if e.version != version1a || len(e.signature) != ed25519Size {
			continue
		}
		signature, err := decodeBase64(e.signature)
		if err == nil && ed25519.Verify(k.material().public, signed, signature) {
			return true
		}
	}
	return false
}

// ed25519Size is the length of a v1a signature in base64 with padding.
const ed25519Size = (ed25519.SignatureSize + 2) / 3 * 4
