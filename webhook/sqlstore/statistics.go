package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type statisticsStatements struct {
	// shard is the part of each hour's figures that this store writes.
	shard int64
	add   *additions

	figures, failure, unfinished string
	// page lists subscriptions, hours has the figures of those from one id to another.
	page, hours string
}

func newStatisticsStatements(x expander) statisticsStatements {
	// The channels that the subscription has now, in the written order of tables.
	const endpoints = `FROM {p}endpoints p {join} {p}`
	const ofSubscription = ` WHERE p.organization_id = ? AND p.webhook_id = ? AND p.state < 2`
	var durations strings.Builder
	for _, name := range durationColumns {
		fmt.Fprintf(&durations, ", coalesce(sum(s.%s), 0)", name)
	}
	return statisticsStatements{
		shard: rand.Int64N(x.dialect.shards()),
		add:   &additions{x: x, batches: make(map[buckets]*batch)},
		figures: x.sql(`SELECT coalesce(sum(s.succeeded), 0), coalesce(sum(s.failed), 0),
			coalesce(sum(s.dead), 0),
				coalesce(sum(s.cancelled), 0), coalesce(sum(s.duration), 0), coalesce(max(s.last_success), 0)` +
			durations.String() + `
			` + endpoints + `statistics s ON s.endpoint_id = p.id AND s.hour >= ?` + ofSubscription),
		failure: x.sql(`SELECT s.last_failure, s.last_failed
			` + endpoints + `statistics s ON s.endpoint_id = p.id AND s.hour >= ?` + ofSubscription + `
			ORDER BY s.last_failure DESC LIMIT 1`),
		page: x.sql(`SELECT DISTINCT webhook_id FROM {p}endpoints
			WHERE organization_id = ? AND webhook_id > ? AND state < 2 ORDER BY webhook_id LIMIT ?`),
		hours: x.sql(`SELECT p.webhook_id, s.hour, sum(s.succeeded), sum(s.failed), sum(s.dead),
				sum(s.cancelled), sum(s.duration), max(s.last_success), max(s.last_failure)` +
			durations.String() + `
			` + endpoints + `statistics s ON s.endpoint_id = p.id AND s.hour >= ?
			WHERE p.organization_id = ? AND p.webhook_id >= ? AND p.webhook_id <= ? AND p.state < 2
			GROUP BY p.webhook_id, s.hour ORDER BY p.webhook_id, s.hour`),
		// Pending is 0, in flight is 1.
		unfinished: x.sql(`SELECT count(*), coalesce(sum(u.paused), 0),
				coalesce(sum(CASE WHEN u.paused = 0 THEN u.state ELSE 0 END), 0) FROM (
			SELECT d.state, p.state AS paused
			` + endpoints + `deliveries d ON d.endpoint_id = p.id AND d.due_at IS NOT NULL` +
			ofSubscription + `
			UNION ALL SELECT d.state, p.state AS paused
			` + endpoints + `deliveries d ON d.endpoint_id = p.id AND ` + inLine + ofSubscription + `
			UNION ALL SELECT d.state, p.state AS paused ` + prefetched + ` AND p.organization_id = ?
				AND p.webhook_id = ? AND p.state < 2) u`),
	}
}

// buckets are those from first to before last, of [webhook.Durations].
type buckets struct{ first, last int }

// including returns the buckets with those that count something.
func (b buckets) including(d *webhook.Durations) buckets {
	for i, n := range d {
		switch {
		case n == 0:
		case b == buckets{}:
			b = buckets{i, i + 1}
		default:
			b = buckets{min(b.first, i), max(b.last, i+1)}
		}
	}
	return b
}

// additions are the statements that add to figures. Each column costs time, and the attempts of one
// call fall into few buckets, so there is a statement for each range of them.
type additions struct {
	x       expander
	mu      sync.Mutex
	batches map[buckets]*batch
}

func (a *additions) of(b buckets) *batch {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.batches[b] == nil {
		a.batches[b] = a.x.add(durationColumns[b.first:b.last])
	}
	return a.batches[b]
}

