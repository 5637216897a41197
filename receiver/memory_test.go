package receiver_test

import (
	"fmt"
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
	m := receiver.NewMemory(receiver.MemoryConfig{})
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

// A full memory refuses what is new and forgets nothing before its time.
func TestMemoryRefusesRatherThanForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := receiver.NewMemory(receiver.MemoryConfig{MaxKeys: 3})
		for i, keep := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
			c, err := fill(t, m, fmt.Sprint("evt_", i))
			require.NoError(t, err)
			require.NoError(t, m.Done(t.Context(), c, keep))
		}
		_, err := fill(t, m, "evt_new")
		require.ErrorIs(t, err, receiver.ErrFull)
		assert.Equal(t, 3, m.Len())

		standing, err := m.Claim(t.Context(), receiver.Claim{Key: "evt_0"}, time.Minute)
		require.NoError(t, err, "what is known is answered though there is no room")
		assert.Equal(t, receiver.Done, standing.State)

		time.Sleep(time.Hour)
		c, err := fill(t, m, "evt_new")
		require.NoError(t, err, "what is over makes room")
		require.NoError(t, m.Release(t.Context(), c))
		assert.Equal(t, 2, m.Len(), "so does what is released")
	})
}

// An event whose handler is late may not be forgotten within its grace, or its
// outcome could not be recorded.
func TestMemoryKeepsLateClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := receiver.NewMemory(receiver.MemoryConfig{MaxKeys: 1})
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
		require.NoError(t, err, "nobody settles it any more")
	})
}

// The sender hears of a full memory as of any store that is down.
func TestMemoryFullIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) { c.Dedupe = receiver.NewMemory(receiver.MemoryConfig{MaxKeys: 1}) })
	h := b.Handler(receiver.HandlerFunc(ok))
	assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
	assert.Equal(t, 503, serve(h, post(envelope(t, "evt_2"))).Code)
	assert.ErrorIs(t, b.results[1].Err, receiver.ErrFull)
}
