package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// Whatever changes turns has the lock of the line before it waits for a row: a claim could otherwise
// sort the line by what the other transaction is about to change, and what it takes out of the queue
// would never have its turn.
func TestLinesAreLockedBeforeRows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	for name, change := range map[string]func(webhook.Store, webhook.Task, webhook.DeliveryID) error{
		"Settle": func(s webhook.Store, task webhook.Task, _ webhook.DeliveryID) error {
			_, err := s.Settle(t.Context(), time.Now(), []webhook.Settlement{{Lease: task.Lease,
				Status: webhook.StatusSucceeded, Attempt: &webhook.Attempt{StartedAt: time.Now()}}})
			return err
		},
		"Cancel": func(s webhook.Store, task webhook.Task, _ webhook.DeliveryID) error {
			return s.Cancel(t.Context(), time.Now(), "", task.DeliveryID)
		},
		"Skip": func(s webhook.Store, _ webhook.Task, dead webhook.DeliveryID) error {
			return s.Capabilities().Ordering.Skip(t.Context(), time.Now(), "", dead)
		},
		"Replay": func(s webhook.Store, _ webhook.Task, dead webhook.DeliveryID) error {
			return s.Replay(t.Context(), time.Now(), "", dead)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := schemaDSN(t)
			s, err := postgres.Open(t.Context(), dsn, postgres.Config{MaxConns: 3})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			l := sqltest.NewLines(t, s, time.Now().Add(-time.Hour))
			require.NoError(t, l.Emit("slow", 2))
			require.NoError(t, l.Emit("fast", 2))
			tasks, err := l.Claim()
			require.NoError(t, err)
			require.Len(t, tasks, 2)
			require.NoError(t, l.Settle(tasks[1], webhook.StatusDead))

			conn, err := pgx.Connect(t.Context(), dsn)
			require.NoError(t, err)
			defer func() { _ = conn.Close(t.Context()) }()
			tx, err := conn.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), `SELECT id FROM webhooks_deliveries FOR UPDATE`)
			require.NoError(t, err)
			ended := make(chan error, 1)
			go func() { ended <- change(s, tasks[0], tasks[1].DeliveryID) }()
			locks := func(granted bool, kind string) (n int) {
				require.NoError(t, tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks
					WHERE granted = $1 AND locktype = $2 AND ($2 = 'advisory'
						AND classid = 'webhooks_deliveries'::regclass
						OR $2 <> 'advisory' AND $3::int = ANY (pg_blocking_pids(pid)))`,
					granted, kind, conn.PgConn().PID()).Scan(&n))
				return n
			}
			require.Eventually(t, func() bool { return locks(false, "transactionid") == 1 },
				time.Minute, 10*time.Millisecond, "it waits for a row")
			assert.Equal(t, 1, locks(true, "advisory"))
			require.NoError(t, tx.Rollback(t.Context()))
			require.NoError(t, <-ended)
		})
	}
}
