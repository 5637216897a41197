package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

type historyStatements struct {
	// deliveries and brief are not expanded, because fetch adds conditions to them. brief
	// has no attempts.
	deliveries, brief        string
	delivery, payload, event string
	// Pages of endpoints, of an organization or one subscription, and of blocks, of
	// listed endpoints or of all.
	endpoints, endpointsOf                         string
	blocks, organizationBlocks, subscriptionBlocks blockStatements
	state, replay, cancel                          string
}

// deliveryColumns are what scanDelivery reads, but for the history, and deliveryTables are the
// tables in the order in which they are to be read.
const (
	deliveryColumns = `SELECT d.id, e.organization_id, e.event_id, e.type, p.webhook_id, p.channel,
			d.state, p.state, coalesce(d.settled_at, d.due_at, e.created_at), e.created_at,
			coalesce(d.queued_at, e.created_at), coalesce(e.ttl, 0), d.turn, coalesce(d.skip_at, 0),
			CASE WHEN d.turn = 1 AND d.due_at IS NULL THEN 1 ELSE 0 END,
			CASE WHEN d.turn = 1 THEN coalesce((SELECT max(f.id) FROM {p}deliveries f
				WHERE f.endpoint_id = d.endpoint_id AND f.line = d.line AND f.turn = 2 AND f.turn > 0), 0)
				ELSE 0 END, `
	deliveryTables = ` FROM {p}deliveries d
		{join} {p}endpoints p ON p.id = d.endpoint_id
		{join} {p}events e ON e.id = d.event_id
		WHERE `
)

func newHistoryStatements(x expander) historyStatements {
	const organizationBlocks = `SELECT DISTINCT b.block FROM {p}endpoints p {join} {p}blocks b
		ON b.endpoint_id = p.id
		WHERE p.organization_id = ?`
	blocksOf := func(statement string) blockStatements {
		const bounds = ` AND block >= ? AND block <= ? ORDER BY block `
		return blockStatements{
			newest: x.sql(statement + bounds + `DESC LIMIT ?`), oldest: x.sql(statement + bounds + `LIMIT ?`),
		}
	}
	const deliveries = deliveryColumns + `d.history` + deliveryTables
	return historyStatements{
		deliveries: deliveries,
		brief:      deliveryColumns + `NULL` + deliveryTables,
		delivery:   x.sql(deliveries + `d.id = ? AND e.organization_id = ?`),
		payload:    x.sql(`SELECT payload FROM {p}events WHERE event_id = ? AND organization_id = ?`),
		event:      x.sql(`SELECT id, last_id FROM {p}events WHERE event_id = ? AND organization_id = ?`),
		endpoints: x.sql(`SELECT id, webhook_id FROM {p}endpoints
			WHERE organization_id = ? AND (webhook_id, id) > (?, ?) ORDER BY webhook_id, id LIMIT ?`),
		endpointsOf: x.sql(`SELECT id, webhook_id FROM {p}endpoints
			WHERE organization_id = ? AND webhook_id = ? AND id > ? ORDER BY id LIMIT ?`),
		blocks:             blocksOf(`SELECT DISTINCT block FROM {p}blocks WHERE endpoint_id {in}`),
		organizationBlocks: blocksOf(organizationBlocks),
		subscriptionBlocks: blocksOf(organizationBlocks + ` AND p.webhook_id = ?`),
		state: x.sql(`SELECT d.state, p.state, d.turn, coalesce((
				SELECT live.id FROM {p}endpoints live
				WHERE live.webhook_id = p.webhook_id AND live.channel = p.channel AND live.state < 2
					AND live.organization_id = e.organization_id), 0)
			FROM {p}deliveries d
			{join} {p}endpoints p ON p.id = d.endpoint_id
			{join} {p}events e ON e.id = d.event_id
			WHERE d.id = ? AND e.organization_id = ? {forupdate}`),
		replay: x.sql(`UPDATE {p}deliveries
			SET progress = CASE WHEN state = 2 THEN NULL ELSE progress END,
			turn = CASE WHEN line IS NULL THEN 0 WHEN turn = 2 AND endpoint_id = ? THEN 2 ELSE 1 END,
			skip_at = NULL,
			state = 0, due_at = ?, settled_at = NULL, queued_at = ?, attempts_since_queued = 0,
			lost = 0, started_at = 0, parked = 0, endpoint_id = ?,
			kept = CASE WHEN kept IS NULL THEN NULL ELSE 1 END, kept_at = NULL WHERE id = ?`),
		cancel: x.sql(`UPDATE {p}deliveries SET state = 4, settled_at = ?, due_at = NULL, turn = 0,
			skip_at = NULL, ` + keepAs("") +
			` WHERE id = ?`),
	}
}

