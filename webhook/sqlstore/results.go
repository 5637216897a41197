package sqlstore

import (
	"context"
	varint "encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// A row of the table results is what one transaction did to deliveries. It names them, and the
// numbers of their attempts, in a few bytes each: the attempts are in the history of the deliveries.
// So a result costs a fraction of a microsecond. An index by organization would cost several, and
// readers do without one, because skipping the entries of others takes some nanoseconds each.

type resultStatements struct {
	add                     string
	given, open             string
	rows, from, nth, remove string
	deliveries              string // not expanded, because conditions are added to it
}

func newResultStatements(x expander) resultStatements {
	given, open := x.dialect.resultsSQL()
	return resultStatements{
		add: x.sql(x.dialect.addResultsSQL()), given: x.sql(given), open: x.sql(open),
		rows: x.sql(`SELECT id, at, entries FROM {p}results WHERE id >= ? AND id <= ? ORDER BY id
			LIMIT ?`),
		from: x.sql(`SELECT id, at FROM {p}results WHERE id >= ? ORDER BY id LIMIT 1`),
		nth: x.sql(`SELECT id, at FROM {p}results WHERE id >= ? AND id < ? ORDER BY id
			LIMIT 1 OFFSET ?`),
		remove:     x.sql(`DELETE FROM {p}results WHERE id >= ? AND id <= ?`),
		deliveries: x.sql(deliveryColumns + `d.history, NULL` + deliveryTables + `d.id {in}`),
	}
}

// result is an entry: what a delivery became, and by which attempt, 0 for none.
type result struct{ delivery, endpoint, state, number int64 }

const (
	// entryBits are those of a position that tell how many entries of a row are before it. If they are
	// all set, that is all of them.
	entryBits  = 10
	allEntries = 1<<entryBits - 1
	// stateBits are those of an entry's state.
	stateBits = 3
)

// resultsOf returns what the settlements did, but for those that only requeue.
func resultsOf(settlements []webhook.Settlement, held []holding) []result {
	results := make([]result, 0, len(settlements))
	for i := range settlements {
		v := &settlements[i]
		r := result{delivery: int64(v.DeliveryID), endpoint: held[i].endpointID,
			state: settledStates[v.Status]}
		switch {
		case v.Attempt != nil:
			r.number = held[i].number
		case v.Status == webhook.StatusPending:
			continue
		}
		results = append(results, r)
	}
	return results
}

// addResults adds results as the last thing that a transaction does, because readers wait for it
// from then on.
func (s *Store) addResults(ctx context.Context, q Querier, at int64, results []result) error {
	for row := range slices.Chunk(results, allEntries) {
		if _, err := q.Exec(ctx, s.results.add, at, encodeResults(row)); err != nil {
			return err
		}
	}
	return nil
}

// encodeResults writes differences, because the deliveries of a transaction have ids that are near
// each other.
func encodeResults(results []result) []byte {
	out := make([]byte, 0, 6*len(results)+16)
	var before result
	for _, r := range results {
		out = varint.AppendVarint(out, r.delivery-before.delivery)
		out = varint.AppendVarint(out, r.endpoint-before.endpoint)
		out = varint.AppendUvarint(out, uint64(r.number<<stateBits|r.state)) //nolint:gosec // not negative
		before = r
	}
	return out
}

var errResults = errors.New("sqlstore: a row of results is damaged")

func decodeResults(entries []byte) (results []result, err error) {
	var before result
	for len(entries) > 0 {
		d, n := varint.Varint(entries)
		if n <= 0 {
			return nil, errResults
		}
		e, m := varint.Varint(entries[n:])
		if m <= 0 {
			return nil, errResults
		}
		last, l := varint.Uvarint(entries[n+m:])
		if l <= 0 {
			return nil, errResults
		}
		before = result{delivery: before.delivery + d, endpoint: before.endpoint + e,
			state:  int64(last & (1<<stateBits - 1)),
			number: int64(last >> stateBits)} //nolint:gosec // as it was written
		results, entries = append(results, before), entries[n+m+l:]
	}
	return results, nil
}

// place is a position of results.
type place struct{ row, entry int64 }

func placeOf(p webhook.Position) (place, error) {
	if p == 0 {
		return place{}, nil
	}
	n := int64(p - webhook.ResultPosition)
	if n < 0 {
		return place{}, webhook.ErrPosition
	}
	return place{n >> entryBits, n & allEntries}, nil
}

func (p place) position() webhook.Position {
	return webhook.ResultPosition + webhook.Position(p.row<<entryBits|p.entry)
}

// after reports whether p is behind o.
func (p place) after(o place) bool {
	return p.row > o.row || p.row == o.row && p.entry > o.entry
}

// resultsEnd returns the last row before which no other can appear any more. As for tailEnd, the
// order of its queries matters.
func (s *Store) resultsEnd(
	ctx context.Context, after webhook.Position,
) (end tailEnd, err error) {
	at, err := placeOf(after)
	if err != nil {
		return end, err
	}
	if _, err = one(ctx, s.read, s.results.given, nil, []any{&end.last}); err != nil {
		return end, s.mapped(err)
	}
	if at.row > end.last {
		return end, webhook.ErrPosition
	}
	if s.results.open == "" {
		return end, nil
	}
	err = collect(ctx, s.read, func(row scanner) error {
		var first, began int64
		err := row.Scan(&first, &began)
		if first <= end.last {
			end.last = first - 1
			if end.held = (webhook.TailHeld{}); began > 0 {
				end.held.HeldSince = moment(began)
			}
		}
		return err
	}, s.results.open)
	return end, s.mapped(err)
}

// ResultsEnd implements [webhook.TailStore].
func (s *Store) ResultsEnd(ctx context.Context) (webhook.TailEnd, error) {
	end, err := s.resultsEnd(ctx, 0)
	return webhook.TailEnd{Position: place{end.last, allEntries}.position(), TailHeld: end.held}, err
}

const (
	// resultRows is how many rows one statement reads, of up to 10 KB.
	resultRows = 64
	// maxResultRows is how many rows one call of Tail or TailNews reads, and maxHits how many
	// deliveries it looks at: a filter that selects little does not make a call longer.
	maxResultRows = 1024
	maxHits       = 1024
)

// resultRow is a row of the table results.
type resultRow struct {
	id, at  int64
	entries []byte
}

func (s *Store) resultRows(ctx context.Context, from, last int64) (rows []resultRow, err error) {
	err = collect(ctx, s.read, func(row scanner) error {
		var r resultRow
		err := row.Scan(&r.id, &r.at, &r.entries)
		rows = append(rows, r)
		return err
	}, s.results.rows, from, last, resultRows)
	return rows, err
}

// resultNews is TailNews for results.
func (s *Store) resultNews(
	ctx context.Context, after webhook.Position,
) (news webhook.TailNews, err error) {
	end, err := s.resultsEnd(ctx, after)
	if err != nil {
		return news, err
	}
	at, _ := placeOf(after) // resultsEnd has checked it
	news.TailHeld = end.held
	endpoints := make(map[int64]struct{})
	from := at.row
	if at.entry == allEntries {
		from++
	}
	for read := 0; from <= end.last; {
		if read >= maxResultRows {
			news.More = true
			break
		}
		rows, err := s.resultRows(ctx, from, end.last)
		if err != nil {
			return news, s.mapped(err)
		}
		for _, r := range rows {
			entries, err := decodeResults(r.entries)
			if err != nil {
				return news, err
			}
			for i := range entries {
				endpoints[entries[i].endpoint] = struct{}{}
			}
			from = r.id + 1
		}
		if read += len(rows); len(rows) < resultRows {
			from = end.last + 1
		}
	}
	news.Next = max(after, place{from - 1, allEntries}.position())
	ids := make([]int64, 0, len(endpoints))
	for id := range endpoints {
		ids = append(ids, id)
	}
	news.Subscriptions, err = s.ownersOf(ctx, ids)
	return news, s.mapped(err)
}

// resultsReading is one call of Tail that reads results.
type resultsReading struct {
	query webhook.TailQuery
	page  webhook.TailPage
	at    place
	// organization is the number of the organization, and endpoints are those of the subscription, nil
	// for all.
	organization int64
	endpoints    map[int64]struct{}
	// hits are results that are to be read, of hitsRead before them.
	hits     []hit
	hitsRead int
	bytes    int
}

type hit struct {
	result
	at     int64
	behind place // the place after it
}

// tailResults is Tail for results. A page ends early, with More, after 1 MiB, and after it has read
// 1024 transactions, or looked at 1024 deliveries.
func (s *Store) tailResults(
	ctx context.Context, q webhook.TailQuery,
) (webhook.TailPage, error) {
	end, err := s.resultsEnd(ctx, q.After)
	if err != nil {
		return webhook.TailPage{}, err
	}
	t := &resultsReading{query: q}
	t.at, _ = placeOf(q.After) // resultsEnd has checked it
	t.page.TailHeld = end.held
	if err := s.readResults(ctx, t, end.last); err != nil {
		return webhook.TailPage{}, s.mapped(err)
	}
	t.page.Next = max(q.After, t.at.position())
	return t.page, nil
}

func (s *Store) readResults(ctx context.Context, t *resultsReading, last int64) error {
	some, err := s.selectEndpoints(ctx, t)
	if err != nil {
		return err
	}
	if !some {
		t.at = place{last, allEntries}
		return nil
	}
	if !t.query.Since.IsZero() {
		first, err := s.firstResult(ctx, t.at.row, last, micros(t.query.Since)-resultSlack)
		if err != nil {
			return err
		}
		if start := (place{first - 1, allEntries}); start.after(t.at) {
			t.at = start
		}
	}
	for read := 0; ; {
		from := t.at.row
		if t.at.entry == allEntries {
			from++
		}
		rows, err := s.resultRows(ctx, from, last)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if full, err := s.readResultRow(ctx, t, r); err != nil || full {
				return err
			}
		}
		read += len(rows)
		if len(rows) < resultRows {
			full, err := s.flush(ctx, t)
			if err == nil && !full {
				t.at = place{last, allEntries}
			}
			return err
		}
		if full, err := s.flush(ctx, t); err != nil || full {
			return err
		}
		t.at = place{rows[len(rows)-1].id, allEntries}
		if t.page.More = read >= maxResultRows; t.page.More {
			return nil
		}
	}
}

