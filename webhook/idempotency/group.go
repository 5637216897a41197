package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/rate"
)

// Errors of [Group.Do].
var (
	// ErrInProgress means that another call is working on the request: try again in a moment.
	ErrInProgress = errors.New("idempotency: a request with this key is in progress")
	// ErrKeyReused means that the key was used before, for a request with other content.
	ErrKeyReused = errors.New("idempotency: the key was used for another request")
	// ErrUnsupported means that the store has no [webhook.IdempotencyStore].
	ErrUnsupported = errors.New("idempotency: the store cannot remember requests")
)

const (
	// Kept is how long a request is remembered.
	Kept = 24 * time.Hour
	// WorkTime is how long noting a request and one run of the work may take: the context of the work
	// ends then, before another try may begin.
	WorkTime = 25 * time.Second
	// MaxAnswer is how many bytes an answer may have.
	MaxAnswer = 4 << 10
)

const (
	// storeTime is how long storing the answer may take.
	storeTime = 5 * time.Second
	// tryTime is after how long another call may take over a request that has no answer.
	tryTime = WorkTime + storeTime
)

// NoLimit is the value of [Config.PerMinute] that means that there is no limit.
const NoLimit = math.MaxInt

// burst is how many minutes' worth of requests an organization can make at once.
const burst = 10

// Config configures a [Group]. The zero value works.
type Config struct {
	// PerMinute is how many requests of one organization this process accepts each minute,
	// repetitions included. Ten minutes' worth can be made at once. Defaults to 120;
	// [NoLimit] accepts all.
	PerMinute int
	// Logger gets a warning when an answer cannot be stored. Defaults to slog.Default().
	Logger *slog.Logger
}

// Store is what a [Group] needs of a store. A [webhook.Store] has it, and so does a
// Dispatcher.
type Store interface {
	// Capabilities says, among other things, whether the store can remember requests.
	Capabilities() webhook.Capabilities
	// Now returns the time by the store's clock, which all processes share.
	Now(ctx context.Context) (time.Time, error)
}

// Request is a request that a client may repeat.
type Request struct {
	// OrganizationID is the scope of the key. It may be empty.
	OrganizationID string
	// Key is the client's name for the request, of any length.
	Key string
	// Content is what the request asks for. Only its fingerprint is stored.
	Content []byte
}

// Try describes one run of the work.
type Try struct {
	// Began is when the first try of the request began, by the store's clock.
	Began time.Time
	// Again says that an earlier try ended without an answer. It may have done all of the
	// work, or a part of it.
	Again bool
}

// Work does what a request asks for, and returns an answer of 1 to [MaxAnswer] bytes.
type Work func(ctx context.Context, t Try) (answer []byte, err error)

// A Group runs the work of requests, once for each idempotency key. All Groups on one store, in any
// process, share what they remember. Make one with [New]. It is safe for concurrent use.
type Group struct {
	store    Store
	cfg      Config
	requests rate.Limiter
}

// New returns a Group. It returns an [*event.ValidationError] that lists every invalid field of
// cfg, and an error if store is nil.
func New(store Store, cfg Config) (*Group, error) {
	if store == nil {
		return nil, errors.New("idempotency: New: the store is nil")
	}
	if cfg.PerMinute == 0 {
		cfg.PerMinute = 120
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	var p event.Problems
	if cfg.PerMinute < 0 {
		p.Add("PerMinute", "must be at least 1, is %d", cfg.PerMinute)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &Group{store: store, cfg: cfg, requests: rate.Limiter{
		PerMinute: cfg.PerMinute, Burst: min(cfg.PerMinute, NoLimit/burst) * burst,
	}}, nil
}

// Do runs work for the request and returns its answer, or returns the answer of an earlier
// call with the same key and content, from up to [Kept] ago.
//
// It returns ErrInProgress while another call works on the request, and until 30 seconds after that
// call began if it ended without an answer that could be stored. It returns ErrKeyReused if the
// content differs, ErrUnsupported if the store cannot remember requests, and a
// [*webhook.LimitError] if the organization exceeds [Config.PerMinute]. In these cases work does
// not run. All other errors are the store's, or those of work.
//
// Do returns an error if work returns an answer of 0 or more than [MaxAnswer] bytes. If the store
// cannot keep the answer, Do logs a warning and returns the answer; a repetition then runs the work
// again.
//
// work gets [WorkTime], less the time that the store took to note the request, even if ctx ends
// before: a client that gave up will repeat the request, and expects its answer. After an error
// that says that nothing was done (see the documentation of the package) the request can be
// repeated at once, unless an earlier try ended without an answer; otherwise 30 seconds after that
// try began.
func (g *Group) Do(ctx context.Context, r Request, work Work) ([]byte, error) {
	store := g.store.Capabilities().Idempotency
	switch {
	case store == nil:
		return nil, ErrUnsupported
	case work == nil:
		return nil, errors.New("idempotency: Do: work is nil")
	}
	if wait := g.requests.Take(r.OrganizationID, time.Now()); wait > 0 {
		return nil, &webhook.LimitError{
			Limit: "requests with an idempotency key", Max: g.cfg.PerMinute, RetryAfter: wait,
		}
	}
	began := time.Now() // by this process's clock, and no later than now
	now, err := g.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	now = now.UTC().Truncate(time.Microsecond)
	asked := webhook.IdempotentRequest{
		Key: storedKey(r), Digest: digest(r.Content), Began: now, Until: now.Add(tryTime),
	}
	stored, mine, err := store.BeginIdempotent(ctx, asked, now.Add(-Kept))
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(stored.Digest, asked.Digest):
		return nil, ErrKeyReused
	case stored.Answer != nil:
		return stored.Answer, nil
	case !mine:
		return nil, ErrInProgress
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), began.Add(tryTime))
	defer cancel()
	t := Try{Began: stored.Began, Again: stored.Began.Before(now)}
	return g.try(ctx, store, stored, began.Add(WorkTime), t, work)
}

// try runs the work, which has to end at a time, and stores its answer.
func (g *Group) try(
	ctx context.Context, store webhook.IdempotencyStore, r webhook.IdempotentRequest, end time.Time,
	t Try, work Work,
) (answer []byte, err error) {
	r.Answer, err = run(ctx, end, t, work)
	if err != nil && (t.Again || !nothingDone(err)) {
		return nil, err // a repetition has to know when the first try began
	}
	if endErr := store.EndIdempotent(ctx, r); endErr != nil {
		// The next try learns from its Try that this one may have done the work.
		g.cfg.Logger.WarnContext(ctx, "idempotency: an answer could not be stored",
			"error", endErr)
	}
	return r.Answer, err
}

func run(ctx context.Context, end time.Time, t Try, work Work) ([]byte, error) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if err := ctx.Err(); err != nil { // noting the request took all of the time
		return nil, err
	}
	answer, err := work(ctx, t)
	if err != nil {
		return nil, err
	}
	if n := len(answer); n == 0 || n > MaxAnswer {
		return nil, fmt.Errorf("idempotency: an answer must have 1 to %d bytes, has %d", MaxAnswer, n)
	}
	return answer, nil
}

// nothingDone reports whether the error says that the work has changed nothing.
func nothingDone(err error) bool {
	for _, target := range []error{
		webhook.ErrWrongStatus, webhook.ErrNotFound, webhook.ErrExists, webhook.ErrLimit,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// storedKey is the key under which all organizations' requests are stored.
func storedKey(r Request) []byte {
	b := binary.AppendUvarint(nil, uint64(len(r.OrganizationID)))
	return digest(append(append(b, r.OrganizationID...), r.Key...))
}

func digest(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}
