package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
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

// TestClaimsLockFewLines has many lines whose front is dead and holds them, and events behind. A claim
// passes all of them without the locks of all: a server has room for a few thousand, and refuses
// further ones to everyone.
func TestClaimsLockFewLines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const subjects, page = 1600, 400
	ctx, at := t.Context(), time.Now().Add(-time.Hour)
	s := open(t, schemaDSN(t))
	var subs []*webhook.Subscription
	for range subjects / page {
		sub := sqltest.NewSubscription()
		sub.EventTypes = []event.Pattern{event.Pattern("lines.of" + sub.ID)}
		sub.Ordering = &webhook.Ordering{}
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
		subs = append(subs, sub)
	}
	emit := func(round string) {
		for i, sub := range subs {
			var events []webhook.NewEvent
			for n := range page {
				id := fmt.Sprint(i, "-", n)
				events = append(events, webhook.NewEvent{ID: "evt_" + round + id, Payload: []byte(`{}`),
					Type:    string(sub.EventTypes[0]),
					Subject: event.Subject{Type: "object", ID: id}})
			}
			require.NoError(t, errorOf(s.Enqueue(ctx, at, events, nil)))
		}
	}
	claim := func() []webhook.Task {
		tasks, err := s.Claim(ctx, at, webhook.ClaimRequest{Until: at.Add(time.Minute), Limit: 512,
			PerEndpoint: 128})
		require.NoError(t, err)
		return tasks
	}
	emit("first")
	for dead := 0; dead < subjects; {
		tasks := claim()
		require.NotEmpty(t, tasks)
		var settlements []webhook.Settlement
		for _, task := range tasks {
			settlements = append(settlements, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusDead,
				Attempt: &webhook.Attempt{StartedAt: at}})
		}
		require.NoError(t, errorOf(s.Settle(ctx, at, settlements)))
		dead += len(tasks)
	}
	emit("second")
	_, err := s.Enqueue(ctx, at.Add(time.Microsecond), []webhook.NewEvent{{ID: "evt_last",
		Type: string(subs[0].EventTypes[0]), Payload: []byte(`{}`),
		Subject: event.Subject{Type: "object", ID: "of its own"}}}, nil)
	require.NoError(t, err)

	watch := connect(t, s.dsn)
	claimed := make(chan []webhook.Task, 1)
	at = at.Add(time.Second)
	go func() { claimed <- claim() }()
	for most := 0; ; {
		var n int
		require.NoError(t, watch.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE
			locktype = 'advisory' AND classid = 'webhooks_deliveries'::regclass`).Scan(&n))
		most = max(most, n)
		select {
		case tasks := <-claimed:
			require.Len(t, tasks, 1)
			assert.Equal(t, "evt_last", tasks[0].EventID)
			t.Logf("at most %d locks were seen", most)
			assert.Less(t, most, 1100)
			return
		default:
		}
	}
}
