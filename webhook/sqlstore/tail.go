package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

type tailStatements struct {
	given, open string // open may be empty
	// Blocks in ascending order: of listed endpoints, an organization, a subscription.
	blocks, organizationBlocks, subscriptionBlocks string
	news, owners                                   string
}

// firstOfEvent is true for the first delivery of an event to a subscription. Those to one
// subscription follow each other, so it looks at the delivery before.
const firstOfEvent = `coalesce((SELECT q.webhook_id FROM {p}deliveries x
	{join} {p}endpoints q ON q.id = x.endpoint_id
	WHERE x.id > d.event_id AND x.id < d.id AND x.event_id = d.event_id
	ORDER BY x.id DESC LIMIT 1), '') <> p.webhook_id`

func newTailStatements(x expander) tailStatements {
	const organizationBlocks = `SELECT DISTINCT b.block FROM {p}endpoints p {join} {p}blocks b
		ON b.endpoint_id = p.id
		WHERE p.organization_id = ?`
	const nextBlocks = ` AND b.block >= ? ORDER BY b.block LIMIT ?`
	given, open := x.dialect.tailSQL()
	return tailStatements{
		given: x.sql(given), open: x.sql(open),
		blocks: x.sql(`SELECT DISTINCT block FROM {p}blocks WHERE endpoint_id {in} AND block >= ?
			ORDER BY block LIMIT ?`),
		organizationBlocks: x.sql(organizationBlocks + nextBlocks),
		subscriptionBlocks: x.sql(organizationBlocks + ` AND p.webhook_id = ?` + nextBlocks),
		news:               x.sql(`SELECT DISTINCT endpoint_id FROM {p}deliveries WHERE id > ? AND id <= ?`),
		owners:             x.sql(`SELECT DISTINCT organization_id, webhook_id FROM {p}endpoints WHERE id {in}`),
	}
}

const (
	// tailStep is how many records one statement reads. With payloads of the largest size that is
	// what Tail may have in memory for a moment beyond maxTailBytes.
	tailStep = 64
	// maxTailBytes is after how many bytes a page ends, before its limit. Hundreds of readers may have
	// a page each in memory, for as long as their clients take to read it.
	maxTailBytes = 1 << 20
	// maxTailBlocks is how many ranges of ids one call of Tail visits. A filter that selects little
	// does not make a call longer.
	maxTailBlocks = 16
	// maxNewsIDs is how many ids TailNews looks at.
	maxNewsIDs = 1 << 16
)

// tailEnd is how far a tail can be read.
type tailEnd struct {
	last int64 // all ids up to it are decided
	held webhook.TailHeld
}

// tailEnd returns the last id before which nothing can appear any more, but for deliveries that are
// left to FanOut. The order of its queries matters: what has an id that was given out before the
// first one, and is not stored when the second one runs, is in its answer. Those of SQLite are in the
// order of commits. What is stored by then is found by later queries.
func (s *Store) tailEnd(ctx context.Context, after webhook.Position) (end tailEnd, err error) {
	var given int64
	if _, err = one(ctx, s.read, s.tail.given, nil, []any{&given}); err != nil {
		return end, s.mapped(err)
	}
	if int64(after) >= given {
		return end, webhook.ErrPosition
	}
	end.last = given - 1
	if s.tail.open != "" {
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
		}, s.tail.open)
		if err != nil {
			return end, s.mapped(err)
		}
	}
	for known := s.tailed.Load(); known < end.last || known >= given; known = s.tailed.Load() {
		if s.tailed.CompareAndSwap(known, end.last) {
			return end, nil
		}
	}
	end.last = s.tailed.Load()
	return end, nil
}

// maxUnfinished is how many events that are left to FanOut a call of Tail passes over. The rest counts
// as if it were of its organization.
const maxUnfinished = 1000

// beforeFanOuts moves the end before the first delivery that is left to FanOut, of one organization,
// or of all if it is nil. Those of others do not keep back what an organization reads. It is called
// after tailEnd: what is not left to FanOut by then is stored.
func (s *Store) beforeFanOuts(
	ctx context.Context, end tailEnd, organizationID *string,
) (tailEnd, error) {
	limit, n := 1, 0
	if organizationID != nil {
		limit = maxUnfinished
	}
	err := collect(ctx, s.read, func(row scanner) error {
		var first, began int64
		var owner string
		if err := row.Scan(&first, &began, &owner); err != nil {
			return err
		}
		if n++; n < limit && owner != *organizationID {
			return nil
		}
		if first <= end.last {
			end.last, end.held.HeldSince = first-1, moment(began)
		}
		return errPageIsFull
	}, s.fanOut.oldest, limit)
	if errors.Is(err, errPageIsFull) {
		err = nil
	}
	return end, s.mapped(err)
}

