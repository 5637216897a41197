package receiver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// A Deduper remembers which events are being handled and which have been. It keeps a
// state for each key, and not only the keys, so that an event whose handler failed or
// died is handled again:
//
//	absent ──Claim──▶ claimed ──Done──▶ done   (for keep)
//	                     │ ────Dead──▶ dead   (for keep)
//	                     │ Release ▶ absent
//	                     │ lease ended ▶ claimable again
//
// The rules, which package dedupetest executes:
//
//   - Exactly one of several concurrent Claims of one key gets [Claimed], also when the lease of an
//     earlier claim has ended.
//   - Extend, Done, Dead and Release work with the token of the latest Claim that got
//     [Claimed]. With any other token, and for a key that is absent, they return
//     [ErrStaleToken] and change nothing.
//   - A claim whose lease has ended can still be extended and settled for an hour
//     ([Grace]), as long as no other call has claimed the key.
//   - Done and Dead may be repeated with the token that settled the key, for a caller
//     that saw no answer. Extend with that token changes nothing and returns nil: a
//     handler may settle its claim while the Receiver extends it. Every other call for
//     a settled key returns [ErrStaleToken].
//   - When keep has passed, the key is absent again.
//   - The store's clock judges leases and keep, so that the clocks of the processes
//     that share it may differ. Durations are positive and kept to the millisecond.
//   - Any other error means that the outcome is unknown: the call may have taken
//     effect or not.
//   - A store that is full returns an error from Claim. It does not forget a key before
//     its time, unless its documentation says so, and then only keys that were settled
//     longer ago than senders retry, the oldest first. It never forgets a claim before
//     the lease and [Grace] have ended.
//   - A method returns when ctx is done. All are safe for concurrent use.
//
// The Receiver calls only these methods and uses no type assertion, so a type that embeds a
// Deduper, to count calls or to change keys, loses nothing. New features are added as fields of
// [Claim] and [Standing] whose zero value means what it means today. While the major version is 0,
// a method may be added to the interface as well.
type Deduper interface {
	// Claim claims the key for the lease, or says in which state it is.
	Claim(ctx context.Context, c Claim, lease time.Duration) (Standing, error)
	// Extend makes the lease end the given time from now, unless the claim is settled.
	Extend(ctx context.Context, c Claim, lease time.Duration) error
	// Done records the key as handled until keep has passed.
	Done(ctx context.Context, c Claim, keep time.Duration) error
	// Dead records the key as never to be handled until keep has passed. The reason is for people.
	Dead(ctx context.Context, c Claim, reason string, keep time.Duration) error
	// Release makes the key absent, so that any caller can claim it.
	Release(ctx context.Context, c Claim) error
}

// Grace is how long after the end of its lease a claim can still be settled, if no
// other call has claimed the key.
const Grace = time.Hour

// A Claim is one attempt to handle the event with a key.
type Claim struct {
	// Key identifies the event: printable ASCII of at most [MaxKey] bytes.
	Key string
	// Token is the fencing token, which tells this attempt from all others.
	Token Token
	// Sender says which credentials the request had. It is not part of the key. A store of bounded
	// size divides its capacity among senders; other stores ignore it.
	Sender Sender
}

// MaxKey is how many bytes the key of a claim may have.
const MaxKey = 512

// A Token is the fencing token of a claim: only a caller with the token of the latest
// claim can settle it.
type Token [16]byte

// NewToken returns a token that is unique.
func NewToken() Token {
	// Tokens are unique, not secret. The runtime's ChaCha8 generator is seeded by the
	// system and makes no system call for each token.
	var t Token
	binary.LittleEndian.PutUint64(t[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(t[8:], rand.Uint64())
	return t
}

// String returns 32 hex digits.
func (t Token) String() string { return hex.EncodeToString(t[:]) }

// Standing is what a Deduper knows about a key.
type Standing struct {
	// State is the state of the key after the call. Zero and other values that are no State count
	// as an error of the store.
	State State
	// Remaining is, with [InFlight], how long the lease of the other claim lasts,
	// unless it is extended.
	Remaining time.Duration
}

// A State is the state of a key as the caller of Claim sees it.
type State int

// The states of a key.
const (
	// Claimed means that the caller has claimed the key.
	Claimed State = iota + 1
	// InFlight means that another caller has claimed the key.
	InFlight
	// Done means that the event was handled.
	Done
	// Dead means that the event was given up.
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

// A Sender says which credentials a request had: which of [Config.Secrets], and which
// of the keys of [Config.Signature]. Senders that share a secret count as one; a sender
// that changes its secret counts as two for a while. The numbers are those of one
// Receiver: the first secret of another Receiver makes the same Sender. The zero value
// is an unknown sender.
type Sender uint32

// senderOf returns the sender with these credentials. -1 is a credential that was not
// checked.
func senderOf(secret, key int) Sender {
	//nolint:gosec // neither is negative
	return Sender(min(secret+1, 0xffff)<<16 | min(key+1, 0xffff))
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
