package dedupetest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// long is a lease, or a time to remember, that no test outlives.
const long = time.Hour

// short is one that ends at once: the suite waits for its end by asking.
const short = time.Millisecond

// Run runs the suite. Each call of open returns a handle of the same store, as
// another process would have it; all handles may be the same value. The suite uses
// keys of its own and does not remove them.
func Run(t *testing.T, open func(t *testing.T) receiver.Deduper) {
	t.Helper()
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			rule.test(&suite{T: t, open: open, store: open(t)})
		})
	}
}

var rules = []struct {
	name string
	test func(*suite)
}{
	{"the first claim of an absent key gets it", (*suite).claim},
	{"a handle sees what another handle did", (*suite).shared},
	{"similar keys are different keys", (*suite).keys},
	{"the sender is not part of the key", (*suite).senders},
	{"done is remembered", (*suite).done},
	{"dead is remembered", (*suite).dead},
	{"a released key is absent", (*suite).release},
	{"a lease that has ended can be taken over", (*suite).takeOver},
	{"a lease that was extended cannot be taken over", (*suite).extend},
	{"a claim whose lease has ended can be settled if it was not taken over", (*suite).lateButHeld},
	{"a stale token changes nothing", (*suite).stale},
	{"an absent key cannot be settled", (*suite).absent},
	{"a settled key cannot be settled otherwise", (*suite).settled},
	{"settling may be repeated", (*suite).repeat},
	{"extending a settled claim changes nothing and succeeds", (*suite).extendSettled},
	{"a settled key is absent when keep has passed", (*suite).forget},
	{"a key that is absent because keep has passed cannot be settled", (*suite).forgotten},
	{"of concurrent claims one wins", (*suite).race},
	{"of concurrent take-overs one wins", (*suite).raceTakeOver},
	{"of an extension and a take-over one wins", (*suite).raceExtend},
	{"a Receiver on a wrapped store works", (*suite).wrapped},
	{"a context that is done ends the call", (*suite).cancelled},
}

// suite is what one rule is tested with.
type suite struct {
	*testing.T
	open  func(*testing.T) receiver.Deduper
	store receiver.Deduper
}

// newClaim returns a claim of an unused key.
func newClaim() receiver.Claim {
	return receiver.Claim{Key: "dedupetest/" + receiver.NewToken().String(),
		Token: receiver.NewToken()}
}

// rival returns another claim of the same key.
func rival(c receiver.Claim) receiver.Claim {
	return receiver.Claim{Key: c.Key, Token: receiver.NewToken()}
}

// state returns the state of the key, found by a claim that is released.
func (s *suite) state(key string) receiver.State {
	s.Helper()
	probe := rival(receiver.Claim{Key: key})
	standing, err := s.store.Claim(s.Context(), probe, long)
	require.NoError(s, err)
	if standing.State == receiver.Claimed {
		require.NoError(s, s.store.Release(s.Context(), probe))
	}
	return standing.State
}

// take claims a key that must be claimable.
func (s *suite) take(c receiver.Claim, lease time.Duration) {
	s.Helper()
	standing, err := s.store.Claim(s.Context(), c, lease)
	require.NoError(s, err)
	require.Equal(s, receiver.Claimed, standing.State)
}

// takeEventually claims a key as soon as it is claimable.
func (s *suite) takeEventually(c receiver.Claim, lease time.Duration) {
	s.Helper()
	s.eventually(func() bool {
		standing, err := s.store.Claim(s.Context(), c, lease)
		require.NoError(s, err)
		return standing.State == receiver.Claimed
	})
}

func (s *suite) eventually(condition func() bool) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(short) {
		if time.Now().After(deadline) {
			s.Fatal("not within a minute: does the store's clock run?")
		}
	}
}

func (s *suite) claim() {
	c := newClaim()
	s.take(c, long)
	standing, err := s.store.Claim(s.Context(), rival(c), long)
	require.NoError(s, err)
	assert.Equal(s, receiver.InFlight, standing.State)
	assert.Greater(s, standing.Remaining, long-time.Minute, "Remaining is how long the lease lasts")
	assert.LessOrEqual(s, standing.Remaining, long+time.Second)
}

func (s *suite) shared() {
	c, other := newClaim(), s.open(s.T)
	s.take(c, long)
	standing, err := other.Claim(s.Context(), rival(c), long)
	require.NoError(s, err)
	assert.Equal(s, receiver.InFlight, standing.State)
	require.NoError(s, other.Done(s.Context(), c, long), "the token decides, not the handle")
	assert.Equal(s, receiver.Done, s.state(c.Key))
}

