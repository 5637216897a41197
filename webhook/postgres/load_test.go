package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

var outageDuration = flag.Duration("outage.duration", 3*time.Second,
	"how long TestEightProcesses disturbs its processes; from 1m on, TestBlackHole and "+
		"TestOutboxSurvivesKills take longer too")

// outagesAreLong reports whether the tests of outages may take minutes.
func outagesAreLong() bool { return *outageDuration >= time.Minute }

// load emits and delivers while a test causes outages, and counts what becomes of each event.
type load struct {
	t testing.TB
	// at is the connection string for checking the database after all outages.
	at string
	// patience bounds the calls of the store. Zero means that only the Dispatcher bounds them.
	patience time.Duration
	maxConns int

	stopEmits, stopRuns context.CancelFunc
	emitters            sync.WaitGroup
	runs                []<-chan error
	logs                []*outageLog

	mu        sync.Mutex
	accepted  map[string]bool // event ids
	refused   map[string]error
	delivered map[string]int // by event id and subscription id
}

const (
	loadDispatchers   = 2
	loadEmitters      = 2 // of each dispatcher
	loadSubscriptions = 2 // an event that has only one delivery was stored in part
)

// newLoad returns a load that has not started. Its database is checked with the connection string
// at.
func newLoad(t testing.TB, at string) *load {
	t.Helper()
	return &load{
		t: t, at: at, maxConns: 4,
		accepted: make(map[string]bool), refused: make(map[string]error), delivered: make(map[string]int),
	}
}

// startLoad returns a load that has started.
func startLoad(t testing.TB, dsn, at string) *load {
	t.Helper()
	l := newLoad(t, at)
	l.start(dsn)
	return l
}

// start starts two Dispatchers that emit and deliver. Each of them has its own store on the
// database of the connection string.
func (l *load) start(dsn string) {
	t := l.t
	t.Helper()
	emitCtx, stopEmits := context.WithCancel(context.Background())
	runCtx, stopRuns := context.WithCancel(context.Background())
	l.stopEmits, l.stopRuns = stopEmits, stopRuns
	for i := range loadDispatchers {
		d := l.dispatcher(dsn)
		for n := range loadSubscriptions {
			if i == 0 {
				require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
					Name: fmt.Sprint("all ", n), EventTypes: []event.Pattern{"*"},
					Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
				}))
			}
		}
		ended := make(chan error, 1)
		go func() {
			defer close(ended)
			ended <- d.Run(runCtx)
		}()
		l.runs = append(l.runs, ended)
		for range loadEmitters {
			l.emitters.Go(func() { l.emit(emitCtx, d) })
		}
	}
	t.Cleanup(func() {
		stopEmits()
		stopRuns()
		l.emitters.Wait()
		for _, ended := range l.runs {
			for range ended { // waits for its end; finish has checked the error
			}
		}
	})
}

func (l *load) dispatcher(dsn string) *dispatch.Dispatcher {
	l.t.Helper()
	store, err := postgres.Open(l.t.Context(), dsn, postgres.Config{MaxConns: l.maxConns})
	require.NoError(l.t, err)
	l.t.Cleanup(func() { assert.NoError(l.t, store.Close()) })
	channels := channel.NewRegistry()
	require.NoError(l.t, channels.Register("webhook", channel.Func(l.deliver)))
	log := &outageLog{began: make(map[string]int), ended: make(map[string]int)}
	l.logs = append(l.logs, log)
	var patient webhook.Store = store
	if l.patience > 0 {
		patient = impatient{store, l.patience}
	}
	d, err := dispatch.New(patient, dispatch.Config{
		Channels: channels, Lease: 2 * time.Second, PollInterval: 50 * time.Millisecond,
		Retry: dispatch.ExponentialRetry{InitialInterval: 20 * time.Millisecond,
			MaxInterval: 200 * time.Millisecond},
		Logger: slog.New(log),
	})
	require.NoError(l.t, err)
	return d
}

