package sqlite_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

var (
	powerSeed = flag.Uint64("power.seed", 0, "the first seed of the tests of power; 0 for random ones")
	powerRuns = flag.Int("power.runs", 1, "how often they run, with other seeds")
	powerCuts = flag.Int("power.cuts", 0,
		"how often TestPowerCuts cuts the power in a run; 0 for 5, and for 20 with -thorough or -power.all")
	powerAll  = flag.Bool("power.all", false, "TestDiskFails fails every call, not some of them")
	powerTime = flag.Duration("power.duration", 0,
		"for how long TestPowerCuts and TestDiskFails run at most, each; 0 for as long as it takes")
	powerFirst = flag.Int("power.first", 0, "the first call that TestDiskFails fails")
)

// powerBug is a bug that a test plants, to see that it is found.
type powerBug int

const (
	noPowerBug powerBug = iota
	// unsynced opens the database with synchronous=OFF.
	unsynced
	// unheard ignores that the disk could not sync.
	unheard
	// early reports an Enqueue as done before it is.
	early
	// piecemeal stores the events of an Enqueue one by one.
	piecemeal
	// deaf reports an Enqueue that has failed as done.
	deaf
)

// ledger is what the calls of a store have promised.
type ledger struct {
	deliveries map[string]int // of an event
	settled    map[webhook.DeliveryID]webhook.Status
	names      map[string]string // of subscriptions
}

func (l ledger) clone() ledger {
	return ledger{maps.Clone(l.deliveries), maps.Clone(l.settled), maps.Clone(l.names)}
}

// step is a call of the store that the test has made.
type step struct {
	name     string
	from, to int      // of the disk's log: when it began, and when it had reported success
	batch    []string // the events of an Enqueue
	promised ledger   // once it was done
	dump     string   // of the database, once it was done
}

const powerOrg = "org_a"

// service uses a store on a disk, in an order that a seed decides.
type service struct {
	t     *testing.T
	disk  *disk
	store *sqlite.Store
	// reading is a transaction that reads, beside which a checkpoint copies a part of the log.
	reading *sql.Tx
	readers *sql.DB
	random  *rand.Rand
	bug     powerBug
	// unsure is set after an error: what failed may be there when the file is opened again.
	unsure bool

	clock    time.Time
	subs     []*webhook.Subscription
	tasks    []webhook.Task
	emitted  int
	promised ledger
	steps    []step
}

// startService opens a store on a disk.
func startService(t *testing.T, d *disk, seed uint64, bug powerBug) *service {
	s := &service{t: t, disk: d, random: rand.New(rand.NewPCG(seed, 3)), bug: bug,
		clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		promised: ledger{make(map[string]int), make(map[webhook.DeliveryID]webhook.Status),
			make(map[string]string)}}
	require.NoError(t, s.open())
	return s
}

func (s *service) open() (err error) {
	var pragmas []string
	if s.bug == unsynced {
		pragmas = append(pragmas, "synchronous(OFF)")
	}
	s.store, err = sqlite.OpenWith(s.t.Context(), s.disk.path(), pragmas...)
	if err == nil {
		s.readers, err = sql.Open("sqlite", "file:"+s.disk.path())
		require.NoError(s.t, err)
	}
	return err
}

// look begins to read, or ends it.
func (s *service) look(ctx context.Context) (err error) {
	if s.reading != nil {
		err = s.reading.Rollback()
		s.reading = nil
		return err
	}
	if s.reading, err = s.readers.BeginTx(ctx, nil); err != nil {
		return err
	}
	var events int
	return s.reading.QueryRowContext(ctx, "SELECT count(*) FROM webhooks_events").Scan(&events)
}

// stopReading closes the handle that reads.
func (s *service) stopReading() error {
	if s.reading != nil {
		_ = s.reading.Rollback()
		s.reading = nil
	}
	return s.readers.Close()
}

// close closes the store, in the same way when it writes no more.
func (s *service) close() {
	require.NoError(s.t, s.stopReading())
	err := s.store.Close()
	if s.store.GaveUp() {
		require.ErrorIs(s.t, err, sqlite.ErrIO)
		err = s.store.CloseAll()
	}
	require.NoError(s.t, err)
}

