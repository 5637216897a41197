//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

var everythingDuration = flag.Duration("everything.duration", 0,
	"how long TestEverythingAtOnce goes on; 0 skips it, and less than 4m sees nothing pruned")

// What the processes of TestEverythingAtOnce keep, so that Prune has something to do.
var everythingRetention = dispatch.Retention{Succeeded: 45 * time.Second, Dead: 90 * time.Second}

// doEverything is a process that emits, emits in transactions, changes subscriptions, replays,
// cancels and delivers, until it is terminated. A steady one says from time to time what it uses.
func doEverything(cfg childConfig) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d, store, err := childDispatcher(ctx, cfg)
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, cfg.DSN+"&pool_max_conns=2")
	if err != nil {
		return err
	}
	defer pool.Close()
	var all sync.WaitGroup
	for name, each := range map[string]struct {
		pause time.Duration
		do    func(context.Context, *dispatch.Dispatcher, *pgxpool.Pool) error
	}{
		"emit":    {150 * time.Millisecond, emitOne},
		"emitTx":  {200 * time.Millisecond, emitInTx},
		"change":  {250 * time.Millisecond, changeOne},
		"replay":  {300 * time.Millisecond, replayDead},
		"cancel":  {400 * time.Millisecond, cancelOne},
		"history": {500 * time.Millisecond, readHistory},
	} {
		all.Go(func() {
			for ctx.Err() == nil {
				err := each.do(context.WithoutCancel(ctx), d, pool)
				switch {
				case err == nil, errors.Is(err, webhook.ErrNotFound), errors.Is(err, webhook.ErrConflict),
					errors.Is(err, webhook.ErrWrongStatus):
				case errors.Is(err, webhook.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
					// On a machine that is busy. The call may have taken effect or not.
					say("unavailable", name)
				default:
					fmt.Fprintln(os.Stderr, "child:", name+":", err)
					os.Exit(1)
				}
				time.Sleep(each.pause/2 + rand.N(each.pause))
			}
		})
	}
	if cfg.Steady {
		all.Go(func() {
			for ctx.Err() == nil {
				say("uses", usage())
				time.Sleep(2 * time.Second)
			}
		})
	}
	runCtx, stopRun := context.WithCancel(context.Background())
	defer stopRun()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(runCtx) }()
	<-ctx.Done()
	all.Wait()
	stopRun()
	if err := <-ended; err != nil {
		return err
	}
	return store.Close()
}

// usage is how many goroutines, descriptors and bytes of live objects a process has.
func usage() string {
	files, _ := os.ReadDir("/dev/fd")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprint(runtime.NumGoroutine(), ",", len(files), ",", m.HeapAlloc)
}

func emitOne(ctx context.Context, d *dispatch.Dispatcher, _ *pgxpool.Pool) error {
	e := newChildEvent()
	say("tried", e.ID)
	if _, err := d.Emit(ctx, e); err != nil {
		return err
	}
	say("accepted", e.ID)
	return nil
}

// emitInTx rolls every fourth transaction back.
func emitInTx(ctx context.Context, d *dispatch.Dispatcher, pool *pgxpool.Pool) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	e := newChildEvent()
	undo := rand.IntN(4) == 0
	if undo {
		say("undone", e.ID)
	} else {
		say("tried", e.ID)
	}
	if _, err := d.EmitTx(ctx, postgres.Tx(tx), e); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	time.Sleep(rand.N(50 * time.Millisecond))
	if undo {
		return tx.Rollback(ctx)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	say("accepted", e.ID)
	return nil
}

// changeOne pauses one of the subscriptions for a moment, or makes another one that matches nothing,
// changes it and deletes it.
func changeOne(ctx context.Context, d *dispatch.Dispatcher, _ *pgxpool.Pool) error {
	if rand.IntN(4) > 0 {
		other := &webhook.Subscription{Name: "other", EventTypes: []event.Pattern{"never.sent"},
			Channels: []webhook.ChannelConfig{{Channel: "webhook",
				Configs: []byte(`{"url":"http://127.0.0.1:1/"}`)}}}
		if err := d.CreateSubscription(ctx, other); err != nil {
			return err
		}
		other.Name = "changed"
		return errors.Join(d.UpdateSubscription(ctx, other),
			d.DeleteSubscription(ctx, "", other.ID, 0))
	}
	list, err := d.Subscriptions(ctx, webhook.SubscriptionQuery{})
	if err != nil {
		return err
	}
	sub := list[rand.IntN(len(list))]
	sub.Paused = !sub.Paused
	if err := d.UpdateSubscription(ctx, sub); err != nil || !sub.Paused {
		return err
	}
	time.Sleep(rand.N(100 * time.Millisecond))
	sub.Paused = false
	return d.UpdateSubscription(ctx, sub)
}

