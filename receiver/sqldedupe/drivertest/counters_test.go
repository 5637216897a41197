package drivertest

import (
	"database/sql"
	"fmt"
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

// Numbers that have not changed for a month are removed, such as those of names that nobody has.
// They do not return.
func TestPruneCounters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		ctx := t.Context()
		c, err := sqldedupe.NewCounters(db.DB, db.dialect, sqldedupe.Config{})
		require.NoError(t, err)
		require.NoError(t, c.CreateTable(ctx))
		before, err := c.Read(ctx, "a", "b", "c", "bumped", "new")
		require.NoError(t, err)
		db.exec(t, fmt.Sprint("UPDATE webhook_receiver_generations SET generation = generation - ",
			(30*24*time.Hour).Milliseconds(), " WHERE name <> 'new'"))
		require.NoError(t, c.Bump(ctx, "bumped"))
		_, err = c.Prune(ctx, -1)
		require.ErrorContains(t, err, "negative")
		for _, want := range []int64{2, 1, 0} {
			removed, err := c.Prune(ctx, 2)
			require.NoError(t, err)
			assert.Equal(t, want, removed)
		}
		assert.Equal(t, 2, db.number(t, "SELECT count(*) FROM webhook_receiver_generations"))
		after, err := c.Read(ctx, "a", "b", "c", "bumped", "new")
		require.NoError(t, err)
		for i := range 4 {
			assert.GreaterOrEqual(t, after[i], before[i])
		}
		assert.Equal(t, before[4], after[4])
		removed, err := c.Prune(ctx, 0)
		require.NoError(t, err)
		assert.Zero(t, removed)
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
