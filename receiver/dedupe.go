package receiver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// A Deduper remembers which events are being handled and which have been. It is
// a state machine for each key, not a set, so that an event whose handler
// failed, or died, is handled again:
//
//	absent ──Claim──▶ claimed ──Done──▶ done   (for keep)
//	                     │ ────Dead──▶ dead   (for keep)
//	                     │ Release ▶ absent
//	                     │ lease ended ▶ claimable again
//
// The rules, which package dedupetest executes:
//
//   - Of concurrent Claims of one key exactly one gets [Claimed], also when it
//     takes over from a lease that has ended.
//   - Extend, Done, Dead and Release work for the token of the latest Claim
//     that got [Claimed], and return [ErrStaleToken] for any other and for a
//     key that is absent. Nothing has changed then.
//   - A claim whose lease has ended, and that no other call has taken over, can still
//     be extended and settled for an hour ([Grace]).
//   - Done and Dead may be repeated with the token that settled the key, so
//     that a caller that saw no answer can ask again. Extend with that token
//     changes nothing and is no error: it says whether another caller has the
//     key, and a handler may settle its claim while it is being extended.
//     Everything else about a settled key is stale.
//   - When keep has passed, a key is absent again.
//   - Time is told by the store: processes that share it need not agree on it.
//     Durations are kept to the millisecond and are positive.
//   - Any other error means that the store could not say; nothing, or all, of
//     the call may have happened.
//   - A store that has no room left returns an error from Claim rather than
//     forget a key before its time. One that says so in its documentation may
//     forget keys that were settled longer ago than senders try, the oldest
//     first. A claim is never forgotten before its lease and [Grace] have ended.
//   - A method returns when ctx is done. All are safe for concurrent use.
type Deduper interface {
	// Claim takes the key for the lease, or says why it cannot be taken.
	Claim(ctx context.Context, c Claim, lease time.Duration) (Standing, error)
	// Extend makes the lease end that much from now, unless the claim is settled.
	Extend(ctx context.Context, c Claim, lease time.Duration) error
	// Done records the key as handled, to be remembered that long from now.
	Done(ctx context.Context, c Claim, keep time.Duration) error
	// Dead records the key as never to be handled, and why, to be remembered
	// that long from now. The reason is for people.
	Dead(ctx context.Context, c Claim, reason string, keep time.Duration) error
	// Release gives the key back, to be claimed by any caller.
	Release(ctx context.Context, c Claim) error
}

// Grace is how long after the end of its lease a claim that no other has taken
// over can still be settled.
const Grace = time.Hour

// A Claim is one attempt to handle what goes by a key.
type Claim struct {
	// Key is what is deduplicated on: printable ASCII of at most [MaxKey] bytes.
	Key string
	// Token tells this attempt from every other one at the same key.
	Token Token
	// Sender says whose event it is. It is no part of the key: a store with
	// bounded room divides that by sender, and to every other it means nothing.
	Sender Sender
}

// MaxKey is how many bytes the key of a claim may have.
const MaxKey = 512

// A Token is the fence of a claim: a caller who does not hold the latest one can
// settle nothing.
type Token [16]byte

// NewToken returns a token that was not in use before.
func NewToken() Token {
	// Tokens have to be unique, not secret: the runtime's ChaCha8 generator,
	// seeded by the system, does for that and costs no system call.
	var t Token
	binary.LittleEndian.PutUint64(t[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(t[8:], rand.Uint64())
	return t
}

// String returns 32 hex digits.
func (t Token) String() string { return hex.EncodeToString(t[:]) }

// Standing is what a Deduper knows about a key.
type Standing struct {
	// State says who has the key.
	State State
	// Remaining is, with [InFlight], how long the lease of the other lasts
	// unless it is extended.
	Remaining time.Duration
}

// A State is where a key stands for who asked for it.
type State int

// The states of a key.
const (
	// Claimed: the key is the caller's.
	Claimed State = iota + 1
	// InFlight: another caller has it.
	InFlight
	// Done: it was handled.
	Done
	// Dead: it was given up.
	Dead
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case Claimed:
		return "claimed"
	case InFlight:
		return "in flight"
	case Done:
		return "done"
	case Dead:
		return "dead"
	}
	return "unknown"
}

// A Sender says by which credentials a request was let in: which of
// [Config.Secrets], and which of the keys of [Config.Signature]. Two senders that
// share a secret are one; one that changes its secret is two for a while. It tells
// the senders of one Receiver apart: the first secret of another one is the same
// Sender. The zero value is a sender that is not known.
type Sender uint32

// senderOf returns the sender with these credentials, -1 for one that was not
// looked at.
func senderOf(secret, key int) Sender {
	return Sender(min(secret+1, 0xffff)<<16 | min(key+1, 0xffff)) //nolint:gosec // neither is negative
}

// String names the credentials by their index, as in "secret 0, key 1".
func (s Sender) String() string {
	secret, key := int(s>>16)-1, int(s&0xffff)-1
	switch {
	case secret < 0 && key < 0:
		return "unknown"
	case secret < 0:
		return fmt.Sprint("key ", key)
	case key < 0:
		return fmt.Sprint("secret ", secret)
	}
	return fmt.Sprintf("secret %d, key %d", secret, key)
}