func replayDead(ctx context.Context, d *dispatch.Dispatcher, _ *pgxpool.Pool) error {
	dead, err := d.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusDead, Limit: 10,
		WithoutAttempts: true})
	if err != nil || len(dead) == 0 {
		return err
	}
	return d.Replay(ctx, "", dead[rand.IntN(len(dead))].ID)
}

func cancelOne(ctx context.Context, d *dispatch.Dispatcher, _ *pgxpool.Pool) error {
	pending, err := d.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusPending, Limit: 10,
		WithoutAttempts: true})
	if err != nil || len(pending) == 0 {
		return err
	}
	return d.Cancel(ctx, "", pending[rand.IntN(len(pending))].ID)
}

func readHistory(ctx context.Context, d *dispatch.Dispatcher, _ *pgxpool.Pool) error {
	_, err := d.Deliveries(ctx, webhook.DeliveryQuery{Limit: 50})
	if err != nil {
		return err
	}
	_, err = d.Totals(ctx, webhook.TotalsQuery{})
	return err
}

// everything is what the test knows of the processes.
type everything struct {
	*service
	mu     sync.Mutex
	undone map[string]bool
	failed map[string]int   // calls that the store was not available for
	uses   map[int][][3]int // of each steady process
	tailed map[string]int   // how often a tail had the event
}

func (x *everything) startOne(steady int) *child {
	x.t.Helper()
	c := startChild(x.t, childConfig{Mode: "everything", DSN: x.dsn, Lease: x.lease, Steady: steady > 0},
		func(what, text string) {
			switch what {
			case "undone":
				x.mu.Lock()
				defer x.mu.Unlock()
				x.undone[text] = true
			case "unavailable":
				x.mu.Lock()
				defer x.mu.Unlock()
				x.failed[text]++
			case "uses":
				var of [3]int
				for i, n := range strings.Split(text, ",") {
					of[i], _ = strconv.Atoi(n)
				}
				x.mu.Lock()
				defer x.mu.Unlock()
				x.uses[steady] = append(x.uses[steady], of)
			default:
				x.heard(what, text)
			}
		})
	c.await(x.t, "accepted")
	return c
}

// tail reads what is emitted to a subscription, from its beginning, until ctx ends.
func (x *everything) tail(ctx context.Context, d *dispatch.Dispatcher) error {
	for id := range x.hooks {
		for record, err := range d.Tail(ctx, webhook.TailQuery{SubscriptionID: id, WithoutPayload: true}) {
			if err != nil {
				return err
			}
			x.mu.Lock()
			x.tailed[record.Delivery.EventID]++
			x.mu.Unlock()
		}
		break // one of them
	}
	return nil
}

// TestEverythingAtOnce has eight processes on one database that emit, emit in transactions, change,
// replay, cancel, prune and deliver. Six of them are killed, paused and replaced again and again, so
// that some have results for what others have taken over meanwhile. Two live throughout, a tail is
// read, and a transaction elsewhere stays open from the beginning to the end. Then all is accounted
// for, also what was pruned, and the two that lived use no more than they did at first:
//
//	go test ./webhook/postgres -run TestEverythingAtOnce -v -timeout 0 -everything.duration 1h
func TestEverythingAtOnce(t *testing.T) {
	if *everythingDuration == 0 {
		t.Skip("takes minutes: see -everything.duration")
	}
	t.Parallel()
	ctx := t.Context()
	const lease = 5 * time.Second
	x := &everything{service: newServiceWith(t, lease, newEndpoint(t, true, lease/2), everythingTriggers),
		undone: make(map[string]bool), failed: make(map[string]int), uses: make(map[int][][3]int),
		tailed: make(map[string]int)}
	holder := holdTransaction(t, schemaDSN(t))

	d, store, err := childDispatcher(ctx, childConfig{DSN: x.dsn, Lease: x.lease})
	require.NoError(t, err)
	defer func() { assert.NoError(t, store.Close()) }()
	tailing, stopTail := context.WithCancel(ctx)
	defer stopTail()
	tailed := make(chan error, 1)
	go func() { tailed <- x.tail(tailing, d) }()

	until := time.Now().Add(*everythingDuration)
	var slots sync.WaitGroup
	for i := range 8 {
		slots.Go(func() {
			if i >= 2 {
				x.disturb(until, func() *child { return x.startOne(0) })
				return
			}
			c := x.startOne(i + 1)
			time.Sleep(time.Until(until))
			c.terminate(t)
			x.count(&x.terminations)
		})
	}
	slots.Wait()
	x.resume(d)
	x.drainWithin(2*time.Minute + *everythingDuration)
	x.accountForEverything(stopTail, tailed)
	_, err = holder.Exec(ctx, "SELECT 1")
	require.NoError(t, err, "the transaction was open until now")
	for i, uses := range x.uses {
		checkFlat(t, i, uses)
	}
}