// reopen closes the store and opens it again: at the second time, if the disk fails.
func (s *service) reopen() error {
	require.NoError(s.t, s.stopReading())
	err := s.store.Close()
	if opening := s.open(); opening != nil {
		s.disk.heal()
		require.NoError(s.t, s.open())
		err = errors.Join(err, opening)
	}
	return err
}

// do makes a random call, or several that belong together. After an error, the call may have
// taken effect or not, and what it was about is not promised any more.
func (s *service) do() error { return s.make(s.call) }

// make makes a call of the store.
func (s *service) make(call func() (name string, batch []string, err error)) error {
	s.clock = s.clock.Add(time.Duration(s.random.IntN(20)) * time.Second)
	from := s.disk.now()
	name, batch, err := call()
	at := step{name: name, from: from, to: s.disk.now(), batch: batch}
	if s.bug == early && batch != nil {
		at.to = from
	}
	at.promised, at.dump = s.promised.clone(), dump(s.t, s.store)
	s.steps = append(s.steps, at)
	if err != nil {
		err, s.unsure = fmt.Errorf("%s: %w", name, err), true
	}
	return err
}

func (s *service) call() (name string, batch []string, err error) {
	ctx := s.t.Context()
	n := s.random.IntN(120)
	switch {
	case len(s.subs) < 2 || n < 4:
		return "create", nil, s.create(ctx)
	case n < 40 || len(s.tasks) == 0 && n < 70:
		return s.emit(ctx)
	case n < 45:
		return s.emitTx(ctx)
	case n < 55:
		return "claim", nil, s.claim(ctx)
	case n < 75:
		return "settle", nil, s.settle(ctx)
	case n < 78:
		return "extend", nil, s.extend(ctx)
	case n < 83:
		return "update", nil, s.update(ctx)
	case n < 86:
		return "replay or cancel", nil, s.correct(ctx)
	case n < 89:
		return "prune", nil, s.prune(ctx)
	case n < 92:
		return "state", nil, s.degrade(ctx)
	case n < 95:
		return "permits", nil, errorOf(s.store.TakePermits(ctx, s.clock, []webhook.PermitRequest{{
			Endpoint: s.endpoint(), Limit: webhook.RateLimit{PerSecond: 1, Burst: 1}, Want: 2}}))
	case n < 97 && len(s.subs) > 2:
		return "delete", nil, s.remove(ctx)
	case n < 104:
		return "reopen", nil, sqlite.MapError(s.reopen())
	case n < 108:
		return "restart", nil, sqlite.MapError(s.store.Restart())
	case n < 112:
		return "look", nil, sqlite.MapError(s.look(ctx))
	}
	return "checkpoint", nil, sqlite.MapError(s.store.Checkpoint())
}

func (s *service) endpoint() webhook.Endpoint {
	sub := s.subs[s.random.IntN(len(s.subs))]
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
}

func (s *service) create(ctx context.Context) error {
	sub := &webhook.Subscription{ID: webhook.NewID(), Name: "first", OrganizationID: powerOrg,
		EventTypes: []event.Pattern{event.MatchAll}, CreatedAt: s.clock, UpdatedAt: s.clock}
	for i := range 1 + s.random.IntN(2) {
		sub.Channels = append(sub.Channels, webhook.ChannelConfig{
			Channel: fmt.Sprint("channel", i), Configs: json.RawMessage(`{}`)})
	}
	err := s.store.CreateSubscription(ctx, sub, webhook.Quota{})
	if err == nil {
		s.subs = append(s.subs, sub)
		s.promised.names[sub.ID] = sub.Name
	}
	return err
}

func (s *service) update(ctx context.Context) error {
	sub := s.subs[s.random.IntN(len(s.subs))]
	sub.Name, sub.Paused = fmt.Sprint("at ", s.clock.Unix()), s.random.IntN(4) == 0
	err := s.store.UpdateSubscription(ctx, sub, webhook.Quota{})
	s.promised.names[sub.ID] = sub.Name
	if err != nil {
		delete(s.promised.names, sub.ID)
		s.refresh(ctx)
	}
	return err
}

func (s *service) remove(ctx context.Context) error {
	sub := s.subs[0]
	s.subs = s.subs[1:]
	delete(s.promised.names, sub.ID)
	return s.store.DeleteSubscription(ctx, powerOrg, sub.ID, 0)
}

