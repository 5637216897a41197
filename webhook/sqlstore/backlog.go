package sqlstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// The backlog is counted in rounds over the ids of endpoints, which are those of one organization
// after another. A call reads up to sampleLimit entries of the queue's index, so that it costs as
// much as Totals, and the next one goes on with the organization at which it stopped. As long as less
// is waiting, each call is a round. An organization of which more is waiting gets a call of its own,
// and the number is then a lower bound.

// sampleLimit is how many deliveries a call counts, of those that are in the queue and of those that
// wait in line.
const sampleLimit = webhook.DefaultTotalsLimit

// After staleRound without a call, a round is not gone on with: what it counted is history by then.
const staleRound = 10 * webhook.BacklogSampleInterval

// sampleRows is how many organizations a transaction stores, so that none takes long.
const sampleRows = 500

type backlogStatements struct {
	last, sample   string
	organizations  *batch
	queued, inLine string
	ofAll, ofOne   string
	// old finds an hour before one; oldBacklogs and oldSamples remove what is before it.
	old, oldBacklogs, oldSamples string
}

func newBacklogStatements(x expander) backlogStatements {
	// MySQL has no MAX of two values, SQLite no GREATEST.
	largest := func(table, column string) string {
		return column + ` = CASE WHEN excluded.` + column + ` > {p}` + table + `.` + column +
			` THEN excluded.` + column + ` ELSE {p}` + table + `.` + column + ` END`
	}
	// The endpoints are looked up one by one, as in totals.go.
	const endpoint = `, coalesce((SELECT p.state FROM {p}endpoints p WHERE p.id = u.endpoint_id), 2),
		coalesce((SELECT p.health FROM {p}endpoints p WHERE p.id = u.endpoint_id), 0)`
	return backlogStatements{
		last: x.sql(`SELECT hour, sampled_at, round_began, round_from, round_waiting, round_more
			FROM {p}samples WHERE hour <= ? ORDER BY hour DESC LIMIT 1`),
		sample: x.sql(`INSERT INTO {p}samples (hour, sampled_at, waiting, more, oldest_age, whole,
				round_began, round_from, round_waiting, round_more)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (hour) DO UPDATE SET sampled_at = excluded.sampled_at,
				round_began = excluded.round_began, round_from = excluded.round_from,
				round_waiting = excluded.round_waiting, round_more = excluded.round_more, ` +
			largest("samples", "waiting") + `, ` + largest("samples", "more") + `, ` +
			largest("samples", "oldest_age") + `, ` + largest("samples", "whole")),
		organizations: x.batch(`INSERT INTO {p}backlogs (organization, waiting, more, oldest_age, hour)
				WITH {v} SELECT organization, waiting, more, oldest_age, ? FROM v WHERE true
			ON CONFLICT (organization, hour) DO UPDATE SET `+largest("backlogs", "waiting")+`, `+
			largest("backlogs", "more")+`, `+largest("backlogs", "oldest_age"),
			column{"organization", integer}, column{"waiting", integer}, column{"more", integer},
			column{"oldest_age", integer}),
		queued: x.sql(`SELECT u.endpoint_id, u.entries, u.waiting, u.due_at` + endpoint + ` FROM (
			SELECT q.endpoint_id, count(*) AS entries, count(CASE WHEN q.state = 0 THEN 1 END) AS waiting,
				min(q.due_at) AS due_at FROM (
				SELECT d.endpoint_id, d.state, d.due_at FROM {p}deliveries d
				WHERE d.due_at IS NOT NULL AND d.endpoint_id > ? AND d.endpoint_id <= ?
				ORDER BY d.endpoint_id LIMIT ?) q
			GROUP BY q.endpoint_id) u`),
		inLine: x.sql(`SELECT u.endpoint_id, u.entries, u.entries, 9223372036854775807` + endpoint + ` FROM (
			SELECT w.endpoint_id, count(*) AS entries FROM (
				SELECT d.endpoint_id FROM {p}deliveries d
				WHERE ` + inLine + ` AND d.endpoint_id > ? AND d.endpoint_id <= ?
				ORDER BY d.endpoint_id LIMIT ?) w
			GROUP BY w.endpoint_id) u`),
		ofAll: x.sql(`SELECT hour, waiting, more, whole, oldest_age FROM {p}samples
			WHERE hour >= ? ORDER BY hour`),
		ofOne: x.sql(`SELECT hour, waiting, more, oldest_age FROM {p}backlogs
			WHERE organization = ? AND hour >= ?`),
		old: x.sql(`SELECT hour FROM {p}samples WHERE hour < ? LIMIT 1`),
		oldBacklogs: x.sql(`DELETE FROM {p}backlogs WHERE (organization, hour) IN (
			SELECT organization, hour FROM (
				SELECT organization, hour FROM {p}backlogs WHERE hour < ? LIMIT ?) found)`),
		oldSamples: x.sql(`DELETE FROM {p}samples WHERE hour IN (
			SELECT hour FROM (SELECT hour FROM {p}samples WHERE hour < ? LIMIT ?) found)`),
	}
}

