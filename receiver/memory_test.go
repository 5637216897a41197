package receiver_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/dedupetest"
)

func TestMemoryRules(t *testing.T) {
	t.Parallel()
	m := newMemory(t, receiver.MemoryConfig{})
	dedupetest.Run(t, func(*testing.T) receiver.Deduper { return m })
}

func fill(t *testing.T, m *receiver.Memory, key string) (receiver.Claim, error) {
	t.Helper()
	c := receiver.Claim{Key: key, Token: receiver.NewToken()}
	standing, err := m.Claim(t.Context(), c, time.Minute)
	if err == nil {
		require.Equal(t, receiver.Claimed, standing.State)
	}
	return c, err
}

// A full Memory refuses new events and forgets none before its time.
func TestMemoryRefusesRatherThanForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 3})
		for i, keep := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
			c, err := fill(t, m, fmt.Sprint("evt_", i))
			require.NoError(t, err)
			require.NoError(t, m.Done(t.Context(), c, keep))
		}
		_, err := fill(t, m, "evt_new")
		require.ErrorIs(t, err, receiver.ErrFull)
		assert.Equal(t, 3, m.Len())

		standing, err := m.Claim(t.Context(), receiver.Claim{Key: "evt_0"}, time.Minute)
		require.NoError(t, err, "a known key needs no room")
		assert.Equal(t, receiver.Done, standing.State)

		time.Sleep(time.Hour)
		c, err := fill(t, m, "evt_new")
		require.NoError(t, err, "a key whose time has passed makes room")
		require.NoError(t, m.Release(t.Context(), c))
		assert.Equal(t, 2, m.Len(), "so does a released key")
	})
}

// A claim is not forgotten within its grace, or a late handler could not settle it.
func TestMemoryKeepsLateClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 1})
		c, err := fill(t, m, "evt_late")
		require.NoError(t, err)
		time.Sleep(time.Minute + receiver.Grace/2)
		_, err = fill(t, m, "evt_new")
		require.ErrorIs(t, err, receiver.ErrFull)
		require.NoError(t, m.Done(t.Context(), c, time.Minute))
		time.Sleep(time.Minute)
		_, err = fill(t, m, "evt_new")
		require.NoError(t, err)
		time.Sleep(time.Minute + receiver.Grace)
		_, err = fill(t, m, "evt_newer")
		require.NoError(t, err, "its grace has ended")
	})
}

// If the Memory is full, the sender gets the same answer as if the store failed.
func TestMemoryFullIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) {
		c.Dedupe = newMemory(t, receiver.MemoryConfig{MaxKeys: 1})
	})
	h := b.Handler(receiver.HandlerFunc(ok))
	assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
	assert.Equal(t, 503, serve(h, post(envelope(t, "evt_2"))).Code)
	assert.ErrorIs(t, b.results[1].Err, receiver.ErrFull)
}

// handle claims and settles a key of a sender.
func handle(t *testing.T, m *receiver.Memory, s receiver.Sender, key string) error {
	t.Helper()
	c := receiver.Claim{Key: key, Token: receiver.NewToken(), Sender: s}
	standing, err := m.Claim(t.Context(), c, time.Minute)
	if err != nil {
		return err
	}
	require.Equal(t, receiver.Claimed, standing.State)
	return m.Done(t.Context(), c, receiver.DefaultKeep)
}

func stateOf(t *testing.T, m *receiver.Memory, key string) receiver.State {
	t.Helper()
	c := receiver.Claim{Key: key, Token: receiver.NewToken()}
	standing, err := m.Claim(t.Context(), c, time.Minute)
	require.NoError(t, err)
	if standing.State == receiver.Claimed {
		require.NoError(t, m.Release(t.Context(), c))
	}
	return standing.State
}

// logged returns a logger and its output.
func logged() (*slog.Logger, *bytes.Buffer) {
	b := new(bytes.Buffer)
	return slog.New(slog.NewTextHandler(b, nil)), b
}

// If a week of events does not fit, but as many as come while senders retry, none is
// refused: the keys that were settled before that are forgotten, the oldest first, and the
// log has a warning days before.
func TestMemoryOutlivesAWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logger, log := logged()
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 1000, Logger: logger})
		const every = 10 * time.Minute // 1008 a week, 432 in 72 hours
		warned := time.Duration(0)
		start := time.Now()
		for i := range 3000 {
			require.NoError(t, handle(t, m, 0, fmt.Sprint("evt_", i)))
			if warned == 0 && strings.Contains(log.String(), "filling up") {
				warned = time.Since(start)
			}
			time.Sleep(every)
		}
		assert.InDelta(t, 700*every, warned, float64(every), "days before it is full")
		assert.Contains(t, log.String(), "forgotten before Keep")
		assert.LessOrEqual(t, strings.Count(log.String(), "\n"), 2*21,
			"each warning at most once a day")
		assert.Less(t, m.Len(), 1000)
		for i := range 880 { // all but the oldest are remembered
			require.Equal(t, receiver.Done, stateOf(t, m, fmt.Sprint("evt_", 2999-i)), i)
		}
	})
}