func (s *suite) keys() {
	c := newClaim()
	s.take(c, long)
	for _, key := range []string{c.Key + "x", c.Key[:len(c.Key)-1], c.Key + "%", c.Key + "'",
		c.Key + "*"} {
		s.take(receiver.Claim{Key: key, Token: receiver.NewToken()}, long)
	}
}

func (s *suite) senders() {
	c := newClaim()
	c.Sender = 1
	s.take(c, long)
	other := rival(c)
	other.Sender = 2
	standing, err := s.store.Claim(s.Context(), other, long)
	require.NoError(s, err)
	assert.Equal(s, receiver.InFlight, standing.State)
	c.Sender = 0
	require.NoError(s, s.store.Done(s.Context(), c, long), "the token decides, not the sender")
	assert.Equal(s, receiver.Done, s.state(c.Key))
}

func (s *suite) done() {
	c := newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Done(s.Context(), c, long))
	assert.Equal(s, receiver.Done, s.state(c.Key))
	assert.Equal(s, receiver.Done, s.state(c.Key), "a claim does not change it")
}

func (s *suite) dead() {
	c := newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Dead(s.Context(), c, "it's \"broken\" – für immer", long))
	assert.Equal(s, receiver.Dead, s.state(c.Key))
}

func (s *suite) release() {
	c := newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Release(s.Context(), c))
	s.take(rival(c), long)
	assert.ErrorIs(s, s.store.Done(s.Context(), c, long), receiver.ErrStaleToken,
		"a claim that was released cannot settle the next claim")
}

func (s *suite) takeOver() {
	c := newClaim()
	s.take(c, short)
	next := rival(c)
	s.takeEventually(next, long)
	assert.Equal(s, receiver.InFlight, s.state(c.Key))
	assert.ErrorIs(s, s.store.Done(s.Context(), c, long), receiver.ErrStaleToken)
	require.NoError(s, s.store.Done(s.Context(), next, long))
}

func (s *suite) extend() {
	c := newClaim()
	s.take(c, short)
	require.NoError(s, s.store.Extend(s.Context(), c, long))
	assert.Equal(s, receiver.InFlight, s.state(c.Key))
	require.NoError(s, s.store.Extend(s.Context(), c, short), "a lease can be made shorter too")
	s.takeEventually(rival(c), long)
}

// passed waits until all leases, and all times to remember, of length short that have begun
// are over.
func (s *suite) passed() {
	s.Helper()
	probe := newClaim()
	s.take(probe, short)
	s.takeEventually(rival(probe), long)
}

func (s *suite) lateButHeld() {
	for _, settle := range s.settlements() {
		c := newClaim()
		s.take(c, short)
		s.passed()
		assert.NoError(s, settle.call(c), settle.name)
	}
}

// A settlement is one of the calls that need the latest token.
type settlement struct {
	name string
	call func(receiver.Claim) error
}

func (s *suite) settlements() []settlement {
	ctx := s.Context()
	return []settlement{
		{"Extend", func(c receiver.Claim) error { return s.store.Extend(ctx, c, long) }},
		{"Done", func(c receiver.Claim) error { return s.store.Done(ctx, c, long) }},
		{"Dead", func(c receiver.Claim) error { return s.store.Dead(ctx, c, "reason", long) }},
		{"Release", func(c receiver.Claim) error { return s.store.Release(ctx, c) }},
	}
}

func (s *suite) stale() {
	for _, settle := range s.settlements() {
		c := newClaim()
		s.take(c, long)
		assert.ErrorIs(s, settle.call(rival(c)), receiver.ErrStaleToken,
			"%s with a token that never had the claim", settle.name)
		assert.Equal(s, receiver.InFlight, s.state(c.Key), "after %s", settle.name)

		late := newClaim()
		s.take(late, short)
		next := rival(late)
		s.takeEventually(next, long)
		assert.ErrorIs(s, settle.call(late), receiver.ErrStaleToken, "%s after a take-over",
			settle.name)
		assert.Equal(s, receiver.InFlight, s.state(late.Key), "after %s", settle.name)
		require.NoError(s, s.store.Release(s.Context(), next))
		assert.ErrorIs(s, settle.call(late), receiver.ErrStaleToken,
			"%s after a take-over that was released", settle.name)
		assert.Equal(s, receiver.Claimed, s.state(late.Key), "after %s", settle.name)
	}
}

func (s *suite) absent() {
	for _, settle := range s.settlements() {
		c := newClaim()
		assert.ErrorIs(s, settle.call(c), receiver.ErrStaleToken, settle.name)
		assert.Equal(s, receiver.Claimed, s.state(c.Key), "after %s", settle.name)
	}
}