// waitingEndpoint is what is waiting for an endpoint.
type waitingEndpoint struct {
	id, waiting, dueAt int64
}

// round is how far the counting is. The zero round is one that is to begin.
type round struct {
	began   int64 // the hour
	from    int64 // the endpoint after which it goes on; 0 if it has ended
	waiting int64
	more    int
}

// backlogSample is what a call has counted.
type backlogSample struct {
	organizations []backlogOf
	oldestAge     int64
	round         round
}

type backlogOf struct {
	organization, waiting, oldestAge int64
	more                             int
}

// SampleBacklog implements [webhook.BacklogStore]. It counts outside of a transaction. Of two
// processes that count at the same time, both store what they found.
func (s *Store) SampleBacklog(ctx context.Context, now time.Time) error {
	hour, at := hourOf(now), micros(now)
	var lastHour, sampledAt int64
	var r round
	found, err := one(ctx, s.read, s.backlog.last, []any{hour},
		[]any{&lastHour, &sampledAt, &r.began, &r.from, &r.waiting, &r.more})
	if err != nil {
		return s.mapped(err)
	}
	if since := at - sampledAt; found && since >= 0 && since < webhook.BacklogSampleGap.Microseconds() {
		return nil
	}
	if r.from == 0 || at-sampledAt > staleRound.Microseconds() {
		r = round{began: hour}
	}
	sample, err := s.countBacklog(ctx, at, r)
	if err != nil {
		return s.mapped(err)
	}
	rows := make([]any, 0, 4*len(sample.organizations))
	for _, o := range sample.organizations {
		if o.waiting == 0 && o.oldestAge == 0 && o.more == 0 {
			continue
		}
		rows = append(rows, o.organization, o.waiting, int64(o.more), o.oldestAge)
	}
	r = sample.round
	whole := 0
	if r.from == 0 && r.began == hour {
		whole = 1
	}
	for some := range slices.Chunk(rows, sampleRows*4) {
		err := s.write(ctx, func(ctx context.Context, q Querier) error {
			_, err := s.x.dialect.execBatch(ctx, q, s.backlog.organizations, some, []any{hour})
			return err
		})
		if err != nil {
			return err
		}
	}
	// The progress comes last: if the call ends before, the next one counts the same again.
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, s.backlog.sample, hour, at, r.waiting, r.more, sample.oldestAge, whole,
			r.began, r.from, r.waiting, r.more)
		return err
	})
}

// countBacklog goes on with the round.
func (s *Store) countBacklog(ctx context.Context, now int64, r round) (b backlogSample, err error) {
	waiting, queuedTo, err := s.waitingEndpoints(ctx, s.backlog.queued, r.from)
	if err != nil {
		return b, err
	}
	inLine, inLineTo, err := s.waitingEndpoints(ctx, s.backlog.inLine, r.from)
	if err != nil {
		return b, err
	}
	waiting = append(waiting, inLine...)
	slices.SortFunc(waiting, func(a, b waitingEndpoint) int { return cmp.Compare(a.id, b.id) })
	to := min(queuedTo, inLineTo)
	large := int64(0) // the organization of which this call cannot count all
	if to < math.MaxInt64 {
		// The organization at which it stopped is left to the next call, unless that would not count
		// more of it either.
		number := organizationNumber(to)
		first, last := endpointIDRange(number)
		if to = first; len(waiting) == 0 || organizationNumber(waiting[0].id) == number {
			to, large = last, number
		}
	}
	b.round = r
	for _, e := range waiting {
		if e.id > to {
			break
		}
		number := organizationNumber(e.id)
		if n := len(b.organizations); n == 0 || b.organizations[n-1].organization != number {
			b.organizations = append(b.organizations, backlogOf{organization: number})
		}
		o := &b.organizations[len(b.organizations)-1]
		o.waiting += e.waiting
		o.oldestAge = max(o.oldestAge, now-e.dueAt)
		b.round.waiting += e.waiting
	}
	if large != 0 {
		o := &b.organizations[len(b.organizations)-1]
		first, last := endpointIDRange(large)
		oldest, err := s.oldest(ctx, first, last, sampleLimit)
		if err != nil {
			return b, err
		}
		o.more, b.round.more = 1, 1
		o.oldestAge = max(o.oldestAge, now-min(oldest, now))
	}
	for _, o := range b.organizations {
		b.oldestAge = max(b.oldestAge, o.oldestAge)
	}
	if b.round.from = to; to == math.MaxInt64 {
		b.round.from = 0
	}
	return b, nil
}