// refresh reads the subscriptions, because a change that failed may have been stored.
func (s *service) refresh(ctx context.Context) {
	stored, err := s.store.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: powerOrg})
	require.NoError(s.t, err)
	s.subs = stored
}

func (s *service) degrade(ctx context.Context) error {
	state, err := s.store.EndpointState(ctx, powerOrg, s.endpoint())
	if errors.Is(err, webhook.ErrNotFound) {
		return nil // it was deleted by a call that failed
	}
	if err != nil {
		return err
	}
	if state.Health = webhook.Degraded; s.random.IntN(2) == 0 {
		state.Health = webhook.Healthy
	}
	return webhook.SetEndpointState(ctx, s.store, &state, 0)
}

func (s *service) events() (events []webhook.NewEvent, ids []string) {
	for range 1 + s.random.IntN(3) {
		s.emitted++
		id := fmt.Sprintf("evt_%d_%d", s.disk.now(), s.emitted)
		events = append(events, webhook.NewEvent{OrganizationID: powerOrg, ID: id, Type: "a.b",
			Payload: []byte(strings.Repeat("p", s.random.IntN(3000)))})
		ids = append(ids, id)
	}
	return events, ids
}

func (s *service) promise(ids []string, emitted []webhook.Emitted) {
	for i, e := range emitted {
		s.promised.deliveries[ids[i]] = e.Deliveries
	}
}

func (s *service) emit(ctx context.Context) (name string, ids []string, err error) {
	events, ids := s.events()
	var prefetch *webhook.Prefetch
	if s.random.IntN(2) == 0 {
		prefetch = &webhook.Prefetch{Until: s.clock.Add(30 * time.Second),
			Take: func(string, webhook.Endpoint) bool { return s.random.IntN(4) > 0 }}
	}
	if s.bug == piecemeal {
		for i := range events {
			got, err := s.store.Enqueue(ctx, s.clock, events[i:i+1], prefetch)
			if err != nil {
				return "emit", ids, err
			}
			s.promise(ids[i:i+1], got.Events)
		}
		return "emit", ids, nil
	}
	got, err := s.store.Enqueue(ctx, s.clock, events, prefetch)
	if err != nil && s.bug == deaf {
		got.Events, err = make([]webhook.Emitted, len(events)), nil
		for i := range got.Events {
			got.Events[i].Deliveries = 1
		}
	}
	if err == nil {
		s.promise(ids, got.Events)
		s.tasks = append(s.tasks, got.Tasks...)
	}
	return "emit", ids, err
}

// emitTx emits in a transaction of the caller, which commits it or not.
func (s *service) emitTx(ctx context.Context) (name string, ids []string, err error) {
	events, ids := s.events()
	tx, err := s.store.DB().BeginTx(ctx, nil)
	if err != nil {
		return "emitTx", ids, sqlite.MapError(err)
	}
	emitted, err := s.store.EnqueueTx(ctx, sqlite.Tx(tx), s.clock, events)
	if err != nil {
		_ = tx.Rollback()
		return "emitTx", ids, err
	}
	if s.random.IntN(3) == 0 {
		for _, id := range ids {
			s.promised.deliveries[id] = absent
		}
		return "rollback", ids, sqlite.MapError(tx.Rollback())
	}
	if err = tx.Commit(); err == nil {
		s.promise(ids, emitted)
	}
	return "emitTx", ids, sqlite.MapError(err)
}

// absent is the number of deliveries of an event that must not be there.
const absent = -1

func (s *service) claim(ctx context.Context) error {
	tasks, err := s.store.Claim(ctx, s.clock, webhook.ClaimRequest{
		Until: s.clock.Add(30 * time.Second), Limit: 5, PerEndpoint: 3})
	s.tasks = append(s.tasks, tasks...)
	return err
}

func (s *service) extend(ctx context.Context) error {
	leases := make([]webhook.Lease, len(s.tasks))
	for i := range s.tasks {
		leases[i] = s.tasks[i].Lease
	}
	if s.random.IntN(2) == 0 {
		return errorOf(s.store.Start(ctx, s.clock, leases))
	}
	return errorOf(s.store.Extend(ctx, s.clock.Add(time.Minute), leases))
}