// TailEnd implements [webhook.TailStore].
func (s *Store) TailEnd(ctx context.Context) (webhook.TailEnd, error) {
	decided, err := s.tailEnd(ctx, 0)
	end := decided
	if err == nil {
		end, err = s.beforeFanOuts(ctx, decided, nil)
	}
	// What is left to FanOut keeps back its own organization, whose readers learn of it from Tail.
	return webhook.TailEnd{Position: webhook.Position(end.last), TailHeld: decided.held}, err
}

// TailNews implements [webhook.TailStore]. It reads the range of the ids, whatever they belong to.
func (s *Store) TailNews(
	ctx context.Context, after webhook.Position,
) (news webhook.TailNews, err error) {
	if after >= webhook.ResultPosition {
		return s.resultNews(ctx, after)
	}
	decided, err := s.tailEnd(ctx, after)
	if err != nil {
		return news, err
	}
	end, err := s.beforeFanOuts(ctx, decided, nil)
	if err != nil {
		return news, err
	}
	// Those who are not kept back hear of what is after the end, again and again.
	last := min(decided.last, int64(after)+maxNewsIDs)
	news.Next, news.More = max(after, webhook.Position(min(last, end.last))), last < end.last
	news.TailHeld = decided.held // as in TailEnd
	ids, err := collectIDs(ctx, s.read, s.tail.news, int64(after), last)
	if err != nil {
		return news, s.mapped(err)
	}
	news.Subscriptions, err = s.ownersOf(ctx, ids)
	return news, s.mapped(err)
}

