package drivertest

import (
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver/invalidate"
	"github.com/mixpeek/webhooks-go/receiver/invalidate/counterstest"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

func TestCounters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		var handles []invalidate.Counters
		for _, handle := range []*sql.DB{db.DB, db.open()} {
			c, err := sqldedupe.NewCounters(handle, db.dialect, sqldedupe.Config{})
			require.NoError(t, err)
			require.NoError(t, c.CreateTable(t.Context()))
			handles = append(handles, c)
		}
		var next atomic.Int64
		counterstest.Run(t, func(*testing.T) invalidate.Counters {
			return handles[next.Add(1)%2]
		})
	})
}

// A number that was lost does not return, even if it was only read.
func TestCountersAfterALoss(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		ctx := t.Context()
		c, err := sqldedupe.NewCounters(db.DB, db.dialect, sqldedupe.Config{})
		require.NoError(t, err)
		require.NoError(t, c.CreateTable(ctx))
		before, err := c.Read(ctx, "a", "a", "b")
		require.NoError(t, err)
		assert.Equal(t, before[0], before[1])
		db.exec(t, "DELETE FROM webhook_receiver_generations WHERE name = 'a'")
		after, err := c.Read(ctx, "a", "b")
		require.NoError(t, err)
		assert.InDelta(t, time.Now().UnixMilli(), after[0], float64(time.Hour.Milliseconds()),
			"it starts at the time")
		assert.GreaterOrEqual(t, after[0], before[0])
		assert.Equal(t, before[2], after[1], "what was not lost stays")
	})
}
