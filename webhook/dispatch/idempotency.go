package dispatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Errors of [Dispatcher.Idempotent].
var (
	// ErrInProgress says that a request of the key is being worked on: try again
	// in a moment.
	ErrInProgress = errors.New("webhook: a request of this key is under way")
	// ErrKeyReused says that a request of the key asked for something else.
	ErrKeyReused = errors.New("webhook: the key was used for another request")
	// ErrNoIdempotency says that the store has no [webhook.IdempotencyStore].
	ErrNoIdempotency = errors.New("webhook: the store cannot remember requests")
)

const (
	// idempotencyKept is how long a request is remembered.
	idempotencyKept = 24 * time.Hour
	// idempotentTime is how long a request may take, and idempotentMargin what is left of
	// that to store its answer.
	idempotentTime   = 30 * time.Second
	idempotentMargin = 5 * time.Second
	// maxAnswer bounds what is kept of each request, in bytes.
	maxAnswer = 4 << 10
)

// Try is one call of the work of [Dispatcher.Idempotent].
type Try struct {
	// Began is when the first try of the request began.
	Began time.Time
	// Again says that a try before this one may have done the work, or a part of
	// it, and ended without an answer.
	Again bool
}

// Idempotent calls work for a request that may be repeated, and calls it once: a
// repetition, with the same key of the organization and the same content, gets the
// answer of the first for 24 hours, in any process that shares the store. It returns
// ErrInProgress while the first has not ended, ErrKeyReused if the content differs,
// and ErrNoIdempotency if the store has no [webhook.IdempotencyStore].
//
// What is kept is bounded by [Config.IdempotentPerMinute]: beyond that, the error is a
// [*webhook.LimitError], and nothing has been done.
//
// work gets 25 seconds, even if ctx ends before, because a caller who repeats the
// request expects its answer, which has 1 byte to 4 KiB. Errors are not kept, so
// that the request can be tried again: at once after [webhook.ErrWrongStatus],
// [webhook.ErrNotFound], [webhook.ErrExists] and [webhook.ErrLimit], which say that
// nothing has been done, and otherwise, as after the death of a process, once the 30
// seconds of that try are over. The clocks of the processes may differ by 5 seconds.
func (d *Dispatcher) Idempotent(
	ctx context.Context, organizationID, key string, content []byte,
	work func(ctx context.Context, t Try) (answer []byte, err error),
) ([]byte, error) {
	store := d.store.Capabilities().Idempotency
	if store == nil {
		return nil, ErrNoIdempotency
	}
	if work == nil {
		return nil, errors.New("dispatch: Idempotent: work is nil")
	}
	if wait := d.idempotent.take(organizationID, time.Now()); wait > 0 {
		return nil, &webhook.LimitError{Limit: "requests with an idempotency key", Max: d.cfg.IdempotentPerMinute, RetryAfter: wait}
	}
	at := d.now()
	asked := webhook.IdempotentRequest{Key: requestKey(organizationID, key), Digest: digest(content), Began: at, Until: at.Add(idempotentTime)}
	r, mine, err := store.BeginIdempotent(ctx, asked, at.Add(-idempotencyKept))
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(r.Digest, asked.Digest):
		return nil, ErrKeyReused
	case r.Answer != nil:
		return r.Answer, nil
	case !mine:
		return nil, ErrInProgress
	}
	t := Try{Began: r.Began, Again: r.Began.Before(at)}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), idempotentTime)
	defer cancel()
	r.Answer, err = workIdempotent(ctx, t, work)
	if err != nil && (t.Again || !nothingDone(err)) {
		return nil, err
	}
	if endErr := store.EndIdempotent(ctx, r); endErr != nil {
		// A repetition will find out what has been done, by the time of this try.
		d.cfg.Logger.WarnContext(ctx, "webhook: the end of a request could not be stored", "error", endErr)
	}
	return r.Answer, err
}

// nothingDone reports whether the error says that the work has changed nothing.
func nothingDone(err error) bool {
	for _, target := range []error{webhook.ErrWrongStatus, webhook.ErrNotFound, webhook.ErrExists, webhook.ErrLimit} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func workIdempotent(ctx context.Context, t Try, work func(context.Context, Try) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, idempotentTime-idempotentMargin)
	defer cancel()
	answer, err := work(ctx, t)
	if err != nil {
		return nil, err
	}
	if n := len(answer); n == 0 || n > maxAnswer {
		return nil, fmt.Errorf("dispatch: Idempotent: an answer must have 1 to %d bytes, has %d", maxAnswer, n)
	}
	return answer, nil
}

// requestKey is one key for all organizations.
func requestKey(organizationID, key string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(organizationID)))
	return digest(append(append(b, organizationID...), key...))
}

func digest(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}
