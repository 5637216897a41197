package dedupetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// long is a lease, or a time to remember, that no test outlives.
const long = time.Hour

// short is one that ends at once: the suite waits for that by asking.
const short = time.Millisecond

// Run runs the suite. Each call of open returns a handle on one and the same
// store, as another process would have it; handles may be the same value. The
// suite uses keys of its own and leaves them behind.
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
	{"an absent key is claimed by who asks first", (*suite).claim},
	{"a handle sees what another one did", (*suite).shared},
	{"keys are apart", (*suite).keys},
	{"a key is one key, whoever sends it", (*suite).senders},
	{"done is remembered", (*suite).done},
	{"dead is remembered", (*suite).dead},
	{"a released key is absent", (*suite).release},
	{"a lease that has ended can be taken over", (*suite).takeOver},
	{"a lease that was extended cannot be taken over", (*suite).extend},
	{"a lease that has ended and was not taken over still counts", (*suite).lateButHeld},
	{"a stale token changes nothing", (*suite).stale},
	{"an absent key has no holder", (*suite).absent},
	{"a settled key has no holder", (*suite).settled},
	{"settling may be repeated", (*suite).repeat},
	{"extending what was settled changes nothing and is no error", (*suite).extendSettled},
	{"what was remembered long enough is absent", (*suite).forget},
	{"of concurrent claims one wins", (*suite).race},
	{"of concurrent take-overs one wins", (*suite).raceTakeOver},
	{"of an extension and a take-over one wins", (*suite).raceExtend},
	{"a context that is done ends the call", (*suite).cancelled},
}

// suite is what one rule is tested with.
type suite struct {
	*testing.T
	open  func(*testing.T) receiver.Deduper
	store receiver.Deduper
}

// newClaim is a claim of a key that was never used.
func newClaim() receiver.Claim {
	return receiver.Claim{Key: "dedupetest/" + receiver.NewToken().String(), Token: receiver.NewToken()}
}

// rival is another claim of the same key.
func rival(c receiver.Claim) receiver.Claim {
	return receiver.Claim{Key: c.Key, Token: receiver.NewToken()}
}

// state asks for the key, in the name of a rival, without keeping it.
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

// take claims a key that has to be free.
func (s *suite) take(c receiver.Claim, lease time.Duration) {
	s.Helper()
	standing, err := s.store.Claim(s.Context(), c, lease)
	require.NoError(s, err)
	require.Equal(s, receiver.Claimed, standing.State)
}

// takeEventually claims a key as soon as it is free.
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
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(short) {
		if time.Now().After(deadline) {
			s.Fatal("did not happen within 10s: does the store's clock run?")
		}
	}
}

func (s *suite) claim() {
	c := newClaim()
	s.take(c, long)
	standing, err := s.store.Claim(s.Context(), rival(c), long)
	require.NoError(s, err)
	assert.Equal(s, receiver.InFlight, standing.State)
	assert.Greater(s, standing.Remaining, long-time.Minute, "Remaining says how long the lease lasts")
	assert.LessOrEqual(s, standing.Remaining, long+time.Second)
}

func (s *suite) shared() {
	c, other := newClaim(), s.open(s.T)
	s.take(c, long)
	standing, err := other.Claim(s.Context(), rival(c), long)
	require.NoError(s, err)
	assert.Equal(s, receiver.InFlight, standing.State)
	require.NoError(s, other.Done(s.Context(), c, long), "the token is what counts, not the handle")
	assert.Equal(s, receiver.Done, s.state(c.Key))
}

func (s *suite) keys() {
	c := newClaim()
	s.take(c, long)
	for _, key := range []string{c.Key + "x", c.Key[:len(c.Key)-1], c.Key + "%", c.Key + "'", c.Key + "*"} {
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
	require.NoError(s, s.store.Done(s.Context(), c, long), "the token is what counts")
	assert.Equal(s, receiver.Done, s.state(c.Key))
}

func (s *suite) done() {
	c := newClaim()
	s.take(c, long)
	require.NoError(s, s.store.Done(s.Context(), c, long))
	assert.Equal(s, receiver.Done, s.state(c.Key))
	assert.Equal(s, receiver.Done, s.state(c.Key), "asking does not change it")
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
		"who released a key and sees it claimed again has no say in it")
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

// passed waits until leases of the length short that began before are over.
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

// settlement is one of the calls that need the latest token.
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
		assert.ErrorIs(s, settle.call(rival(c)), receiver.ErrStaleToken, "%s with a token that never held the key", settle.name)
		assert.Equal(s, receiver.InFlight, s.state(c.Key), "after %s", settle.name)

		late := newClaim()
		s.take(late, short)
		next := rival(late)
		s.takeEventually(next, long)
		assert.ErrorIs(s, settle.call(late), receiver.ErrStaleToken, "%s after a take-over", settle.name)
		assert.Equal(s, receiver.InFlight, s.state(late.Key), "after %s", settle.name)
		require.NoError(s, s.store.Release(s.Context(), next))
		assert.ErrorIs(s, settle.call(late), receiver.ErrStaleToken, "%s after a take-over that was released", settle.name)
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

// extendSettled is what happens when a handler settles its claim in a
// transaction of its own: the claim is extended until the handler has returned.
func (s *suite) extendSettled() {
	ctx := s.Context()
	for state, settle := range map[receiver.State]func(receiver.Claim, time.Duration) error{
		receiver.Done: func(c receiver.Claim, keep time.Duration) error { return s.store.Done(ctx, c, keep) },
		receiver.Dead: func(c receiver.Claim, keep time.Duration) error { return s.store.Dead(ctx, c, "reason", keep) },
	} {
		c := newClaim()
		s.take(c, long)
		require.NoError(s, settle(c, long))
		assert.NoError(s, s.store.Extend(ctx, c, short), "after %v", state)
		s.passed()
		assert.Equal(s, state, s.state(c.Key), "it is not remembered for less long")

		c = newClaim()
		s.take(c, long)
		require.NoError(s, settle(c, 20*short))
		if err := s.store.Extend(ctx, c, long); err != nil { // it may be forgotten by now
			assert.ErrorIs(s, err, receiver.ErrStaleToken)
		}
		s.takeEventually(rival(c), long) // nor for longer
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

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, _ = s.store.Claim(ctx, newClaim(), short) // a store in memory may well succeed
	}()
	select {
	case <-finished:
	case <-time.After(10 * time.Second):
		s.Error("Claim did not return although its context was done")
	}
}

// rounds is how often a race is run: one that is lost once in a hundred times
// passes with a probability below 0.05.
const rounds = 300

// rivals is how many take part in each.
const rivals = 8

// compete has every rival claim every key, all at about the same time, and
// returns who won each.
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

// oneWinner checks that each key has one, who can settle.
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

// raceExtend has the late holder of each key extend it while another claims it.
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
			c := held[rounds-1-i] // the other way round, so that they meet
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