func (x expander) add(durations []string) *batch {
	var columns []column
	for _, name := range append([]string{"endpoint_id", "succeeded", "failed", "dead", "cancelled",
		"duration", "last_success", "last_failure", "last_failed"}, durations...) {
		columns = append(columns, column{name, integer})
	}
	var sums strings.Builder
	for _, name := range durations {
		fmt.Fprintf(&sums, ", %s = {p}statistics.%[1]s + excluded.%[1]s", name)
	}
	names := namesOf(columns)
	return x.batch(`INSERT INTO {p}statistics (`+names+`, hour, shard) WITH {v}
		SELECT `+names+`, ?, ? FROM v WHERE true
		ON CONFLICT (endpoint_id, hour, shard) DO UPDATE SET
			succeeded = {p}statistics.succeeded + excluded.succeeded,
			failed = {p}statistics.failed + excluded.failed,
			dead = {p}statistics.dead + excluded.dead,
			cancelled = {p}statistics.cancelled + excluded.cancelled,
			duration = {p}statistics.duration + excluded.duration,
			last_success = CASE WHEN excluded.last_success > {p}statistics.last_success
				THEN excluded.last_success ELSE {p}statistics.last_success END,
			last_failed = CASE WHEN excluded.last_failure > {p}statistics.last_failure
				THEN excluded.last_failed ELSE {p}statistics.last_failed END,
			last_failure = CASE WHEN excluded.last_failure > {p}statistics.last_failure
				THEN excluded.last_failure ELSE {p}statistics.last_failure END`+sums.String(),
		columns...)
}

// durationColumns have the buckets of [webhook.Durations]: d0 the shortest.
var durationColumns = func() (names []string) {
	for i := range len(webhook.Durations{}) {
		names = append(names, fmt.Sprint("d", i))
	}
	return names
}()

// pointers returns where a row's buckets are scanned to.
func pointers(d *webhook.Durations) []any {
	to := make([]any, len(d))
	for i := range d {
		to[i] = &d[i]
	}
	return to
}

// tally counts results by endpoint, so that a transaction writes an endpoint's figures once.
type tally map[int64]*webhook.Statistics

func (t tally) of(endpointID int64) *webhook.Statistics {
	s := t[endpointID]
	if s == nil {
		s = &webhook.Statistics{}
		t[endpointID] = s
	}
	return s
}

// addStatistics adds the tally to the figures of the hour. It runs after the writes to deliveries
// and writes in the order of the endpoints, so that two transactions cannot deadlock.
func (s *Store) addStatistics(ctx context.Context, q Querier, now time.Time, t tally) error {
	st := &s.settle.statistics
	ids := make([]int64, 0, len(t))
	for id := range t {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare)
	var used buckets
	for _, f := range t {
		used = used.including(&f.Durations)
	}
	statement := st.add.of(used)
	rows := make([]any, 0, len(ids)*len(statement.columns))
	for _, id := range ids {
		f := t[id]
		if *f == (webhook.Statistics{}) {
			continue
		}
		rows = append(rows, id, f.Succeeded, f.Failed, f.Dead, f.Cancelled, f.Duration.Microseconds(),
			microsOrZero(f.LastSuccess), microsOrZero(f.LastFailure), int64(f.LastFailed))
		for _, n := range f.Durations[used.first:used.last] {
			rows = append(rows, n)
		}
	}
	_, err := s.x.dialect.execBatch(ctx, q, statement, rows, []any{hourOf(now), st.shard})
	return err
}

// Statistics implements [webhook.History].
func (s *Store) Statistics(
	ctx context.Context, query webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	leave, err := s.scans.enter(ctx, query.OrganizationID)
	if err != nil {
		return webhook.Statistics{}, err
	}
	defer leave()
	f := &webhook.Statistics{}
	found, err := one(ctx, s.read, s.subscriptions.exists,
		[]any{query.SubscriptionID, query.OrganizationID}, []any{new(int64)})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err == nil {
		err = s.readRecorded(ctx, f, query)
	}
	if err == nil {
		err = s.countUnfinished(ctx, f, query)
	}
	if err != nil {
		return webhook.Statistics{}, s.mapped(err)
	}
	return *f, nil
}