// resultSlack is by how much the clock of one process may be behind another's.
const resultSlack = int64(60_000_000)

// selectEndpoints finds out whose results are read, and reports whether there can be any.
func (s *Store) selectEndpoints(ctx context.Context, t *resultsReading) (some bool, err error) {
	ids, err := s.nextEndpoints(ctx, newListing(webhook.DeliveryQuery{
		OrganizationID: t.query.OrganizationID, SubscriptionID: t.query.SubscriptionID}),
		&endpointCursor{})
	if err != nil || len(ids) == 0 {
		return false, err
	}
	t.organization = ids[0] >> endpointBits
	if t.query.SubscriptionID != "" && len(ids) < endpointsPage {
		t.endpoints = make(map[int64]struct{}, len(ids))
		for _, id := range ids {
			t.endpoints[id] = struct{}{}
		}
	}
	return true, nil
}

// firstResult returns the id of the first row that is not older than the time, or last+1. Clocks are
// never quite the same, so some behind it may be older, too.
func (s *Store) firstResult(ctx context.Context, from, last, since int64) (int64, error) {
	bound := last + 1
	for from < bound {
		middle := from + (bound-from)/2
		var id, at int64
		found, err := one(ctx, s.read, s.results.from, []any{middle}, []any{&id, &at})
		switch {
		case err != nil:
			return 0, err
		case !found || at >= since || id >= bound:
			bound = middle
		default:
			from = id + 1
		}
	}
	return bound, nil
}

