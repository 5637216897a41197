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
	// ErrNoIdempotency says that the store is no [webhook.IdempotencyStore].
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

// Once calls work for a request that may be repeated, once: a repetition, with
// the same key of the organization and the same content, gets the answer of the
// first for 24 hours, in any process that shares the store. While the first is
// under way it gets ErrInProgress, and with other content ErrKeyReused. A store that
// is no [webhook.IdempotencyStore] is ErrNoIdempotency.
//
// work gets 25 seconds, whether or not ctx ends before: a caller who repeats the
// request shall find its answer, which is of 1 byte to 4 KiB. Errors are not kept, so
// that the request can be tried again: at once after ErrWrongStatus and ErrNotFound,
// which say that nothing has been done, and otherwise, as after the death of a
// process, once the time is over. Then work is given the time at which the
// first try began, so that it can leave alone what that may have done; on a
// first try it is zero. The clocks of the processes may differ by 5 seconds.
func (d *Dispatcher) Idempotent(
	ctx context.Context, organizationID, key string, content []byte,
	work func(ctx context.Context, tried time.Time) (answer []byte, err error),
) ([]byte, error) {
	store, ok := d.store.(webhook.IdempotencyStore)
	if !ok {
		return nil, ErrNoIdempotency
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), idempotentTime)
	defer cancel()
	var tried time.Time
	if r.Began.Before(at) {
		tried = r.Began
	}
	r.Answer, err = workIdempotent(ctx, tried, work)
	undone := errors.Is(err, webhook.ErrWrongStatus) || errors.Is(err, webhook.ErrNotFound)
	if err != nil && (!undone || !tried.IsZero()) {
		return nil, err
	}
	if endErr := store.EndIdempotent(ctx, r); endErr != nil {
		// A repetition will find out what has been done, by the time of this try.
		d.cfg.Logger.WarnContext(ctx, "webhook: the end of a request could not be stored", "error", endErr)
	}
	return r.Answer, err
}

func workIdempotent(ctx context.Context, tried time.Time, work func(context.Context, time.Time) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, idempotentTime-idempotentMargin)
	defer cancel()
	if work == nil {
		return nil, errors.New("webhook: Once: the work is nil")
	}
	answer, err := work(ctx, tried)
	if err != nil {
		return nil, err
	}
	if n := len(answer); n == 0 || n > maxAnswer {
		return nil, fmt.Errorf("webhook: Once: an answer must have 1 to %d bytes, has %d", maxAnswer, n)
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