// Delivery implements [webhook.History].
func (s *Store) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	var found []*webhook.Delivery
	err := collect(ctx, s.read, func(rows scanner) error {
		d, err := scanDelivery(rows, true)
		found = append(found, &d)
		return err
	}, s.history.delivery, int64(id), organizationID)
	if err == nil {
		err = s.readLeaseEnds(ctx, found)
	}
	switch {
	case err != nil:
		return nil, s.mapped(err)
	case len(found) == 0:
		return nil, webhook.ErrNotFound
	}
	return found[0], nil
}

// readLeaseEnds sets DueAt of those that are in flight without a lease of their own, and were
// scanned as due since they were emitted. That stays if they have been settled meanwhile.
func (s *Store) readLeaseEnds(ctx context.Context, found []*webhook.Delivery) error {
	leased := make(map[int64]*webhook.Delivery)
	for _, d := range found {
		// What is paused may be in flight.
		if d.DueAt.Equal(d.CreatedAt) &&
			(d.Status == webhook.StatusInFlight || d.Status == webhook.StatusPaused) {
			leased[int64(d.ID)] = d
		}
	}
	if len(leased) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(leased))
	return collect(ctx, s.read, func(row scanner) error {
		var id, until int64
		err := row.Scan(&id, &until)
		if err == nil {
			leased[id].DueAt = moment(until)
		}
		return err
	}, s.leasing.ends, ids[len(ids)-1], ids[0], s.x.dialect.ints(ids))
}

func scanDelivery(rows scanner, attempts bool) (webhook.Delivery, error) {
	var d webhook.Delivery
	var id, at, createdAt, queuedAt, ttl, skipAt, waitsFor int64
	var state, endpointState, turn, hidden int
	var history []byte
	err := rows.Scan(&id, &d.OrganizationID, &d.EventID, &d.EventType, &d.SubscriptionID, &d.Channel,
		&state, &endpointState, &at, &createdAt, &queuedAt, &ttl, &turn, &skipAt, &hidden, &waitsFor,
		&history)
	if err != nil {
		return d, err
	}
	d.ID, d.CreatedAt, d.Status = webhook.DeliveryID(id), moment(createdAt),
		reported(state, endpointState)
	d.ExpiresAt = expiry(queuedAt, ttl)
	switch {
	case state >= stateSucceeded:
		d.SettledAt = moment(at)
	case !d.Status.Settled() && hidden == 0:
		d.DueAt = moment(at)
	}
	switch {
	case state == stateDead && turn == inFront:
		d.Holds, d.SkipAt = true, momentOrZero(skipAt)
	case !d.Status.Settled():
		d.WaitsFor = webhook.DeliveryID(waitsFor)
	}
	if !attempts {
		return d, nil
	}
	if d.Attempts, err = decodeHistory(history); err != nil {
		return d, fmt.Errorf("sqlstore: the history of %s: %w", d.ID, err)
	}
	return d, nil
}

// reported returns the status that callers see.
func reported(state, endpointState int) webhook.Status {
	return statuses[state].Reported(endpointState == endpointPaused, endpointState == endpointDeleted)
}

// statuses has the status for each stored state.
var statuses = map[int]webhook.Status{
	statePending:   webhook.StatusPending,
	stateInFlight:  webhook.StatusInFlight,
	stateSucceeded: webhook.StatusSucceeded,
	stateDead:      webhook.StatusDead,
	stateCancelled: webhook.StatusCancelled,
}

// EventPayload implements [webhook.History].
func (s *Store) EventPayload(ctx context.Context, organizationID, eventID string) ([]byte, error) {
	payload := []byte{}
	found, err := one(ctx, s.read, s.history.payload, []any{eventID, organizationID}, []any{&payload})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return nil, s.mapped(err)
	}
	return payload, nil
}