// readRecorded sets the figures that were recorded.
func (s *Store) readRecorded(
	ctx context.Context, f *webhook.Statistics, query webhook.StatisticsQuery,
) error {
	since := int64(math.MinInt64)
	if !query.Since.IsZero() {
		f.Since = query.Since.UTC().Truncate(time.Hour)
		since = hourOf(f.Since)
	}
	args := []any{since, query.OrganizationID, query.SubscriptionID}
	var duration, success, failure, failed int64
	_, err := one(ctx, s.read, s.settle.statistics.figures, args,
		append([]any{&f.Succeeded, &f.Failed, &f.Dead, &f.Cancelled, &duration, &success},
			pointers(&f.Durations)...))
	if err != nil {
		return err
	}
	_, err = one(ctx, s.read, s.settle.statistics.failure, args, []any{&failure, &failed})
	f.Duration = time.Duration(duration) * time.Microsecond
	f.LastSuccess, f.LastFailure, f.LastFailed = momentOrZero(success), momentOrZero(failure),
		webhook.DeliveryID(failed)
	return err
}

// countUnfinished counts the deliveries that are not settled.
func (s *Store) countUnfinished(
	ctx context.Context, f *webhook.Statistics, query webhook.StatisticsQuery,
) error {
	var all, paused, inFlight int64
	_, err := one(ctx, s.read, s.settle.statistics.unfinished,
		[]any{query.OrganizationID, query.SubscriptionID, query.OrganizationID, query.SubscriptionID,
			query.OrganizationID, query.SubscriptionID},
		[]any{&all, &paused, &inFlight})
	f.Pending, f.InFlight, f.Paused = all-paused-inFlight, inFlight, paused
	return err
}

// HourlyStatistics implements [webhook.History].
func (s *Store) HourlyStatistics(
	ctx context.Context, query webhook.HourlyQuery,
) (page webhook.HourlyPage, err error) {
	leave, err := s.scans.enter(ctx, query.OrganizationID)
	if err != nil {
		return webhook.HourlyPage{}, err
	}
	defer leave()
	first, last := query.SubscriptionID, query.SubscriptionID
	if query.SubscriptionID == "" {
		if first, last, page.Next, err = s.hourlyPage(ctx, query); err != nil {
			return webhook.HourlyPage{}, s.mapped(err)
		}
		if last == "" {
			return page, nil
		}
	}
	since := int64(math.MinInt64)
	if !query.Since.IsZero() {
		since = hourOf(query.Since)
	}
	err = collect(ctx, s.read, func(row scanner) error {
		var f webhook.HourlyStatistics
		var hour, duration, success, failure int64
		err := row.Scan(append([]any{&f.SubscriptionID, &hour, &f.Succeeded, &f.Failed, &f.Dead,
			&f.Cancelled, &duration, &success, &failure}, pointers(&f.Durations)...)...)
		f.LastSuccess, f.LastFailure = momentOrZero(success), momentOrZero(failure)
		f.Hour = moment(hour * time.Hour.Microseconds())
		f.Duration = time.Duration(duration) * time.Microsecond
		page.Hours = append(page.Hours, f)
		return err
	}, s.settle.statistics.hours, since, query.OrganizationID, first, last)
	if err != nil {
		return webhook.HourlyPage{}, s.mapped(err)
	}
	return page, nil
}

// hourlyPage returns the ids of the first and last subscription of the page, and the cursor of the
// next one. The ids are empty if there are no subscriptions.
func (s *Store) hourlyPage(
	ctx context.Context, query webhook.HourlyQuery,
) (first, last, next string, err error) {
	limit := query.PageSize()
	n := 0
	err = collect(ctx, s.read, func(row scanner) error {
		var id string
		err := row.Scan(&id)
		switch n++; {
		case n == 1:
			first, last = id, id
		case n <= limit:
			last = id
		default:
			next = last
		}
		return err
	}, s.settle.statistics.page, query.OrganizationID, query.After, limit+1)
	return first, last, next, err
}

// hourOf returns the hours since 1970.
func hourOf(t time.Time) int64 { return micros(t.Truncate(time.Hour)) / time.Hour.Microseconds() }

// microsOrZero and momentOrZero are micros and moment for times that may be zero.
func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

func momentOrZero(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return moment(us)
}