// readResultRow reads a row, and reports whether the page is full.
func (s *Store) readResultRow(
	ctx context.Context, t *resultsReading, row resultRow,
) (full bool, err error) {
	entries, err := decodeResults(row.entries)
	if err != nil || !t.query.Since.IsZero() && row.at < micros(t.query.Since) {
		return false, err
	}
	for i, r := range entries {
		behind := place{row.id, int64(i) + 1}
		if i == len(entries)-1 {
			behind.entry = allEntries
		}
		if !behind.after(t.at) || r.endpoint>>endpointBits != t.organization {
			continue
		}
		if _, mine := t.endpoints[r.endpoint]; t.endpoints != nil && !mine {
			continue
		}
		t.hits = append(t.hits, hit{r, row.at, behind})
		if len(t.hits) < tailStep {
			continue
		}
		if full, err := s.flush(ctx, t); err != nil || full {
			return true, err
		}
	}
	return false, nil
}

// flush adds the hits to the page, and reports whether it is full.
func (s *Store) flush(ctx context.Context, t *resultsReading) (full bool, err error) {
	if len(t.hits) == 0 {
		return false, nil
	}
	ids := make([]int64, len(t.hits))
	for i := range t.hits {
		ids[i] = t.hits[i].delivery
	}
	slices.Sort(ids)
	found := make(map[int64]*webhook.Delivery, len(ids))
	err = collect(ctx, s.read, func(row scanner) error {
		d, err := scanDelivery(rowWith{row, new([]byte)}, true)
		found[int64(d.ID)] = &d
		return err
	}, s.results.deliveries, s.x.dialect.ints(slices.Compact(ids)))
	if err != nil {
		return false, err
	}
	if err := s.readLeaseEnds(ctx, slices.Collect(maps.Values(found))); err != nil {
		return false, err
	}
	for i := range t.hits {
		h := &t.hits[i]
		t.at = h.behind
		if d := found[h.delivery]; d != nil && t.selects(d) {
			if err := t.add(h, *d); err != nil {
				return false, err
			}
		}
		t.hitsRead++
		t.page.More = len(t.page.Records) >= t.query.PageSize() || t.bytes >= maxTailBytes ||
			t.hitsRead >= maxHits
		if t.page.More {
			return true, nil
		}
	}
	t.hits = t.hits[:0]
	return false, nil
}