// deliveryState is what Replay and Cancel check.
type deliveryState struct {
	status webhook.Status
	turn   int
	// endpointID is the endpoint that the delivery's subscription now has for the channel, 0 if there
	// is none. It differs from the delivery's if the channel was removed and added again.
	endpointID int64
}

func (s *Store) deliveryState(
	ctx context.Context, q Querier, organizationID string, id webhook.DeliveryID,
) (deliveryState, error) {
	var result deliveryState
	var state, endpointState int
	found, err := one(ctx, q, s.history.state, []any{int64(id), organizationID},
		[]any{&state, &endpointState, &result.turn, &result.endpointID})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	result.status = reported(state, endpointState)
	return result, err
}

// Replay implements [webhook.History].
func (s *Store) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := s.lockLineOf(ctx, q, id); err != nil {
			return err
		}
		d, err := s.deliveryState(ctx, q, organizationID, id)
		switch {
		case err != nil:
			return err
		case !d.status.Settled():
			return webhook.ErrWrongStatus
		case d.endpointID == 0:
			return webhook.ErrNotFound
		}
		if _, err := q.Exec(ctx, s.history.replay, d.endpointID, micros(due), micros(due),
			d.endpointID, int64(id)); err != nil {
			return err
		}
		s.starts.written(micros(due))
		if _, err := q.Exec(ctx, s.expired.again, int64(id)); err != nil {
			return err
		}
		b := blockOf(d.endpointID, int64(id))
		_, err = s.x.dialect.execBatch(ctx, q, s.enqueue.blocks, []any{b.endpointID, b.number}, nil)
		if err != nil {
			return err
		}
		return s.addResults(ctx, q, micros(due),
			[]result{{delivery: int64(id), endpoint: d.endpointID, state: statePending}})
	})
}

// Cancel implements [webhook.History].
func (s *Store) Cancel(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		k, err := s.lockLineOf(ctx, q, id)
		if err != nil {
			return err
		}
		d, err := s.deliveryState(ctx, q, organizationID, id)
		switch {
		case err != nil:
			return err
		case d.status.Settled():
			return webhook.ErrWrongStatus
		}
		if _, err := q.Exec(ctx, s.history.cancel, micros(now), micros(now), int64(id)); err != nil {
			return err
		}
		if d.turn == inFront {
			if err := s.endTurns(ctx, q, micros(now), []turnEnd{{k, int64(id), micros(now)}}); err != nil {
				return err
			}
		} else if d.turn == waits {
			if err := s.wakeFirst(ctx, q, k); err != nil {
				return err
			}
		}
		if err := s.addStatistics(ctx, q, now, tally{d.endpointID: {Cancelled: 1}}); err != nil {
			return err
		}
		return s.addResults(ctx, q, micros(now),
			[]result{{delivery: int64(id), endpoint: d.endpointID, state: stateCancelled}})
	})
}

// Deliveries implements [webhook.History].
func (s *Store) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	l := newListing(q)
	var err error
	if q.EventID == "" {
		leave, err := s.scans.enter(ctx, q.OrganizationID)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	switch {
	case q.EventID != "":
		err = s.listEvent(ctx, l)
	case q.Status == webhook.StatusDead, q.Holding && q.Status == "":
		err = s.listEndpoints(ctx, l, false, `d.kept = 3`)
	case q.Status != "" && !q.Status.Settled():
		err = s.listUnfinished(ctx, l)
	default:
		err = s.listBlocks(ctx, l)
	}
	if err != nil {
		return nil, s.mapped(err)
	}
	return l.found, nil
}

func pointersTo(deliveries []webhook.Delivery) []*webhook.Delivery {
	all := make([]*webhook.Delivery, len(deliveries))
	for i := range deliveries {
		all[i] = &deliveries[i]
	}
	return all
}

// listing is one call of Deliveries. The three ways to find deliveries differ in the index that
// they read.
type listing struct {
	query webhook.DeliveryQuery
	limit int
	// above is what ids must be larger than, and below what they must be smaller than.
	above, below int64
	// filter is what the rows must fulfil, whatever the index.
	filter conditions
	found  []webhook.Delivery
}