// ownersOf returns the subscriptions of the endpoints.
func (s *Store) ownersOf(
	ctx context.Context, endpointIDs []int64,
) (keys []webhook.SubscriptionKey, err error) {
	for page := range slices.Chunk(endpointIDs, endpointsPage) {
		err := collect(ctx, s.read, func(row scanner) error {
			var key webhook.SubscriptionKey
			err := row.Scan(&key.OrganizationID, &key.SubscriptionID)
			keys = append(keys, key)
			return err
		}, s.tail.owners, s.x.dialect.ints(page))
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// tailing is one call of Tail.
type tailing struct {
	query webhook.TailQuery
	page  webhook.TailPage
	// at is the last id that was read, and last the last one that can be.
	at, last  int64
	bytes     int
	statement string
	filter    conditions
}

// Tail implements [webhook.TailStore]. A page ends early, with More, after 1 MiB, and after it has
// visited 16 ranges of 16384 ids in which the subscription or organization has deliveries.
func (s *Store) Tail(ctx context.Context, q webhook.TailQuery) (webhook.TailPage, error) {
	if q.Results {
		return s.tailResults(ctx, q)
	}
	end, err := s.tailEnd(ctx, q.After)
	if err == nil {
		end, err = s.beforeFanOuts(ctx, end, &q.OrganizationID)
	}
	if err != nil {
		return webhook.TailPage{}, err
	}
	t := &tailing{query: q, at: max(int64(q.After), 0), last: end.last}
	t.page.TailHeld = end.held
	if err := s.readTail(ctx, t); err != nil {
		return webhook.TailPage{}, s.mapped(err)
	}
	t.page.Next = max(q.After, webhook.Position(t.at))
	return t.page, nil
}

func (s *Store) readTail(ctx context.Context, t *tailing) error {
	if t.at >= t.last {
		return nil
	}
	if err := s.startAt(ctx, t); err != nil {
		return err
	}
	q := &t.query
	ids, err := s.nextEndpoints(ctx, newListing(webhook.DeliveryQuery{
		OrganizationID: q.OrganizationID, SubscriptionID: q.SubscriptionID}), &endpointCursor{})
	if err != nil {
		return err
	}
	// As for a list of deliveries, an organization with many endpoints is searched by its name.
	blocks, owner := s.tail.blocks, []any{s.x.dialect.ints(ids)}
	if len(ids) < endpointsPage {
		t.filter.add(`d.endpoint_id {in}`, owner...)
	} else {
		blocks, owner = s.tail.organizationBlocks, []any{q.OrganizationID}
		t.filter.add(`p.organization_id = ?`, q.OrganizationID)
		if q.SubscriptionID != "" {
			blocks, owner = s.tail.subscriptionBlocks, append(owner, q.SubscriptionID)
			t.filter.add(`p.webhook_id = ?`, q.SubscriptionID)
		}
	}
	t.addFilters(len(ids) > 1)
	t.statement = tailColumns(q)
	found := []int64{}
	if len(ids) > 0 {
		args := append(slices.Clone(owner), (t.at+1)>>blockBits, maxTailBlocks)
		if found, err = s.nextBlocks(ctx, blocks, args); err != nil {
			return err
		}
	}
	return s.readBlocks(ctx, t, found)
}

// startAt skips what was emitted before the query's Since, by the order of ids, which is that of
// time to within the clocks of the processes. What is left of it is filtered.
func (s *Store) startAt(ctx context.Context, t *tailing) error {
	if t.query.Since.IsZero() {
		return nil
	}
	bound, err := s.boundOf(ctx, s.read, t.at, micros(t.query.Since.Add(-time.Minute)))
	t.at = min(max(t.at, bound-1), t.last)
	return err
}

func (t *tailing) addFilters(severalChannels bool) {
	q := &t.query
	if !q.Since.IsZero() {
		t.filter.add(`e.created_at >= ?`, micros(q.Since))
	}
	if !q.Deliveries && severalChannels {
		t.filter.add(firstOfEvent)
	}
	if len(q.EventTypes) == 0 || slices.Contains(q.EventTypes, event.MatchAll) {
		return
	}
	// LIKE selects a little more than a pattern does: MatchesType decides.
	var either []string
	var args []any
	for _, p := range q.EventTypes {
		if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
			either, args = append(either, `e.type LIKE ?`), append(args, prefix+"%")
		} else {
			either, args = append(either, `e.type = ?`), append(args, string(p))
		}
	}
	t.filter.add(`(`+strings.Join(either, " OR ")+`)`, args...)
}

// tailColumns returns the beginning of the statement.
func tailColumns(q *webhook.TailQuery) string {
	history, payload := `NULL`, `NULL`
	if q.Deliveries {
		history = `d.history`
	}
	if !q.WithoutPayload {
		payload = `e.payload`
	}
	return deliveryColumns + history + `, ` + payload + deliveryTables
}

// readBlocks reads the blocks, in their order, until the page is full.
func (s *Store) readBlocks(ctx context.Context, t *tailing, blocks []int64) error {
	for _, b := range blocks {
		t.at = max(t.at, b<<blockBits-1)
		for end := min((b+1)<<blockBits-1, t.last); t.at < end; {
			before := len(t.page.Records)
			n, err := s.fetchRecords(ctx, t, end)
			if err == nil && t.query.Deliveries {
				err = s.readLeaseEnds(ctx, recorded(t.page.Records[before:]))
			}
			if err != nil || t.full() {
				t.page.More = true
				return err
			}
			if n < tailStep {
				t.at = end
			}
		}
	}
	if len(blocks) == maxTailBlocks && t.at < t.last {
		t.page.More = true
		return nil
	}
	t.at = t.last
	return nil
}

func (t *tailing) full() bool {
	return len(t.page.Records) >= t.query.PageSize() || t.bytes >= maxTailBytes
}

// errPageIsFull ends the reading of rows.
var errPageIsFull = errors.New("sqlstore: the page is full")

// fetchRecords reads some records up to an id, and returns how many rows it read.
func (s *Store) fetchRecords(ctx context.Context, t *tailing, end int64) (n int, err error) {
	var all conditions
	all.add(`d.id > ? AND d.id <= ?`, t.at, end)
	all.add(t.filter.sql.String(), t.filter.args...)
	err = collect(ctx, s.read, func(row scanner) error {
		var payload []byte
		d, err := scanDelivery(rowWith{row, &payload}, t.query.Deliveries)
		if err != nil {
			return err
		}
		n++
		t.at = int64(d.ID)
		if t.query.MatchesType(d.EventType) {
			t.add(d, payload)
		}
		if t.full() {
			return errPageIsFull
		}
		return nil
	}, s.x.sql(t.statement+all.sql.String()+` ORDER BY d.id LIMIT ?`), append(all.args, tailStep)...)
	if errors.Is(err, errPageIsFull) {
		err = nil
	}
	return n, err
}

// recorded returns the deliveries of records.
func recorded(records []webhook.TailRecord) []*webhook.Delivery {
	deliveries := make([]*webhook.Delivery, len(records))
	for i := range records {
		deliveries[i] = &records[i].Delivery
	}
	return deliveries
}

func (t *tailing) add(d webhook.Delivery, payload []byte) {
	if !t.query.WithoutPayload && payload == nil {
		payload = []byte{}
	}
	t.bytes += len(payload)
	for i := range d.Attempts {
		t.bytes += len(d.Attempts[i].Error) + len(d.Attempts[i].Response)
	}
	t.page.Records = append(t.page.Records,
		webhook.TailRecord{Position: webhook.Position(d.ID), Delivery: d, Payload: payload})
}

// rowWith is a row with a column more than scanDelivery reads.
type rowWith struct {
	scanner
	last any
}

func (r rowWith) Scan(dest ...any) error { return r.scanner.Scan(append(dest, r.last)...) }
