package drivertest

import (
	"database/sql"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver/invalidate"
	"github.com/mixpeek/webhooks-go/receiver/invalidate/counterstest"
	"github.com/mixpeek/webhooks-go/receiver/sqlstore"
)

func TestCounters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		var handles []invalidate.Counters
		for _, handle := range []*sql.DB{db.DB, db.open()} {
			c, err := sqlstore.NewCounters(handle, db.dialect, sqlstore.Config{})
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
