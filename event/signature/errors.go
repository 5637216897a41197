package signature

import "errors"

// The reasons why a request is not verified. Match them with [errors.Is]. None
// of them is worth a retry with the same request, and over HTTP all of them
// should be the same 401: which check failed helps a forger more than a sender.
//
// The errors hold names of headers and rules, never a value of a header and
// never the signature that would have matched.
var (
	// ErrMissingHeader: one of the three headers is absent or empty.
	ErrMissingHeader = errors.New("signature: missing header")
	// ErrMalformedHeader: one of the three headers is not of its form.
	ErrMalformedHeader = errors.New("signature: malformed header")
	// ErrTooOld: the timestamp is further in the past than the tolerance.
	ErrTooOld = errors.New("signature: timestamp too old")
	// ErrTooNew: the timestamp is further in the future than the tolerance.
	ErrTooNew = errors.New("signature: timestamp too new")
	// ErrNoMatch: no signature of the request was made by a key that counts.
	ErrNoMatch = errors.New("signature: no matching signature")
)

// ErrInvalidKey is what every error of [ParseKey] and [RawKey] matches. Its
// text says what is wrong with the key and never quotes it.
var ErrInvalidKey = errors.New("signature: invalid key")