// selects reports whether the query selects results of the delivery.
func (t *resultsReading) selects(d *webhook.Delivery) bool {
	q := &t.query
	return d.OrganizationID == q.OrganizationID && q.MatchesType(d.EventType) &&
		(q.SubscriptionID == "" || d.SubscriptionID == q.SubscriptionID)
}

func (t *resultsReading) add(h *hit, d webhook.Delivery) error {
	r := &webhook.TailResult{Status: statuses[int(h.state)], At: moment(h.at)}
	if h.number > 0 {
		if int(h.number) > len(d.Attempts) {
			return fmt.Errorf("sqlstore: the history of %s has no attempt %d", d.ID, h.number)
		}
		a := d.Attempts[h.number-1]
		r.Attempt = &a
		t.bytes += len(a.Error) + len(a.Response)
	}
	d.Attempts = nil
	t.page.Records = append(t.page.Records,
		webhook.TailRecord{Position: h.behind.position(), Delivery: d, Result: r})
	return nil
}

// pruneResults removes rows that were stored before the time, but never the last one, of which the
// next one gets its id. It leaves up to 31 that are old, so that it seldom needs a transaction: their
// deliveries are gone. It looks at one row to know that those before it are old, and goes on later
// if that one is a replay whose time is yet to come.
func (s *Store) pruneResults(ctx context.Context, before int64) error {
	if before == math.MinInt64 {
		return nil
	}
	var last int64
	if _, err := one(ctx, s.read, s.results.given, nil, []any{&last}); err != nil {
		return s.mapped(err)
	}
	from := s.resultsPruned.Load()
	for _, size := range [...]int{512, 32} {
		for {
			var id, at int64
			found, err := one(ctx, s.read, s.results.nth, []any{from, last, size - 1}, []any{&id, &at})
			if err != nil {
				return s.mapped(err)
			}
			if !found || at >= before {
				break
			}
			err = s.write(ctx, func(ctx context.Context, q Querier) error {
				_, err := q.Exec(ctx, s.results.remove, from, id)
				return err
			})
			if err != nil {
				return err
			}
			from = id + 1
			s.resultsPruned.Store(from)
		}
	}
	return nil
}
