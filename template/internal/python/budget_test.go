package python

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLongRendersPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(t.Context(), Limits{Steps: 100 * contextEvery})
		paused := func(worked time.Duration) bool {
			time.Sleep(worked)
			began := time.Now()
			require.NoError(t, b.Spend(contextEvery))
			return time.Since(began) > 0
		}
		require.False(t, paused(time.Second), "a render begins with its first look")
		require.False(t, paused(pauseEvery-time.Nanosecond))
		require.True(t, paused(time.Nanosecond))
		require.False(t, paused(pauseEvery-time.Nanosecond), "the time counts from the last pause")
		require.True(t, paused(time.Nanosecond))
	})
}