func (s *service) settle(ctx context.Context) error {
	n := min(len(s.tasks), 1+s.random.IntN(6))
	settlements := make([]webhook.Settlement, n)
	for i, task := range s.tasks[:n] {
		status := []webhook.Status{webhook.StatusSucceeded, webhook.StatusSucceeded, webhook.StatusDead,
			webhook.StatusPending}[s.random.IntN(4)]
		settlements[i] = webhook.Settlement{Lease: task.Lease, Status: status,
			Attempt: &webhook.Attempt{StartedAt: s.clock, StatusCode: 200}}
		if status == webhook.StatusPending {
			settlements[i].DueAt = s.clock.Add(time.Minute)
		}
	}
	s.tasks = s.tasks[n:]
	refused, err := s.store.Settle(ctx, s.clock, settlements)
	for i := range settlements {
		l := settlements[i].Lease
		if err == nil && settlements[i].Status.Settled() && !slices.Contains(refused, l) {
			s.promised.settled[l.DeliveryID] = settlements[i].Status
		}
	}
	return err
}

// correct replays a delivery that is settled, or cancels one that may be.
func (s *service) correct(ctx context.Context) error {
	all, err := s.store.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: powerOrg,
		WithoutAttempts: true})
	if err != nil || len(all) == 0 {
		return err
	}
	d := &all[s.random.IntN(len(all))]
	delete(s.promised.settled, d.ID)
	if d.Status.Settled() {
		err = s.store.Replay(ctx, s.clock, powerOrg, d.ID)
	} else if err = s.store.Cancel(ctx, s.clock, powerOrg, d.ID); err == nil {
		s.promised.settled[d.ID] = webhook.StatusCancelled
	}
	if errors.Is(err, webhook.ErrNotFound) || errors.Is(err, webhook.ErrWrongStatus) {
		return nil // its subscription was deleted
	}
	return err
}

// prune removes what is a few minutes old. The store says what that was.
func (s *service) prune(ctx context.Context) error {
	old := s.clock.Add(-5 * time.Minute)
	_, err := s.store.Prune(ctx, s.clock, webhook.PruneRequest{SucceededBefore: old, DeadBefore: old,
		Limit: 20})
	all, listing := s.store.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: powerOrg,
		Limit: 1_000_000, WithoutAttempts: true})
	require.NoError(s.t, listing)
	left, ids := make(map[string]int), make(map[webhook.DeliveryID]bool)
	for i := range all {
		left[all[i].EventID]++
		ids[all[i].ID] = true
	}
	for id, n := range s.promised.deliveries {
		if n != absent && left[id] < n {
			delete(s.promised.deliveries, id)
		}
	}
	maps.DeleteFunc(s.promised.settled,
		func(id webhook.DeliveryID, _ webhook.Status) bool { return !ids[id] })
	return err
}

// dump is a digest of all that the database holds.
func dump(t *testing.T, s *sqlite.Store) string {
	t.Helper()
	digest := sha256.New()
	query := func(statement string, each func(values []any)) {
		rows, err := s.DB().QueryContext(t.Context(), statement)
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		columns, err := rows.Columns()
		require.NoError(t, err)
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			require.NoError(t, rows.Scan(into...))
			each(values)
		}
		require.NoError(t, rows.Err())
	}
	var tables []string
	query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
		func(values []any) { tables = append(tables, values[0].(string)) })
	for _, table := range tables {
		_, _ = fmt.Fprintln(digest, table)
		query("SELECT * FROM "+table, func(values []any) { _, _ = fmt.Fprintln(digest, values...) })
	}
	return string(digest.Sum(nil))
}

// broken says what a store lacks of what was promised. The events of the batch, if there is one,
// may be there or not, but only together.
func (l ledger) broken(ctx context.Context, s *sqlite.Store, batch []string) (problems []string) {
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	all, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: powerOrg, Limit: 1_000_000,
		WithoutAttempts: true})
	if err != nil {
		return []string{"the deliveries: " + err.Error()}
	}
	found, seen := make(map[string]int), make(map[string]bool)
	status := make(map[webhook.DeliveryID]webhook.Status)
	for i := range all {
		d := &all[i]
		found[d.EventID]++
		status[d.ID] = d.Status
		each := fmt.Sprint(d.EventID, d.Endpoint)
		if seen[each] {
			complain("%s is there twice", each)
		}
		seen[each] = true
	}
	for id, n := range l.deliveries {
		if n == absent && found[id] > 0 {
			complain("%s was rolled back, and is there", id)
		} else if n != absent && found[id] != n {
			complain("%s was accepted with %d deliveries, and has %d", id, n, found[id])
		}
	}
	for id, want := range l.settled {
		if status[id] != want {
			complain("%s was %s, and is %s", id, want, status[id])
		}
	}
	stored, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: powerOrg})
	if err != nil {
		return append(problems, "the subscriptions: "+err.Error())
	}
	names := make(map[string]string)
	for _, sub := range stored {
		names[sub.ID] = sub.Name
	}
	for id, want := range l.names {
		if names[id] != want {
			complain("%s was %q, and is %q", id, want, names[id])
		}
	}
	there := 0
	for _, id := range batch {
		if _, err := s.EventPayload(ctx, powerOrg, id); err == nil {
			there++
		}
	}
	if there != 0 && there != len(batch) {
		complain("%d of the %d events of a batch are there", there, len(batch))
	}
	return problems
}