func (s *suite) settled() {
	ctx := s.Context()
	c := newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Done(ctx, c, long))
	assert.ErrorIs(s, s.store.Extend(ctx, rival(c), long), receiver.ErrStaleToken)
	assert.ErrorIs(s, s.store.Release(ctx, c), receiver.ErrStaleToken)
	assert.ErrorIs(s, s.store.Dead(ctx, c, "reason", long), receiver.ErrStaleToken)
	assert.ErrorIs(s, s.store.Done(ctx, rival(c), long), receiver.ErrStaleToken)
	assert.Equal(s, receiver.Done, s.state(c.Key))

	c = newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Dead(ctx, c, "reason", long))
	assert.ErrorIs(s, s.store.Extend(ctx, rival(c), long), receiver.ErrStaleToken)
	assert.ErrorIs(s, s.store.Release(ctx, c), receiver.ErrStaleToken)
	assert.ErrorIs(s, s.store.Done(ctx, c, long), receiver.ErrStaleToken)
	assert.Equal(s, receiver.Dead, s.state(c.Key))
}

func (s *suite) repeat() {
	ctx := s.Context()
	c := newClaim()
	s.take(c, long)
	for range 2 {
		assert.NoError(s, s.store.Done(ctx, c, long))
	}
	assert.Equal(s, receiver.Done, s.state(c.Key))
	c = newClaim()
	s.take(c, long)
	for range 2 {
		assert.NoError(s, s.store.Dead(ctx, c, "reason", long))
	}
	assert.Equal(s, receiver.Dead, s.state(c.Key))
}

// extendSettled tests what happens when a handler settles its claim in its own
// transaction: the Receiver extends the claim until the handler has returned.
func (s *suite) extendSettled() {
	ctx := s.Context()
	for state, settle := range map[receiver.State]func(receiver.Claim, time.Duration) error{
		receiver.Done: func(c receiver.Claim, keep time.Duration) error {
			return s.store.Done(ctx, c, keep)
		},
		receiver.Dead: func(c receiver.Claim, keep time.Duration) error {
			return s.store.Dead(ctx, c, "reason", keep)
		},
	} {
		c := newClaim()
		s.take(c, long)
		require.NoError(s, settle(c, long))
		assert.NoError(s, s.store.Extend(ctx, c, short), "after %v", state)
		s.passed()
		assert.Equal(s, state, s.state(c.Key), "it is not forgotten earlier")

		c = newClaim()
		s.take(c, long)
		require.NoError(s, settle(c, 20*short))
		if err := s.store.Extend(ctx, c, long); err != nil { // keep may have passed
			assert.ErrorIs(s, err, receiver.ErrStaleToken)
		}
		s.takeEventually(rival(c), long) // it is not remembered for longer either
		assert.ErrorIs(s, s.store.Extend(ctx, c, long), receiver.ErrStaleToken)
	}
}

func (s *suite) forget() {
	done, dead := newClaim(), newClaim()
	s.take(done, long)
	require.NoError(s, s.store.Done(s.Context(), done, short))
	s.takeEventually(rival(done), long)
	s.take(dead, long)
	require.NoError(s, s.store.Dead(s.Context(), dead, "reason", short))
	s.takeEventually(rival(dead), long)
}

func (s *suite) forgotten() {
	for _, settle := range s.settlements() {
		done, dead := newClaim(), newClaim()
		s.take(done, long)
		s.take(dead, long)
		require.NoError(s, s.store.Done(s.Context(), done, short))
		require.NoError(s, s.store.Dead(s.Context(), dead, "reason", short))
		s.passed()
		for _, c := range []receiver.Claim{done, dead} {
			assert.ErrorIs(s, settle.call(c), receiver.ErrStaleToken, settle.name)
			assert.Equal(s, receiver.Claimed, s.state(c.Key), "after %s", settle.name)
		}
	}
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, _ = s.store.Claim(ctx, newClaim(), short) // a store in memory may succeed
	}()
	select {
	case <-finished:
	case <-time.After(time.Minute):
		s.Error("Claim has not returned a minute after its context was done")
	}
}

// rounds is how often a race is run: a store that loses one race in a hundred passes
// with a probability below 0.05.
const rounds = 300

// rivals is how many callers take part in a race.
const rivals = 8

