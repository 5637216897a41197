package dispatch_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A replay in the background keeps the order of each subject, over all of its steps, and a limit
// selects the oldest.
func TestStartReplayKeepsTheOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		a, b := ids("a", 220), ids("b", 220)
		for i := range a {
			l.emitAbout(t, "a", a[i])
			l.emitAbout(t, "b", b[i])
		}
		elapse(time.Minute)
		require.Equal(t, a, l.got("a"))
		replay := func(q webhook.DeliveryQuery) *webhook.Replay {
			r, err := l.StartReplay(t.Context(), q, dispatch.ReplayOptions{PerSecond: 1000}, "")
			require.NoError(t, err)
			elapse(5 * time.Minute)
			r, err = l.FindReplay(t.Context(), "", r.ID)
			require.NoError(t, err)
			assert.True(t, r.Ended())
			return r
		}
		assert.EqualValues(t, 440, replay(webhook.DeliveryQuery{}).Replayed)
		assert.Equal(t, slices.Concat(a, a), l.got("a"))
		assert.Equal(t, slices.Concat(b, b), l.got("b"))
		assert.EqualValues(t, 250, replay(webhook.DeliveryQuery{Limit: 250}).Replayed)
		assert.Equal(t, slices.Concat(a, a, a[:125]), l.got("a"))
		between := webhook.DeliveryQuery{After: l.of(t, a[9]).ID, Before: l.of(t, b[20]).ID}
		assert.EqualValues(t, 22, replay(between).Replayed)
		assert.Equal(t, slices.Concat(b, b, b[:125], b[9:20]), l.got("b"))
	})
}