// goesOn says what is wrong with how a store goes on: it takes an event, and delivers all that is
// due.
func goesOn(ctx context.Context, s *sqlite.Store, now time.Time) error {
	sub := &webhook.Subscription{ID: webhook.NewID(), Name: "later", OrganizationID: powerOrg,
		EventTypes: []event.Pattern{event.MatchAll}, CreatedAt: now, UpdatedAt: now,
		Channels: []webhook.ChannelConfig{{Channel: "later", Configs: json.RawMessage(`{}`)}}}
	if err := s.CreateSubscription(ctx, sub, webhook.Quota{}); err != nil {
		return err
	}
	if _, err := s.Enqueue(ctx, now, []webhook.NewEvent{{OrganizationID: powerOrg, ID: "evt_later",
		Type: "a.b", Payload: []byte(`{}`)}}, nil); err != nil {
		return err
	}
	later := now.Add(time.Hour)
	for {
		tasks, err := s.Claim(ctx, later,
			webhook.ClaimRequest{Until: later.Add(time.Minute), Limit: 100, PerEndpoint: 100})
		if err != nil {
			return err
		}
		if len(tasks) == 0 {
			break
		}
		settlements := make([]webhook.Settlement, len(tasks))
		for i := range tasks {
			settlements[i] = webhook.Settlement{Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: later, StatusCode: 200}}
		}
		refused, err := s.Settle(ctx, later, settlements)
		if err != nil || len(refused) > 0 {
			return fmt.Errorf("%d results were refused: %w", len(refused), err)
		}
		later = later.Add(time.Second)
	}
	all, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: powerOrg, EventID: "evt_later",
		SubscriptionID: sub.ID})
	if err != nil || len(all) != 1 || all[0].Status != webhook.StatusSucceeded {
		return fmt.Errorf("a new event was not delivered: %v: %w", all, err)
	}
	return nil
}

func damage(ctx context.Context, s *sqlite.Store) error {
	var said string
	err := s.DB().QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&said)
	if err == nil && said != "ok" {
		err = errors.New(said)
	}
	return err
}

// cutPower says what is wrong with the store that is opened after a loss of power.
func (s *service) cutPower(cut int, l loss) (problems []string) {
	t, ctx := s.t, s.t.Context()
	done, underway := -1, step{name: "nothing"}
	for i := range s.steps {
		if s.steps[i].to <= cut {
			done = i
		} else if s.steps[i].from < cut {
			underway = s.steps[i]
		}
	}
	defer func() {
		for i := range problems {
			problems[i] = fmt.Sprintf("cut at %d (%d), loss %d, during %s: %s", cut, len(s.disk.log), l,
				underway.name, problems[i])
		}
	}()
	left := s.disk.after(cut, l, s.random)
	d := holding(t, left)
	if s.random.IntN(4) == 0 { // what the shared memory was, SQLite must not believe
		garbage := make([]byte, 32<<10)
		for i := range garbage {
			garbage[i] = byte(s.random.Uint32())
		}
		require.NoError(t, os.WriteFile(d.path()+"-shm", garbage, 0o600))
	}
	before := d.now()
	store, err := sqlite.Open(ctx, d.path(), sqlite.Config{})
	if err != nil {
		return []string{"it does not open: " + err.Error()}
	}
	defer func() {
		require.NoError(t, store.Close())
		d.remove(t)
	}()
	if err := damage(ctx, store); err != nil {
		return []string{"it is damaged: " + err.Error()}
	}
	got, opened := "", d.now()
	if done >= 0 {
		problems = s.steps[done].promised.brokenUnless(ctx, store, underway)
		if got = dump(t, store); len(problems) == 0 && got != s.steps[done].dump &&
			got != underway.dump && !(s.unsure && l == losesNothing) && !s.wasCommitted(got, cut, s.steps[done].to) {
			problems = append(problems, "it holds what no commit has left")
		}
	}
	if err := goesOn(ctx, store, s.clock); err != nil {
		problems = append(problems, "it does not go on: "+err.Error())
	}
	if opened > before && len(problems) == 0 && done >= 0 {
		// The power fails once more while the store is opened.
		second := holding(t, d.after(before+s.random.IntN(opened-before),
			loss(s.random.IntN(int(losses))), s.random))
		defer second.remove(t)
		again, err := sqlite.Open(ctx, second.path(), sqlite.Config{})
		if err != nil {
			return []string{"it does not open the second time: " + err.Error()}
		}
		if dump(t, again) != got {
			problems = append(problems, "it holds something else the second time")
		}
		require.NoError(t, again.Close())
	}
	return problems
}