func newListing(q webhook.DeliveryQuery) *listing {
	l := &listing{query: q, limit: q.PageSize(), below: int64(q.Before),
		above: min(max(int64(q.After), 0), math.MaxInt64-1)} // above + 1 must not overflow
	if l.below <= 0 {
		l.below = math.MaxInt64
	}
	if q.EventType != "" {
		l.filter.add(`e.type = ?`, q.EventType)
	}
	if q.SubscriptionID != "" {
		l.filter.add(`p.webhook_id = ?`, q.SubscriptionID)
	}
	if q.Status != "" {
		condition, ok := statusConditions[q.Status]
		if !ok {
			condition = `1 = 0`
		}
		l.filter.add(condition)
	}
	if !q.Since.IsZero() {
		l.filter.add(`e.created_at >= ?`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		l.filter.add(`e.created_at < ?`, micros(q.Until))
	}
	if q.Holding {
		l.filter.add(`d.state = 3 AND d.turn = 2`)
	}
	if q.AttemptsBelow > 0 {
		l.filter.add(`d.attempts < ?`, q.AttemptsBelow)
	}
	return l
}

// statusConditions has the condition on deliveries d and their endpoints p for each status that
// reported returns. No delivery has an unknown status.
var statusConditions = map[webhook.Status]string{
	webhook.StatusPending:   `d.state = 0 AND p.state = 0`,
	webhook.StatusInFlight:  `d.state = 1 AND p.state = 0`,
	webhook.StatusPaused:    `d.state < 2 AND p.state = 1`,
	webhook.StatusSucceeded: `d.state = 2`,
	webhook.StatusDead:      `d.state = 3`,
	webhook.StatusCancelled: `(d.state = 4 OR d.state < 2 AND p.state = 2)`,
}

// conditions are joined by AND.
type conditions struct {
	sql  strings.Builder
	args []any
}

func (c *conditions) add(condition string, args ...any) {
	if c.sql.Len() > 0 {
		c.sql.WriteString(" AND ")
	}
	c.sql.WriteString(condition)
	c.args = append(c.args, args...)
}

// order is that of the ids.
func (l *listing) order() string {
	if l.query.OldestFirst {
		return "ASC"
	}
	return "DESC"
}

// fetch adds the first deliveries, in the order of the query, that meet the condition and the filter.
func (s *Store) fetch(ctx context.Context, l *listing, condition string, args ...any) error {
	var all conditions
	all.add(condition, args...)
	if l.filter.sql.Len() > 0 {
		all.add(l.filter.sql.String(), l.filter.args...)
	}
	columns := s.history.deliveries
	if l.query.WithoutAttempts {
		columns = s.history.brief
	}
	statement := s.x.sql(columns + all.sql.String() + ` ORDER BY d.id ` + l.order() + ` LIMIT ?`)
	before := len(l.found)
	err := collect(ctx, s.read, func(rows scanner) error {
		d, err := scanDelivery(rows, !l.query.WithoutAttempts)
		l.found = append(l.found, d)
		return err
	}, statement, append(all.args, l.limit-before)...)
	if err != nil {
		return err
	}
	return s.readLeaseEnds(ctx, pointersTo(l.found[before:]))
}

// narrowEvent is how many ids of an event a list reads without a place in [scans].
const narrowEvent = 1000

// listEvent reads the deliveries of one event, which are a range of ids.
func (s *Store) listEvent(ctx context.Context, l *listing) error {
	var id, last int64
	found, err := one(ctx, s.read, s.history.event, []any{l.query.EventID, l.query.OrganizationID},
		[]any{&id, &last})
	if err != nil || !found {
		return err
	}
	if last-max(id, l.above) > narrowEvent {
		leave, err := s.scans.enter(ctx, l.query.OrganizationID)
		if err != nil {
			return err
		}
		defer leave()
	}
	return s.fetch(ctx, l, `d.id > ? AND d.id <= ? AND d.id < ? AND d.event_id = ?`, max(id, l.above), last,
		l.below, id)
}

// endpointsPage is how many endpoints of an organization a list reads in one statement, and the
// most that it keeps in memory. blocksPage is the same for ranges of ids.
const (
	endpointsPage = 1000
	blocksPage    = 64
)

// listEndpoints finds what the endpoints have in partial indexes, whose conditions parts are, and,
// if leased is true, under the table leases. The indexes go from endpoint to endpoint, and from
// delivery to delivery of one, so that as much is read of each endpoint as is asked for, however
// much waits. One statement reads all parts of a page of endpoints, so that it does not miss what a
// claim moves from one part to another.
func (s *Store) listEndpoints(ctx context.Context, l *listing, leased bool, parts ...string) error {
	wanted := ` AND d.id > ? AND d.id < ?`
	if l.filter.sql.Len() > 0 {
		wanted += " AND " + l.filter.sql.String()
	}
	queries := make([]string, 0, len(parts)+1)
	for _, part := range parts {
		queries = append(queries, s.x.dialect.firstSQL(part+wanted, l.order()))
	}
	if leased {
		queries = append(queries, `SELECT u.id FROM (SELECT d.id`+deliveryTables+`d.id IN (
			SELECT d.id FROM {prefetched} WHERE true) AND p.id {in}`+wanted+` ORDER BY d.id `+l.order()+
			` LIMIT ?) u`)
	}
	condition := `d.id IN (SELECT n.id FROM (SELECT m.id FROM (` + strings.Join(queries, ` UNION ALL `) +
		`) m ORDER BY m.id ` + l.order() + ` LIMIT ?) n)`
	above, below := l.above, l.below // where the ids are that are still looked for
	var kept []webhook.Delivery
	for at := (endpointCursor{}); ; {
		ids, err := s.nextEndpoints(ctx, l, &at)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			l.found = nil
			var args []any
			for range parts {
				args = append(append(args, above, below), l.filter.args...)
				args = append(args, l.limit, s.x.dialect.ints(ids))
			}
			if leased {
				args = append(append(args, s.x.dialect.ints(ids), above, below), l.filter.args...)
				args = append(args, l.limit)
			}
			if err := s.fetch(ctx, l, condition, append(args, l.limit)...); err != nil {
				return err
			}
			kept = l.first(append(kept, l.found...))
			if n := len(kept); n == l.limit && l.query.OldestFirst {
				below = int64(kept[n-1].ID)
			} else if n == l.limit {
				above = int64(kept[n-1].ID)
			}
		}
		if len(ids) < endpointsPage {
			l.found = kept
			return nil
		}
	}
}