// resume resumes subscriptions that a killed process has left paused.
func (x *everything) resume(d *dispatch.Dispatcher) {
	x.t.Helper()
	list, err := d.Subscriptions(x.t.Context(), webhook.SubscriptionQuery{})
	require.NoError(x.t, err)
	for _, sub := range list {
		if sub.Paused {
			sub.Paused = false
			require.NoError(x.t, d.UpdateSubscription(x.t.Context(), sub))
		}
	}
}

// everythingTriggers record changes of settled deliveries that are no replays, and what is pruned. Of
// two processes that replay the same dead delivery, the second one may replay a success of the first.
var everythingTriggers = []string{
	`CREATE TABLE overwritten (id bigint, was integer, became integer, was_token bigint,
		became_token bigint)`,
	`CREATE TABLE pruned (id bigint PRIMARY KEY, event_id bigint, endpoint_id bigint, state integer)`,
	`CREATE TABLE pruned_events (id bigint PRIMARY KEY, event_id text UNIQUE)`,
	`CREATE FUNCTION note_overwritten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO overwritten VALUES (OLD.id, OLD.state, NEW.state, OLD.token, NEW.token);
		RETURN NEW;
	END $$`,
	`CREATE TRIGGER overwritten BEFORE UPDATE ON webhooks_deliveries FOR EACH ROW
		WHEN (OLD.state >= 2 AND (NEW.state <> OLD.state OR NEW.history IS DISTINCT FROM OLD.history)
			AND NOT (NEW.state = 0 AND NEW.queued_at IS DISTINCT FROM OLD.queued_at)
			OR NEW.token < OLD.token)
		EXECUTE FUNCTION note_overwritten()`,
	`CREATE FUNCTION note_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO pruned VALUES (OLD.id, OLD.event_id, OLD.endpoint_id, OLD.state);
		RETURN OLD;
	END $$`,
	`CREATE TRIGGER pruned BEFORE DELETE ON webhooks_deliveries FOR EACH ROW
		EXECUTE FUNCTION note_pruned()`,
	`CREATE FUNCTION note_pruned_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO pruned_events VALUES (OLD.id, OLD.event_id);
		RETURN OLD;
	END $$`,
	`CREATE TRIGGER pruned_event BEFORE DELETE ON webhooks_events FOR EACH ROW
		EXECUTE FUNCTION note_pruned_event()`,
}

// settledRow is a delivery, stored or pruned.
type settledRow struct {
	event, subscription string
	state               int
	pruned              bool
}

func (x *everything) settled() []settledRow {
	x.t.Helper()
	ctx := x.t.Context()
	conn, err := pgx.Connect(ctx, x.dsn)
	require.NoError(x.t, err)
	defer func() { assert.NoError(x.t, conn.Close(context.Background())) }()
	rows, err := conn.Query(ctx, `SELECT coalesce(e.event_id, g.event_id, ''), p.webhook_id, d.state, d.gone
		FROM (SELECT event_id, endpoint_id, state, false AS gone FROM webhooks_deliveries UNION ALL
			SELECT event_id, endpoint_id, state, true FROM pruned) d
		LEFT JOIN webhooks_events e ON e.id = d.event_id
		LEFT JOIN pruned_events g ON g.id = d.event_id
		JOIN webhooks_endpoints p ON p.id = d.endpoint_id`)
	require.NoError(x.t, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s settledRow, err error) {
		return s, row.Scan(&s.event, &s.subscription, &s.state, &s.pruned)
	})
	require.NoError(x.t, err)
	return all
}