// brokenUnless leaves out what the step that was under way could change.
func (l ledger) brokenUnless(ctx context.Context, s *sqlite.Store, underway step) []string {
	left := l
	if after := underway.promised; after.deliveries != nil {
		left = l.clone()
		maps.DeleteFunc(left.deliveries, func(id string, n int) bool {
			m, ok := after.deliveries[id]
			return !ok || m != n
		})
		maps.DeleteFunc(left.settled, func(id webhook.DeliveryID, was webhook.Status) bool {
			return after.settled[id] != was
		})
		maps.DeleteFunc(left.names, func(id, was string) bool { return after.names[id] != was })
	}
	return left.broken(ctx, s, underway.batch)
}

// wasCommitted reports whether the database held that after one of the transactions of the call
// that was under way. Some calls have several.
func (s *service) wasCommitted(got string, cut, done int) bool {
	for i := done; i < len(s.disk.log); i++ {
		if s.disk.log[i].kind != kindSync {
			continue
		}
		d := holding(s.t, s.disk.after(i, losesNothing, s.random))
		store, err := sqlite.Open(s.t.Context(), d.path(), sqlite.Config{})
		require.NoError(s.t, err)
		was := dump(s.t, store)
		require.NoError(s.t, store.Close())
		d.remove(s.t)
		if was == got {
			return true
		}
		if i >= cut {
			break
		}
	}
	return false
}

// powerSeeds calls fn with a seed for each run, and when to end.
func powerSeeds(t *testing.T, fn func(seed uint64, over func() bool)) {
	began, runs := time.Now(), 0
	over := func() bool { return *powerTime > 0 && time.Since(began) >= *powerTime }
	for ; runs < *powerRuns && !over(); runs++ {
		seed := *powerSeed + uint64(runs)
		if *powerSeed == 0 {
			seed = rand.Uint64()
		}
		fn(seed, over)
	}
	t.Logf("%d of %d runs", runs, *powerRuns)
}

// cuts runs a service, cuts its power at random moments, and says what was wrong afterwards.
func cuts(t *testing.T, seed uint64, steps, cuts int, bug powerBug) (problems []string) {
	d := newDisk(t)
	d.lies = bug == unheard
	s := startService(t, d, seed, bug)
	for range steps {
		require.NoError(t, s.do())
	}
	s.close()
	for n := 0; n < cuts && len(problems) == 0; n++ {
		problems = s.cutPower(s.random.IntN(d.now()+1), loss(s.random.IntN(int(losses))))
	}
	t.Logf("seed %d: %d calls of the store made %d changes of the disk; %d cuts", seed, len(s.steps),
		d.now(), cuts)
	return problems
}

// TestPowerCuts cuts the power at any moment. What SQLite has not synced by then is lost, or some
// of it, in any order. The store that is opened afterwards holds what a commit has left: the last
// one that a call had reported, or one of the call that was under way.
func TestPowerCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	powerSeeds(t, func(seed uint64, _ func() bool) {
		n := *powerCuts
		switch {
		case n > 0:
		case *sqltest.Thorough || *powerAll:
			n = 20
		default:
			n = 5
		}
		assert.Empty(t, cuts(t, seed, 60, n, noPowerBug), "-power.seed %d", seed)
	})
}