// compete lets every rival claim every key, all at about the same time, and returns
// the claims that succeeded, by key.
func (s *suite) compete(keys []string) map[string][]receiver.Claim {
	s.Helper()
	var (
		mu      sync.Mutex
		winners = make(map[string][]receiver.Claim)
		wg      sync.WaitGroup
		start   = make(chan struct{})
	)
	for range rivals {
		store := s.open(s.T)
		wg.Go(func() {
			<-start
			for _, key := range keys {
				c := receiver.Claim{Key: key, Token: receiver.NewToken()}
				standing, err := store.Claim(s.Context(), c, long)
				if !assert.NoError(s, err) {
					return
				}
				if standing.State == receiver.Claimed {
					mu.Lock()
					winners[key] = append(winners[key], c)
					mu.Unlock()
				}
			}
		})
	}
	close(start)
	wg.Wait()
	return winners
}

// oneWinner checks that each key has one winner, and that the winner can settle it.
func (s *suite) oneWinner(keys []string, winners map[string][]receiver.Claim) {
	s.Helper()
	for _, key := range keys {
		require.Len(s, winners[key], 1, "winners of one race")
		require.NoError(s, s.store.Done(s.Context(), winners[key][0], long))
	}
}

func (s *suite) race() {
	keys := make([]string, rounds)
	for i := range keys {
		keys[i] = newClaim().Key
	}
	s.oneWinner(keys, s.compete(keys))
}

func (s *suite) raceTakeOver() {
	keys, old := make([]string, rounds), make([]receiver.Claim, rounds)
	for i := range keys {
		old[i] = newClaim()
		keys[i] = old[i].Key
		s.take(old[i], short)
	}
	s.passed()
	winners := s.compete(keys)
	for _, c := range old {
		assert.ErrorIs(s, s.store.Done(s.Context(), c, long), receiver.ErrStaleToken)
	}
	s.oneWinner(keys, winners)
}

// raceExtend extends claims whose lease has ended while another caller claims the keys.
func (s *suite) raceExtend() {
	held := make([]receiver.Claim, rounds)
	for i := range held {
		held[i] = newClaim()
		s.take(held[i], short)
	}
	s.passed()
	var (
		wg                  sync.WaitGroup
		extended, takenOver [rounds]bool
	)
	wg.Go(func() {
		for i, c := range held {
			err := s.store.Extend(s.Context(), c, long)
			if err != nil {
				assert.ErrorIs(s, err, receiver.ErrStaleToken)
			}
			extended[i] = err == nil
		}
	})
	other := s.open(s.T)
	wg.Go(func() {
		for i := range held {
			c := held[rounds-1-i] // in reverse order, so that the two meet
			standing, err := other.Claim(s.Context(), rival(c), long)
			assert.NoError(s, err)
			takenOver[rounds-1-i] = standing.State == receiver.Claimed
		}
	})
	wg.Wait()
	for i := range held {
		assert.NotEqual(s, extended[i], takenOver[i], "extended and taken over, or neither")
	}
}

// bare has the methods of a Deduper and hides all others, as a wrapper does.
type bare struct{ receiver.Deduper }

// wrapped sends events to a Receiver whose Deduper is wrapped.
func (s *suite) wrapped() {
	const secret = "dedupetest-dedupetest"
	var outcomes []receiver.Outcome
	rcv, err := receiver.New(receiver.Config{
		Secrets:   []receiver.Secret{{Value: secret}},
		AllowHTTP: true,
		Dedupe:    bare{s.store},
		// Other tests keep the store busy.
		ClaimTimeout: time.Minute,
		Logger:       slog.New(slog.DiscardHandler),
		Hooks: receiver.Hooks{OnResult: func(r receiver.Result) {
			outcomes = append(outcomes, r.Outcome)
		}},
	})
	require.NoError(s, err)
	send := func(id string, result error) {
		body := strings.NewReader(`{"event_id":"` + id + `","event_type":"dedupetest.sent"}`)
		r := httptest.NewRequestWithContext(s.Context(), http.MethodPost, "/", body)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(receiver.DefaultSecretHeader, secret)
		h := receiver.HandlerFunc(func(context.Context, *event.Event) error { return result })
		rcv.Handler(h).ServeHTTP(httptest.NewRecorder(), r)
	}
	failed := errors.New("failed")
	handled, dead := "evt_"+receiver.NewToken().String(), "evt_"+receiver.NewToken().String()
	send(handled, failed)
	send(handled, nil)
	send(handled, failed)
	send(dead, receiver.Permanent(failed))
	send(dead, nil)
	assert.Equal(s, []receiver.Outcome{
		receiver.Failed, receiver.Handled, receiver.Duplicate, receiver.GivenUp, receiver.Duplicate,
	}, outcomes)
}
