package webhook

import (
	"context"
	"time"
)

// IdempotencyStore remembers requests by their keys, so that one that is repeated is
// not worked on twice, whichever process it reaches.
type IdempotencyStore interface {
	// BeginIdempotent stores r, which has no answer, and reports that the caller
	// is to work on it. If a request of r's key is stored already it reports
	// so as well, and moves Until to r.Until, if that one has no answer, the
	// same Digest, and an Until that is not after r.Began: the process that worked on
	// it has died. Otherwise another process works on it or has answered it. In
	// any case it returns what is stored now.
	//
	// Requests that began before expired are no longer there. BeginIdempotent
	// also removes up to [MaxExpired] of them, of any key.
	BeginIdempotent(ctx context.Context, r IdempotentRequest,
		expired time.Time) (stored IdempotentRequest, work bool, err error)
	// EndIdempotent stores r's answer, or forgets the request if that is nil, if
	// a request of r's key and Until is stored; otherwise it changes nothing,
	// because another process has taken over.
	EndIdempotent(ctx context.Context, r IdempotentRequest) error
}

// MaxExpired bounds how many expired requests [IdempotencyStore.BeginIdempotent]
// removes besides its own, so that it never takes long.
const MaxExpired = 100

// IdempotentRequest is what an [IdempotencyStore] remembers.
type IdempotentRequest struct {
	// Key identifies the request, and Digest what it asks for. Each has 32 bytes.
	Key, Digest []byte
	// Began is when work on the request first began. Until is when the process that works on it now
	// will have ended.
	Began, Until time.Time
	// Answer is the answer to the request. Nil while there is none, and otherwise never empty.
	Answer []byte
}