// TestPowerCutsFindBugs makes sure that the test can fail.
func TestPowerCutsFindBugs(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	for _, bug := range []powerBug{unsynced, unheard, early, piecemeal} {
		problems := cuts(t, 1, 30, 100, bug)
		assert.NotEmpty(t, problems, "bug %d", bug)
		t.Logf("bug %d: %q", bug, problems)
	}
}

// failures makes calls of a disk fail while a service runs, and says what was wrong: errors that do
// not say what happened, and promises that were broken, also by a loss of power at the end. The
// number is that of the calls that have failed.
func failures(
	t *testing.T, seed uint64, steps int, f failure, bug powerBug,
) (problems []string, failed int) {
	file, err := fresh()
	require.NoError(t, err)
	d := holding(t, content{"webhooks.db": file})
	s := startService(t, d, seed, bug)
	complain := func(about string, err error) {
		problems = append(problems, fmt.Sprintf("seed %d, failure %+v: %s: %v", seed, f, about, err))
	}
	d.fail(f)
	for range steps {
		if err := s.do(); err != nil {
			if !errors.Is(err, webhook.ErrUnavailable) || !errors.Is(err, sqlite.ErrIO) &&
				!errors.Is(err, sqlite.ErrFull) && !errors.Is(err, sqlite.ErrNotWritable) {
				complain("the error is not clear", err)
			}
		}
		if s.store.GaveUp() {
			break // it answers nothing, and the process is to end
		}
		for _, problem := range s.promised.broken(t.Context(), s.store, s.steps[len(s.steps)-1].batch) {
			complain("after "+s.steps[len(s.steps)-1].name, errors.New(problem))
		}
		if len(problems) > 0 {
			break
		}
	}
	failed = d.heal()
	if err := damage(t.Context(), s.store); err != nil {
		complain("it is damaged", err)
	}
	if len(problems) == 0 {
		s.steps = append(s.steps, step{name: "end", from: d.now(), to: d.now(), promised: s.promised,
			dump: dump(t, s.store)})
		problems = append(problems, s.cutPower(d.now(), losesAll)...)
		if s.store.GaveUp() {
			problems = append(problems, s.cutPower(d.now(), losesNothing)...)
		}
	}
	if !s.store.GaveUp() {
		if err := goesOn(t.Context(), s.store, s.clock); err != nil {
			complain("it does not go on", err)
		}
	}
	s.close()
	d.remove(t)
	return problems, failed
}

// TestDiskFails has writes, truncations, syncs and deletions fail, at any moment, once or a few
// times in a row. The call that was under way fails with an error that says so, or has succeeded.
// Nothing that was promised is lost, and the store goes on when the disk does.
func TestDiskFails(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	const steps = 20
	for _, found := range []struct {
		seed    uint64
		failure failure
	}{
		// The sync of a commit, and all until the store is opened again: see writeBack.
		{3837307349816602429, failure{first: 234, count: 9}},
	} {
		problems, failed := failures(t, found.seed, steps, found.failure, noPowerBug)
		require.Empty(t, problems)
		require.Positive(t, failed, "this seed comes no longer to that call")
	}
	powerSeeds(t, func(seed uint64, over func() bool) {
		random := rand.New(rand.NewPCG(seed, 4))
		failed, gap := 0, 160
		switch {
		case *powerAll:
			gap = 1
		case *sqltest.Thorough:
			gap = 40
		}
		for first := *powerFirst + random.IntN(gap); ; first += 1 + random.IntN(2*gap-1) {
			if over() {
				t.Logf("seed %d: -power.duration is over before call %d", seed, first)
				break
			}
			f := failure{first: first, count: 1 + random.IntN(2)*random.IntN(8), full: random.IntN(2) == 0}
			problems, n := failures(t, seed, steps, f, noPowerBug)
			require.Empty(t, problems, "-power.seed %d, %+v", seed, f)
			if failed += n; n == 0 {
				break
			}
		}
		t.Logf("seed %d: %d calls of the disk failed", seed, failed)
	})
}