// waitingEndpoints returns what the statement counts of each endpoint after an id, in no order, and
// the endpoint at which it stopped: the largest number if it counted all.
func (s *Store) waitingEndpoints(
	ctx context.Context, statement string, from int64,
) (list []waitingEndpoint, to int64, err error) {
	var entries, last int64
	err = collect(ctx, s.read, func(row scanner) error {
		var e waitingEndpoint
		var n int64
		var state, health int
		err := row.Scan(&e.id, &n, &e.waiting, &e.dueAt, &state, &health)
		entries, last = entries+n, max(last, e.id)
		if state == endpointDeleted {
			e.waiting = 0
		}
		if state != endpointActive || health != 0 {
			e.dueAt = math.MaxInt64
		}
		list = append(list, e)
		return err
	}, statement, from, int64(math.MaxInt64), sampleLimit)
	if entries < sampleLimit {
		last = math.MaxInt64
	}
	return list, last, err
}

// HourlyBacklog implements [webhook.BacklogStore].
func (s *Store) HourlyBacklog(
	ctx context.Context, query webhook.BacklogQuery,
) (list []webhook.HourlyBacklog, err error) {
	since := int64(math.MinInt64)
	if !query.Since.IsZero() {
		since = hourOf(query.Since)
	}
	// The hours first: what was counted in them is stored with them.
	var whole []bool
	err = collect(ctx, s.read, func(row scanner) error {
		var h webhook.HourlyBacklog
		var hour, age int64
		var more, all int
		err := row.Scan(&hour, &h.Waiting, &more, &all, &age)
		h.Hour = moment(hour * time.Hour.Microseconds())
		h.More = more > 0 || all == 0
		h.OldestDueAge = time.Duration(age) * time.Microsecond
		list, whole = append(list, h), append(whole, all > 0)
		return err
	}, s.backlog.ofAll, since)
	if err == nil && !query.AllOrganizations {
		list, err = s.backlogOf(ctx, query.OrganizationID, since, list, whole)
	}
	if err != nil {
		return nil, s.mapped(err)
	}
	return list, nil
}

// backlogOf returns those of the hours of which something is known of the organization. whole says of
// each whether all organizations were counted.
func (s *Store) backlogOf(
	ctx context.Context, organizationID string, since int64, hours []webhook.HourlyBacklog, whole []bool,
) (list []webhook.HourlyBacklog, err error) {
	var number int64 // 0 if it has had no endpoint
	_, err = one(ctx, s.read, s.totals.number, []any{organizationID}, []any{&number})
	if err != nil {
		return nil, err
	}
	found := make(map[time.Time]webhook.HourlyBacklog)
	err = collect(ctx, s.read, func(row scanner) error {
		var h webhook.HourlyBacklog
		var hour, age int64
		var more int
		err := row.Scan(&hour, &h.Waiting, &more, &age)
		h.Hour, h.More = moment(hour*time.Hour.Microseconds()), more > 0
		h.OldestDueAge = time.Duration(age) * time.Microsecond
		found[h.Hour] = h
		return err
	}, s.backlog.ofOne, number, since)
	for i := range hours {
		h, ok := found[hours[i].Hour]
		if !ok {
			h = webhook.HourlyBacklog{Hour: hours[i].Hour}
		}
		if ok || whole[i] {
			list = append(list, h)
		}
	}
	return list, err
}

// pruneBacklog removes what was counted before the hour. Most calls find nothing, and begin no
// transaction.
func (s *Store) pruneBacklog(ctx context.Context, hour int64, p *pruning) error {
	some, err := one(ctx, s.read, s.backlog.old, []any{hour}, []any{new(int64)})
	if err != nil || !some {
		return s.mapped(err)
	}
	// The row of an hour goes last: without it, no later call would look for the others.
	if err := s.inSteps(ctx, p, s.backlog.oldBacklogs, hour); err != nil {
		return err
	}
	return s.inSteps(ctx, p, s.backlog.oldSamples, hour)
}
