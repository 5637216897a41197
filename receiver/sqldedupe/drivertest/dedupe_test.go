package drivertest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/dedupetest"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

func TestDedupeRules(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		dedupetest.Run(t, func(*testing.T) receiver.Deduper { return store })
	})
}

// The rules hold between handles with a pool each, as different processes have.
func TestDedupeRulesAcrossHandles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		stores := []receiver.Deduper{db.dedupe(t)}
		other, err := sqldedupe.NewDedupe(db.open(), db.dialect, sqldedupe.Config{})
		require.NoError(t, err)
		stores = append(stores, other)
		var mu sync.Mutex
		next := 0
		dedupetest.Run(t, func(*testing.T) receiver.Deduper {
			mu.Lock()
			defer mu.Unlock()
			next++
			return stores[next%len(stores)]
		})
	})
}

// Processes that start at the same time can all create the table.
func TestCreateTableAtTheSameTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		createTogether(t, db)
	})
}

// Processes that open a new file at the same time all switch it to write-ahead logging, which
// may fail for all but one.
func TestCreateTableInANewFile(t *testing.T) {
	t.Parallel()
	files := 30
	if testing.Short() {
		files = 3
	}
	for range files {
		createTogether(t, openSQLite(t))
	}
}

// createTogether creates the tables from eight handles at the same time.
func createTogether(t *testing.T, db database) {
	t.Helper()
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		d := db.open()
		wg.Go(func() {
			<-begin
			store, err := sqldedupe.NewDedupe(d, db.dialect, sqldedupe.Config{})
			assert.NoError(t, err)
			assert.NoError(t, store.CreateTable(t.Context()))
			counters, err := sqldedupe.NewCounters(d, db.dialect, sqldedupe.Config{})
			assert.NoError(t, err)
			assert.NoError(t, counters.CreateTable(t.Context()))
		})
	}
	close(begin)
	wg.Wait()
}

func take(t *testing.T, store receiver.Deduper, key string, lease time.Duration) receiver.Claim {
	t.Helper()
	c := receiver.Claim{Key: key, Token: receiver.NewToken()}
	standing, err := store.Claim(t.Context(), c, lease)
	require.NoError(t, err)
	require.Equal(t, receiver.Claimed, standing.State)
	return c
}

// passed waits until all leases of a millisecond have ended.
func passed(t *testing.T, store receiver.Deduper) {
	t.Helper()
	c := take(t, store, "passed", time.Millisecond)
	require.Eventually(t, func() bool {
		standing, err := store.Claim(t.Context(),
			receiver.Claim{Key: c.Key, Token: receiver.NewToken()}, time.Hour)
		require.NoError(t, err)
		return standing.State == receiver.Claimed
	}, time.Minute, time.Millisecond)
}

// Prune removes the rows whose time has passed and no others.
func TestPrune(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		ctx, store := t.Context(), db.dedupe(t)
		for _, key := range []string{"over 1", "over 2", "over 3"} {
			require.NoError(t, store.Done(ctx, take(t, store, key, time.Hour), time.Millisecond))
		}
		require.NoError(t, store.Done(ctx, take(t, store, "done", time.Hour), time.Hour))
		require.NoError(t, store.Dead(ctx, take(t, store, "dead", time.Hour), "broken", time.Hour))
		take(t, store, "claimed", time.Hour)
		take(t, store, "late", time.Millisecond)
		take(t, store, "long gone", time.Millisecond)
		db.exec(t,
			"UPDATE webhook_receiver_claims SET until_ms = until_ms - 3600001 WHERE claim_key = 'long gone'")

		passed(t, store)
		_, err := store.Prune(ctx, -1)
		require.ErrorContains(t, err, "negative")
		var removed []int64
		for _, limit := range []int{2, 0, 2} {
			n, err := store.Prune(ctx, limit)
			require.NoError(t, err)
			removed = append(removed, n)
		}
		assert.Equal(t, []int64{2, 2, 0}, removed)
		assert.Equal(t, 5, db.number(t, "SELECT count(*) FROM webhook_receiver_claims"),
			"done, dead, claimed, late and passed")
		assert.Equal(t, 1, db.number(t,
			"SELECT count(*) FROM webhook_receiver_claims WHERE claim_key = 'dead' AND state = 3 AND "+
				"reason = 'broken'"))
	})
}

// A table may have another name, and in PostgreSQL another schema.
func TestTableName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		tables := []string{"mine"}
		if db.dialect == sqldedupe.PostgreSQL() {
			schema := ""
			require.NoError(t, db.QueryRowContext(t.Context(),
				"SELECT current_schema()").Scan(&schema))
			tables = append(tables, schema+".mine_too")
		}
		for _, table := range tables {
			store, err := sqldedupe.NewDedupe(db.DB, db.dialect, sqldedupe.Config{Table: table})
			require.NoError(t, err)
			require.NoError(t, store.CreateTable(t.Context()))
			take(t, store, "evt_1", time.Hour)
			assert.Equal(t, 1, db.number(t, "SELECT count(*) FROM "+table))
		}
	})
}