// At a higher rate new events are refused: all remembered events may be sent again.
func TestMemoryForgetsNothingThatMayComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 90, Horizon: 10 * time.Hour,
			Logger: slog.New(slog.DiscardHandler)})
		for i := range 80 {
			require.NoError(t, handle(t, m, 0, fmt.Sprint("evt_", i)))
		}
		late, err := fill(t, m, "evt_late")
		require.ErrorIs(t, err, receiver.ErrFull)
		time.Sleep(10*time.Hour - time.Second)
		require.ErrorIs(t, handle(t, m, 0, "evt_new"), receiver.ErrFull)
		assert.Equal(t, receiver.Done, stateOf(t, m, "evt_0"))
		time.Sleep(time.Second)
		_, err = m.Claim(t.Context(), late, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, receiver.Done, stateOf(t, m, "evt_1"), "no more than necessary")
		assert.Equal(t, 80, m.Len())
	})
}

// A claim is never forgotten to make room, and can be taken over in a full Memory when its
// lease has ended.
func TestMemoryNeverForgetsAClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 9, Horizon: time.Second})
		var claims []receiver.Claim
		for i := range 8 {
			c, err := fill(t, m, fmt.Sprint("evt_", i))
			require.NoError(t, err)
			claims = append(claims, c)
		}
		for range 59 { // in another minute the grace of the first ends
			time.Sleep(time.Minute)
			require.ErrorIs(t, handle(t, m, 0, "evt_new"), receiver.ErrFull)
		}
		next := receiver.Claim{Key: "evt_0", Token: receiver.NewToken(), Sender: 7}
		standing, err := m.Claim(t.Context(), next, time.Minute)
		require.NoError(t, err, "it needs no further room")
		assert.Equal(t, receiver.Claimed, standing.State)
		for _, c := range claims[1:] {
			require.NoError(t, m.Done(t.Context(), c, time.Hour))
		}
		require.ErrorIs(t, m.Done(t.Context(), claims[0], time.Hour), receiver.ErrStaleToken)
		require.NoError(t, m.Done(t.Context(), next, time.Hour))
		assert.Equal(t, 8, m.Len())
	})
}

// One sender cannot take the room of all, and no keys of other senders are forgotten for it.
func TestMemoryIsShared(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a tenth of a second of CPU time")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const victim, greedy, late = receiver.Sender(1), receiver.Sender(2), receiver.Sender(3)
		logger, _ := logged()
		m := newMemory(t, receiver.MemoryConfig{MaxKeys: 9000, Logger: logger})
		refused := 0
		for i := range 20_000 {
			if err := handle(t, m, greedy, fmt.Sprint("greedy_", i)); err != nil {
				require.ErrorIs(t, err, receiver.ErrFull)
				refused++
			}
			if i%100 == 0 {
				require.NoError(t, handle(t, m, victim, fmt.Sprint("victim_", i)))
			}
		}
		assert.InDelta(t, 20_000-7900, refused, 200)
		for i := range 100 {
			require.NoError(t, handle(t, m, late, fmt.Sprint("late_", i)),
				"a new sender")
		}
		time.Sleep(receiver.DefaultHorizon)
		for i := range 20_000 {
			require.NoError(t, handle(t, m, greedy, fmt.Sprint("later_", i)))
			time.Sleep(time.Minute)
		}
		assert.LessOrEqual(t, m.Len(), 9000)
	})
}

// Keys that are settled repeatedly take no further memory. The test is not parallel, because
// it measures the heap.
func TestMemoryOfFewKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := newMemory(t, receiver.MemoryConfig{})
	require.NoError(t, handle(t, m, 0, "evt_long"))
	size := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	c := receiver.Claim{Key: "evt_short", Token: receiver.NewToken()}
	_, err := m.Claim(t.Context(), c, time.Minute)
	require.NoError(t, err)
	before := size()
	for range 500_000 {
		require.NoError(t, m.Done(t.Context(), c, time.Hour))
	}
	assert.Less(t, int64(size())-int64(before), int64(4<<20)) // a queue of all of them has 12 MB
	assert.Equal(t, 2, m.Len())
}

// A Sender names its credentials.
func TestSender(t *testing.T) {
	t.Parallel()
	old := "the-old-secret-of-another-sender"
	b := setup(t, func(c *receiver.Config) {
		c.Secrets = append(c.Secrets, receiver.Secret{Value: old})
	})
	d, err := b.Check(post(envelope(t, "evt_1")))
	require.NoError(t, err)
	assert.Equal(t, "secret 0", d.Claim.Sender.String())
	r := post(envelope(t, "evt_1"))
	r.Header.Set(receiver.DefaultSecretHeader, old)
	d, err = b.Check(r)
	require.NoError(t, err)
	assert.Equal(t, "secret 1", d.Claim.Sender.String())
	assert.Equal(t, "unknown", receiver.Sender(0).String())
}
