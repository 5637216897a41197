package signature

import "errors"

// The reasons why a request is not verified. Match them with [errors.Is]. The same request will
// fail again. Respond to all of them with the same 401: telling which check failed would help
// an attacker.
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

// ErrInvalidKey is matched by all errors of [ParseKey] and [RawKey]. Their text says what is wrong
// with the key and never quotes it.
var ErrInvalidKey = errors.New("signature: invalid key")