func (s *Store) listUnfinished(ctx context.Context, l *listing) error {
	parts := []string{`d.due_at IS NOT NULL AND d.parked = 0`, `d.due_at IS NOT NULL AND d.parked = 1`}
	if l.query.Status != webhook.StatusInFlight {
		parts = append(parts, inLine)
	}
	return s.listEndpoints(ctx, l, l.query.Status != webhook.StatusPending, parts...)
}

// first returns the first of the deliveries, in the order of the query and each once.
func (l *listing) first(all []webhook.Delivery) []webhook.Delivery {
	slices.SortStableFunc(all, func(a, b webhook.Delivery) int {
		if l.query.OldestFirst {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(b.ID, a.ID)
	})
	all = slices.CompactFunc(all, func(a, b webhook.Delivery) bool { return a.ID == b.ID })
	if len(all) > l.limit {
		clear(all[l.limit:]) // so that they are not kept in memory
		all = all[:l.limit]
	}
	return all
}

// listBlocks reads the ranges of ids in which the endpoints have deliveries. The statements name
// the ids of up to a page of endpoints. An organization with more is searched by its name, so that
// a range is read once.
func (s *Store) listBlocks(ctx context.Context, l *listing) error {
	ids, err := s.nextEndpoints(ctx, l, &endpointCursor{})
	if err != nil || len(ids) == 0 {
		return err
	}
	mine, args := ` AND d.endpoint_id {in}`, []any{s.x.dialect.ints(ids)}
	statement, owner := s.history.blocks, args
	if len(ids) == endpointsPage {
		mine, args = ` AND p.organization_id = ?`, []any{l.query.OrganizationID}
		statement, owner = s.history.organizationBlocks, args
		if l.query.SubscriptionID != "" { // the filter of the listing has it, too
			statement, owner = s.history.subscriptionBlocks, append(owner, l.query.SubscriptionID)
		}
	}
	for first, last := (l.above+1)>>blockBits, l.below>>blockBits; ; {
		blocks, err := s.nextBlocks(ctx, statement.in(l), append(slices.Clone(owner), first, last,
			blocksPage))
		if err != nil {
			return err
		}
		for _, b := range blocks {
			bounds := []any{max(b<<blockBits, l.above+1), min((b+1)<<blockBits, l.below)}
			err := s.fetch(ctx, l, `d.id >= ? AND d.id < ?`+mine, append(bounds, args...)...)
			if err != nil || len(l.found) == l.limit {
				return err
			}
		}
		if len(blocks) < blocksPage {
			return nil
		}
		if at := blocks[len(blocks)-1]; l.query.OldestFirst {
			first = at + 1
		} else {
			last = at - 1
		}
	}
}

// blockStatements read ranges of ids between two, from the newest or the oldest.
type blockStatements struct{ newest, oldest string }

func (b blockStatements) in(l *listing) string {
	if l.query.OldestFirst {
		return b.oldest
	}
	return b.newest
}

func (s *Store) nextBlocks(
	ctx context.Context, statement string, args []any,
) (blocks []int64, err error) {
	err = collect(ctx, s.read, func(rows scanner) error {
		var b int64
		err := rows.Scan(&b)
		blocks = append(blocks, b)
		return err
	}, statement, args...)
	return blocks, err
}

// endpointCursor is the last endpoint that was read.
type endpointCursor struct {
	subscriptionID string
	id             int64
}

// nextEndpoints returns the next page of endpoints of the query's organization and subscription,
// including deleted ones.
func (s *Store) nextEndpoints(ctx context.Context, l *listing, at *endpointCursor) ([]int64, error) {
	statement, args := s.history.endpoints,
		[]any{l.query.OrganizationID, at.subscriptionID, at.id, endpointsPage}
	if l.query.SubscriptionID != "" {
		statement, args[1] = s.history.endpointsOf, l.query.SubscriptionID
	}
	var ids []int64
	err := collect(ctx, s.read, func(rows scanner) error {
		err := rows.Scan(&at.id, &at.subscriptionID)
		ids = append(ids, at.id)
		return err
	}, statement, args...)
	return ids, err
}

// The history of a delivery is a text with one JSON object per line, one for each attempt, so that
// an attempt is added by appending a line. An attempt's number is the number of its line.
type attemptLine struct {
	StartedAt int64  `json:"at"` // microseconds since 1970
	Duration  int64  `json:"us"` // microseconds
	Status    int    `json:"status"`
	Class     string `json:"class"`
	Error     string `json:"error"`
	Response  string `json:"response"`
}

// encodeAttempt does not use json.Marshal, which takes ten times as long, because it runs for every
// attempt.
func encodeAttempt(a *webhook.Attempt) string {
	line := make([]byte, 0, 96+len(a.Error)+len(a.Response))
	line = append(line, `{"at":`...)
	line = strconv.AppendInt(line, micros(a.StartedAt), 10)
	line = append(line, `,"us":`...)
	line = strconv.AppendInt(line, a.Duration.Microseconds(), 10)
	if a.StatusCode != 0 {
		line = append(line, `,"status":`...)
		line = strconv.AppendInt(line, int64(a.StatusCode), 10)
	}
	for _, field := range [...]struct{ name, value string }{
		{`,"class":`, a.Class}, {`,"error":`, a.Error}, {`,"response":`, a.Response},
	} {
		if field.value != "" {
			line = jsontext.AppendString(append(line, field.name...), field.value)
		}
	}
	return string(append(line, "}\n"...))
}

func decodeHistory(history []byte) ([]webhook.Attempt, error) {
	attempts := make([]webhook.Attempt, 0, bytes.Count(history, []byte{'\n'}))
	for line := range bytes.Lines(bytes.TrimLeft(history, " ")) { // spaces are room: see {room}
		var a attemptLine
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("attempt %d: %w", len(attempts)+1, err)
		}
		attempts = append(attempts, webhook.Attempt{
			Number:     len(attempts) + 1,
			StartedAt:  moment(a.StartedAt),
			Duration:   time.Duration(a.Duration) * time.Microsecond,
			StatusCode: a.Status,
			Class:      a.Class,
			Error:      a.Error,
			Response:   a.Response,
		})
	}
	return attempts, nil
}