// deliver is the channel. One attempt in twenty fails.
func (l *load) deliver(_ context.Context, m *channel.Message) (channel.Result, error) {
	if rand.IntN(20) == 0 {
		return channel.Result{}, errors.New("one attempt in twenty fails")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered[m.EventID+" "+m.SubscriptionID]++
	return channel.Result{}, nil
}

func (l *load) emit(ctx context.Context, d *dispatch.Dispatcher) {
	for ctx.Err() == nil {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		// Not with ctx: if it ended during Emit, the error would not be the store's.
		// It is longer than what the Dispatcher gives a commit: a busy server is no outage.
		emitCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		_, err := d.Emit(emitCtx, e)
		cancel()
		pause := 20 * time.Millisecond // the outages are what takes time, and not the events
		l.mu.Lock()
		if err == nil {
			l.accepted[e.ID] = true
		} else {
			l.refused[e.ID] = err
			pause = 50 * time.Millisecond
		}
		l.mu.Unlock()
		time.Sleep(pause)
	}
}

// refusesMore waits until an emit is refused.
func (l *load) refusesMore() {
	l.t.Helper()
	before := len(l.refusals())
	eventually(l.t, "emits must be refused", func() bool { return len(l.refusals()) > before })
}

// progress waits until more events were accepted, and more were delivered.
func (l *load) progress() {
	l.t.Helper()
	counts := func() (accepted, delivered int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.accepted), len(l.delivered)
	}
	accepted, delivered := counts()
	eventually(l.t, "events must be accepted and delivered", func() bool {
		nowAccepted, nowDelivered := counts()
		return nowAccepted >= accepted+40 && nowDelivered >= delivered+40
	})
}

// refusals returns the errors of Emit so far.
func (l *load) refusals() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []error
	for _, err := range l.refused {
		all = append(all, err)
	}
	return all
}

// finish stops emitting, waits until everything is delivered, and checks the result.
func (l *load) finish() {
	l.t.Helper()
	l.stopEmits()
	l.emitters.Wait()
	eventually(l.t, "all deliveries must be settled", func() bool {
		return queryAt[int](l.t, l.at, "SELECT count(*) FROM webhooks_deliveries WHERE state < 2") == 0
	})
	for _, log := range l.logs {
		eventually(l.t, "the end of each outage must be logged", log.allEnded)
	}
	l.stopRuns()
	for _, ended := range l.runs {
		require.NoError(l.t, <-ended)
	}
	l.check()
}

func (l *load) check() {
	l.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, l.at)
	require.NoError(l.t, err)
	defer func() { assert.NoError(l.t, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, `
		SELECT e.event_id, count(d.id), count(d.id) FILTER (WHERE d.state = 2)
		FROM webhooks_events e LEFT JOIN webhooks_deliveries d ON d.event_id = e.id GROUP BY e.id`)
	require.NoError(l.t, err)
	stored, unknown := 0, 0
	for rows.Next() {
		var id string
		var deliveries, succeeded int
		require.NoError(l.t, rows.Scan(&id, &deliveries, &succeeded))
		assert.Equal(l.t, loadSubscriptions, deliveries, "event %s is stored in part", id)
		assert.Equal(l.t, loadSubscriptions, succeeded, "event %s was not delivered", id)
		stored++
		if !l.accepted[id] {
			unknown++
			assert.Contains(l.t, l.refused, id, "a stored event was never emitted")
		}
	}
	require.NoError(l.t, rows.Err())
	assert.Equal(l.t, len(l.accepted), stored-unknown, "events that Emit accepted must be stored")
	assert.Len(l.t, l.delivered, stored*loadSubscriptions,
		"all stored deliveries, and no others, must be delivered")
	duplicates := 0
	for _, n := range l.delivered {
		duplicates += n - 1
	}
	l.t.Logf("%d events accepted, all delivered; %d refused, of which %d were stored nevertheless; "+
		"%d deliveries, %d duplicates",
		len(l.accepted), len(l.refused), unknown, len(l.delivered), duplicates)
}

// saidOnce checks that no Dispatcher logged more outages of any operation than there were.
func (l *load) saidOnce(outages int) {
	l.t.Helper()
	for _, log := range l.logs {
		log.mu.Lock()
		for doing, n := range log.began {
			assert.LessOrEqual(l.t, n, outages, "logged outages of %s", doing)
		}
		l.t.Logf("logged during %d outages: %v", outages, log.began)
		log.mu.Unlock()
	}
}

// outageCauses returns the errors with which the logged outages began.
func (l *load) outageCauses() []error {
	var all []error
	for _, log := range l.logs {
		log.mu.Lock()
		all = append(all, log.causes...)
		log.mu.Unlock()
	}
	return all
}