// accountForEverything compares what the processes said, what is stored or was pruned, what the
// endpoint accepted, and what the tail had.
func (x *everything) accountForEverything(stopTail func(), tailed <-chan error) {
	t := x.t
	t.Helper()
	assert.Empty(t, queryAt[string](t, x.dsn,
		"SELECT coalesce(string_agg(o::text, ' '), '') FROM overwritten o"),
		"what is settled changes only if it is replayed")
	x.checkStale()
	all := x.settled()
	stored, states, pruned, duplicates := make(map[string]int), make(map[int]int), 0, 0
	x.endpoint.mu.Lock()
	defer x.endpoint.mu.Unlock()
	arrived := 0
	for _, row := range all {
		stored[row.event]++
		states[row.state]++
		if row.pruned {
			pruned++
		}
		n := x.endpoint.accepted[x.hooks[row.subscription]+" "+row.event]
		arrived += n
		switch row.state {
		case 2:
			assert.Positive(t, n, "%s succeeded and has not arrived", row.event)
			duplicates += n - 1
		case 3, 4:
			duplicates += n
		default:
			assert.Fail(t, "not settled", "%+v", row)
		}
	}
	for id := range x.accepted {
		assert.Equal(t, len(x.hooks), stored[id], "accepted event %s", id)
	}
	for id, n := range stored {
		assert.True(t, x.tried[id], "event %q was never emitted, or was undone", id)
		assert.Equal(t, len(x.hooks), n, "event %s is stored in part", id)
	}
	seen := 0
	for _, n := range x.endpoint.accepted {
		seen += n
	}
	assert.Equal(t, seen, arrived, "the endpoint accepted a request that belongs to no delivery")
	eventually(t, "the tail must come to the end", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return len(x.tailed) >= len(stored)
	})
	stopTail()
	require.NoError(t, <-tailed)
	for id, n := range x.tailed {
		assert.Equal(t, 1, n, "the tail had %s so often", id)
		assert.Positive(t, stored[id], "the tail had %s, which is not stored", id)
	}
	t.Logf("%d kills, %d pauses past the lease, %d terminations; %d events accepted, %d undone, %d stored: "+
		"%d deliveries (%d pruned) = %d succeeded + %d dead + %d cancelled; %d duplicates; %d stale results "+
		"refused; %d read by the tail", x.kills, x.pauses, x.terminations, len(x.accepted),
		len(x.undone), len(stored), len(all), pruned, states[2], states[3], states[4], duplicates, x.stale,
		len(x.tailed))
	if len(x.failed) > 0 {
		t.Logf("calls that the store was not available for: %v", x.failed)
	}
	assert.Positive(t, states[2])
	if x.pauses >= 20 { // each brings one to six, depending on how busy the machine is
		assert.Positive(t, x.stale, "results that only the fencing token shows to be stale")
	}
	if *everythingDuration >= 4*time.Minute {
		assert.Positive(t, pruned)
		assert.Positive(t, states[4])
	}
}

// checkFlat compares what a process uses in the last quarter with the second quarter, when it has
// warmed up.
func checkFlat(t *testing.T, process int, uses [][3]int) {
	t.Helper()
	quarter := len(uses) / 4
	if quarter < 5 {
		t.Logf("process %d: too short to compare what it uses", process)
		return
	}
	for i, of := range []struct {
		what  string
		slack int
	}{{"goroutines", 50}, {"descriptors", 30}, {"bytes of live objects", 8 << 20}} {
		middle := func(part [][3]int) int {
			var n []int
			for _, u := range part {
				n = append(n, u[i])
			}
			slices.Sort(n)
			return n[len(n)/2]
		}
		first, last := middle(uses[quarter:2*quarter]), middle(uses[len(uses)-quarter:])
		t.Logf("process %d: %d %s after the start, %d at the end", process, first, of.what, last)
		assert.LessOrEqual(t, last, first*3/2+of.slack, "process %d: %s", process, of.what)
	}
}