// TestASyncBesideCommitsFails fails calls of a checkpoint that copies what one before it, beside a
// query, has left. When the disk works again, the log is started again, which has what was copied
// first.
func TestASyncBesideCommitsFails(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	calls, gaveUp := checkpointFails(t, 1<<30)
	require.Greater(t, calls, 3, "the syncs, and writes in between")
	require.False(t, gaveUp)
	for call, want := range map[int]bool{0: true, calls / 2: false, calls - 1: true} {
		_, gaveUp := checkpointFails(t, call)
		require.Equal(t, want, gaveUp, "call %d of %d", call, calls)
	}
}

// checkpointFails fails a call of a checkpoint. It returns how many calls that made, and whether the
// store then wrote no more.
func checkpointFails(t *testing.T, call int) (calls int, gaveUp bool) {
	file, err := fresh()
	require.NoError(t, err)
	ctx, d := t.Context(), holding(t, content{"webhooks.db": file})
	s := startService(t, d, 1, noPowerBug)
	emit := func() error {
		return s.make(func() (string, []string, error) { return s.emit(ctx) })
	}
	require.NoError(t, s.create(ctx))
	require.NoError(t, emit())
	require.NoError(t, s.look(ctx))
	require.NoError(t, emit())
	require.NoError(t, s.store.Checkpoint())
	require.NoError(t, s.look(ctx))
	require.NoError(t, emit())

	d.fail(failure{first: call, count: 1})
	err = sqlite.MapError(s.store.Checkpoint())
	calls = d.calls
	if d.heal() > 0 {
		require.ErrorIs(t, err, sqlite.ErrIO)
	}
	gaveUp = s.store.GaveUp()
	for range 3 {
		restarting, emitting := s.store.Restart(), emit()
		if gaveUp {
			require.ErrorIs(t, restarting, sqlite.ErrIO)
			require.ErrorIs(t, emitting, sqlite.ErrIO)
			require.ErrorIs(t, s.store.Ping(ctx), sqlite.ErrIO)
		} else {
			require.NoError(t, restarting)
			require.NoError(t, emitting)
		}
	}
	for _, l := range []loss{losesNothing, losesAll} {
		require.Empty(t, s.cutPower(d.now(), l), "call %d failed", call)
	}
	if gaveUp {
		s.passesOn()
	}
	s.close()
	d.remove(t)
	return calls, gaveUp
}

// passesOn opens the file again, after its store gave up. That must wait until nothing has it open,
// which is what a killed process leaves.
func (s *service) passesOn() {
	t, ctx := s.t, s.t.Context()
	open := func(path string) (*sqlite.Store, error) {
		return sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: time.Millisecond})
	}
	_, err := open(s.disk.path())
	require.ErrorIs(t, err, sqlite.ErrIO)
	require.ErrorIs(t, s.store.Close(), sqlite.ErrIO)
	_, err = open(s.disk.path())
	require.ErrorIs(t, err, sqlite.ErrIO)
	require.ErrorContains(t, err, "webhooks.db-unsynced")

	killed := holding(t, s.disk.after(s.disk.now(), losesNothing, s.random))
	defer killed.remove(t)
	require.NoError(t, os.WriteFile(killed.path()+"-unsynced", nil, 0o600))
	handle, err := sql.Open("sqlite", "file:"+killed.path()+
		"?_pragma=busy_timeout(1000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	require.NoError(t, err)
	_, err = sqlite.New(ctx, handle, sqlite.Config{})
	require.ErrorIs(t, err, sqlite.ErrIO)
	_, err = open(killed.path())
	require.ErrorIs(t, err, sqlite.ErrIO, "the handle has it open")
	require.NoError(t, handle.Close())
	next, err := open(killed.path())
	require.NoError(t, err)
	require.Empty(t, s.promised.broken(ctx, next, nil))
	require.NoError(t, os.WriteFile(killed.path()+"-unsynced", nil, 0o600))
	require.ErrorIs(t, next.Ping(ctx), sqlite.ErrIO, "another process gave up")
	require.ErrorIs(t, next.Close(), sqlite.ErrIO)
	require.NoError(t, next.CloseAll())
}

// TestDiskFailsFindsBugs makes sure that the test can fail.
func TestDiskFailsFindsBugs(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	for first := 20; ; first += 5 {
		problems, n := failures(t, 1, 20, failure{first: first, count: 10}, deaf)
		if len(problems) > 0 {
			t.Logf("%q", problems[0])
			break
		}
		require.Positive(t, n, "not found")
	}
}
