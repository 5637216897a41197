package webhook

import (
	"context"
	"time"
)

// IdempotencyStore remembers requests by their keys, so that one that is repeated is
// not worked on twice, whichever process it reaches.
type IdempotencyStore interface {
	// BeginIdempotent reports whether the caller is to work on the request r, which has no answer
	// yet, and returns the request as it is stored after the call.
	//
	// If no request of r's key is stored, it stores r, and the caller is to work on it. If one is
	// stored, the caller is to work on it only if all of this holds: it has no answer, the same
	// Digest, and an Until that is not after r.Began. Then the process that worked on it has died,
	// and its Until becomes r.Until. Otherwise another process works on it or has answered it.
	//
	// Requests that began before expired count as not stored. BeginIdempotent also removes up to
	// [MaxExpired] of them, of any key.
	BeginIdempotent(ctx context.Context, r IdempotentRequest,
		expired time.Time) (stored IdempotentRequest, work bool, err error)
	// EndIdempotent stores r's answer or, if that is nil, removes the request. It changes nothing
	// unless a request with r's key and r's Until is stored, because another process may have taken
	// over.
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
