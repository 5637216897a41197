package sqlstore

import (
	"cmp"
	"context"
	varint "encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// Deliveries that are in order stand in a line for each endpoint and subject: see
// [webhook.Ordering]. The column turn says where. What waits for its turn has a due_at of NULL, and
// is in no index but that of lines.
//
// An Enqueue looks at no line, and waits for none. It stores deliveries that are due and have no turn
// yet. A claim that finds them sorts them: it gives the first one of a line its turn if no other has
// it, and takes the others out of the queue. The transaction that settles the front, or cancels or
// skips it, gives the next one its turn.
//
// Whichever transaction changes turns holds the lock of the line, and reads the line after it has
// got that. Claims pass over lines that are locked, so that they never wait. Others wait for the locks
// in the order of their numbers, before they lock any row. SQLite has one writer and needs no locks.
//
// Ids of emits that follow upon each other grow, and what a transaction sees includes all that had
// been committed before. So the smallest id is the first one.

// The values of turn.
const (
	noTurn  = 0 // it stands in no line, or not any more
	waits   = 1
	inFront = 2 // it is pending, in flight, or dead and holds the line
)

// inLine is true of deliveries d that wait for their turn, and are not in the queue.
const inLine = `d.turn = 1 AND d.due_at IS NULL`

type lineStatements struct {
	lock, tryLock           string
	fronts, firsts, arrived *batch
	details, free           string
	give, demote, leave     string
	let, wake, skipAt       *batch
	of, inFront             string
}

func newLineStatements(x expander) lineStatements {
	endpointID, line := column{"endpoint_id", integer}, column{"line", integer}
	id, at := column{"id", integer}, column{"at", integer}
	lock, tryLock := x.dialect.lineLockSQL()
	return lineStatements{
		lock:    x.sql(lock),
		tryLock: x.sql(tryLock),
		fronts: x.batch(`WITH {v}
			SELECT d.id, d.endpoint_id, d.line, d.state, coalesce(d.skip_at, 0) FROM v
			{join} {p}deliveries d ON d.endpoint_id = v.endpoint_id AND d.line = v.line
				AND d.turn = 2 AND d.turn > 0`, endpointID, line),
		firsts: x.batch(`WITH {v}
			SELECT v.endpoint_id, v.line, coalesce((SELECT min(d.id) FROM {p}deliveries d
				WHERE d.endpoint_id = v.endpoint_id AND d.line = v.line AND d.turn = 1 AND d.turn > 0), 0)
			FROM v`, endpointID, line),
		// What came after one that has no turn, and is in the queue, too.
		arrived: x.batch(`WITH {v}
			SELECT d.id FROM v {join} {p}deliveries d ON d.endpoint_id = v.endpoint_id AND d.line = v.line
				AND d.turn = 1 AND d.turn > 0 AND d.id > v.id
			WHERE d.due_at IS NOT NULL LIMIT ? {skiplocked}`, endpointID, line, id),
		details: x.sql(`SELECT d.id, coalesce(d.queued_at, 0) FROM {p}deliveries d
			WHERE d.id {in} AND d.turn = 1 {forupdate}`),
		free: x.sql(`SELECT d.id, coalesce(d.queued_at, 0) FROM {p}deliveries d
			WHERE d.id {in} AND d.turn = 1 {skiplocked}`),
		give:   x.sql(`UPDATE {p}deliveries SET turn = 2 WHERE id {in}`),
		demote: x.sql(`UPDATE {p}deliveries SET due_at = NULL WHERE id {in}`),
		leave:  x.sql(`UPDATE {p}deliveries SET turn = 0, skip_at = NULL WHERE id {in}`),
		let: x.batch(`{update} {p}deliveries AS d SET turn = 2, due_at = v.at, parked = 0 {fromrows}
			WHERE d.id = v.id`, id, at),
		wake: x.batch(`{update} {p}deliveries AS d SET due_at = v.at, parked = 0 {fromrows}
			WHERE d.id = v.id`, id, at),
		skipAt: x.batch(`{update} {p}deliveries AS d SET skip_at = v.at {fromrows}
			WHERE d.id = v.id`, id, at),
		inFront: x.sql(`SELECT id, endpoint_id, line FROM {p}deliveries WHERE id {in} AND turn = 2`),
		of:      x.sql(`SELECT endpoint_id, coalesce(line, 0) FROM {p}deliveries WHERE id = ?`),
	}
}

// lineKey names a line.
type lineKey struct{ endpointID, line int64 }

func (k lineKey) compare(other lineKey) int {
	return cmp.Or(cmp.Compare(k.endpointID, other.endpointID), cmp.Compare(k.line, other.line))
}

// lock is the number of the line's lock. Two lines may have the same.
func (k lineKey) lock() int64 {
	h := uint64(k.endpointID)*0x9e3779b97f4a7c15 ^ uint64(k.line) //nolint:gosec // any bits will do
	return int64(int32(h ^ h>>32))                                //nolint:gosec // any bits will do
}

// lineOf returns the number of a subject's line at any endpoint. It is not 0. Two subjects that have
// the same, of which there will hardly be any, wait for each other.
func lineOf(s event.Subject) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.Type))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(s.ID))
	return int64(h.Sum64()&math.MaxInt64 | 1) //nolint:gosec // it fits
}

// lineOfTarget returns the line of an event's delivery, 0 if it stands in none.
func lineOfTarget(target *match.Target, event *webhook.NewEvent) int64 {
	if !target.Ordered {
		return 0
	}
	return lineOf(event.Subject)
}

// encodeLines returns the lines of deliveries, 0 for those in none, or nil if none stands in one.
func encodeLines(lines []int64) any {
	if !slices.ContainsFunc(lines, func(line int64) bool { return line != 0 }) {
		return nil
	}
	var b []byte
	for _, line := range lines {
		b = varint.AppendUvarint(b, uint64(line)) //nolint:gosec // it is not negative
	}
	return b
}

func decodeLines(encoded []byte, n int) ([]int64, error) {
	lines := make([]int64, 0, n)
	for b := encoded; len(b) > 0; {
		line, size := varint.Uvarint(b)
		if size <= 0 {
			break
		}
		lines, b = append(lines, int64(line)), b[size:] //nolint:gosec // it was an int64
	}
	if encoded == nil {
		return make([]int64, n), nil
	}
	if len(lines) != n {
		return nil, fmt.Errorf("sqlstore: a fan-out has %d lines for %d deliveries", len(lines), n)
	}
	return lines, nil
}

// lockLines waits for the locks of lines. The caller has locked no row yet.
func (s *Store) lockLines(ctx context.Context, q Querier, keys ...lineKey) error {
	if s.lines.lock == "" || len(keys) == 0 {
		return nil
	}
	return collect(ctx, q, func(scanner) error { return nil }, s.lines.lock,
		s.x.dialect.ints(lockNumbers(keys)))
}

// tryLockLines returns the lines whose locks it got.
func (s *Store) tryLockLines(
	ctx context.Context, q Querier, keys []lineKey,
) ([]lineKey, error) {
	if s.lines.tryLock == "" {
		return keys, nil
	}
	locked := make(map[int64]bool)
	err := collect(ctx, q, func(row scanner) error {
		var number int64
		var got bool
		err := row.Scan(&number, &got)
		locked[number] = got
		return err
	}, s.lines.tryLock, s.x.dialect.ints(lockNumbers(keys)))
	return slices.DeleteFunc(keys, func(k lineKey) bool { return !locked[k.lock()] }), err
}

func lockNumbers(keys []lineKey) []int64 {
	numbers := make([]int64, len(keys))
	for i, k := range keys {
		numbers[i] = k.lock()
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// front is what stands in front of a line, if id is not 0.
type front struct{ id, state, skipAt int64 }

// holdsAt reports whether the next one has no turn at the time.
func (f front) holdsAt(now int64) bool {
	return f.id != 0 && (f.state != stateDead || f.skipAt == 0 || f.skipAt > now)
}

func keysOf(keys []lineKey) []any {
	rows := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		rows = append(rows, k.endpointID, k.line)
	}
	return rows
}

func (s *Store) frontsOf(
	ctx context.Context, q Querier, keys []lineKey,
) (map[lineKey]front, error) {
	fronts := make(map[lineKey]front, len(keys))
	err := s.x.dialect.queryBatch(ctx, q, s.lines.fronts, keysOf(keys), nil, func(row scanner) error {
		var k lineKey
		var f front
		err := row.Scan(&f.id, &k.endpointID, &k.line, &f.state, &f.skipAt)
		fronts[k] = f
		return err
	})
	return fronts, err
}

// firstsOf returns the first one that waits in each line, unless none does.
func (s *Store) firstsOf(
	ctx context.Context, q Querier, keys []lineKey,
) (map[lineKey]int64, error) {
	firsts := make(map[lineKey]int64, len(keys))
	err := s.x.dialect.queryBatch(ctx, q, s.lines.firsts, keysOf(keys), nil, func(row scanner) error {
		var k lineKey
		var id int64
		err := row.Scan(&k.endpointID, &k.line, &id)
		if id != 0 {
			firsts[k] = id
		}
		return err
	})
	return firsts, err
}

// lineChanges collects what a transaction changes.
type lineChanges struct {
	leave, give, demote []int64
	let, wake, skipAt   []any // ids and times
}

func (c *lineChanges) any() bool {
	return len(c.leave)+len(c.demote)+len(c.let)+len(c.wake)+len(c.skipAt) > 0
}

func (s *Store) applyLines(ctx context.Context, q Querier, c *lineChanges) error {
	for _, change := range []struct {
		statement string
		ids       []int64
	}{{s.lines.leave, c.leave}, {s.lines.give, c.give}, {s.lines.demote, c.demote}} {
		if len(change.ids) > 0 {
			if _, err := q.Exec(ctx, change.statement, s.x.dialect.ints(change.ids)); err != nil {
				return err
			}
		}
	}
	for _, change := range []struct {
		statement *batch
		rows      []any
	}{{s.lines.let, c.let}, {s.lines.wake, c.wake}, {s.lines.skipAt, c.skipAt}} {
		if _, err := s.x.dialect.execBatch(ctx, q, change.statement, change.rows, nil); err != nil {
			return err
		}
	}
	first := int64(math.MaxInt64)
	for _, rows := range [][]any{c.let, c.wake} {
		for i := 1; i < len(rows); i += 2 {
			first = min(first, rows[i].(int64))
		}
	}
	s.starts.written(first)
	return nil
}

const (
	// maxSorts is how often a claim searches again because it has sorted lines, and maxArrived how
	// many deliveries each of these takes out of the queue beside those that it has found.
	maxSorts, maxArrived = 32, 1000
	// maxLinesLocked is after how many lines a claim does not search again in the same transaction,
	// which keeps their locks: a server has room for a few thousand of all transactions.
	maxLinesLocked = 500
)

// sortLines gives turns to deliveries that were found and have none, and leaves out those that get
// none. It returns how many lines it has locked, and whether it has changed what another search would
// find.
func (s *Store) sortLines(
	ctx context.Context, q Querier, c *claiming,
) (locked int, changed bool, err error) {
	arrivals := make(map[lineKey][]int64)
	for i := range c.found {
		if d := &c.found[i]; d.turn == waits {
			k := lineKey{d.endpointID, d.line}
			arrivals[k] = append(arrivals[k], int64(d.task.DeliveryID))
		}
	}
	if len(arrivals) == 0 {
		return 0, false, nil
	}
	keys, err := s.tryLockLines(ctx, q, slices.SortedFunc(maps.Keys(arrivals), lineKey.compare))
	if err != nil {
		return 0, false, err
	}
	changes, taken, err := s.sorted(ctx, q, c.now, keys, arrivals)
	if err != nil {
		return 0, false, err
	}
	c.found = slices.DeleteFunc(c.found, func(d due) bool {
		return d.turn == waits && !taken[int64(d.task.DeliveryID)]
	})
	return len(keys), changes.any(), s.applyLines(ctx, q, changes)
}

// sorted decides about deliveries that have arrived in lines that are locked. Those that are taken
// have their turn.
func (s *Store) sorted(
	ctx context.Context, q Querier, now int64, keys []lineKey, arrivals map[lineKey][]int64,
) (changes *lineChanges, taken map[int64]bool, err error) {
	changes, taken = &lineChanges{}, make(map[int64]bool)
	if len(keys) == 0 {
		return changes, taken, nil
	}
	fronts, err := s.frontsOf(ctx, q, keys)
	if err != nil {
		return nil, nil, err
	}
	firsts, err := s.firstsOf(ctx, q, keys)
	if err != nil {
		return nil, nil, err
	}
	var others []int64 // that are first, and were not found
	for k, first := range firsts {
		if !slices.Contains(arrivals[k], first) {
			others = append(others, first)
		}
	}
	free, err := s.queuedAt(ctx, q, s.lines.free, others)
	if err != nil {
		return nil, nil, err
	}
	var after []any
	for _, k := range keys {
		first, f := firsts[k], fronts[k]
		found := slices.Contains(arrivals[k], first)
		queuedAt, isFree := free[first]
		if !found && !isFree {
			continue // another transaction has locked it
		}
		after = append(after, k.endpointID, k.line, slices.Max(arrivals[k]))
		for _, id := range arrivals[k] {
			if id != first {
				changes.demote = append(changes.demote, id)
			}
		}
		switch {
		case f.holdsAt(now) && f.state == stateDead && f.skipAt != 0:
			changes.wake = append(changes.wake, first, f.skipAt)
			continue
		case f.holdsAt(now):
			if found {
				changes.demote = append(changes.demote, first)
			}
			continue
		case f.id != 0:
			changes.leave = append(changes.leave, f.id)
		}
		if found {
			changes.give = append(changes.give, first)
			taken[first] = true
		} else {
			changes.let = append(changes.let, first, max(now, queuedAt))
		}
	}
	err = s.x.dialect.queryBatch(ctx, q, s.lines.arrived, after, []any{maxArrived},
		func(row scanner) error {
			var id int64
			err := row.Scan(&id)
			changes.demote = append(changes.demote, id)
			return err
		})
	return changes, taken, err
}

// queuedAt locks deliveries that wait, and returns when they were replayed, 0 if they were not.
func (s *Store) queuedAt(
	ctx context.Context, q Querier, statement string, ids []int64,
) (map[int64]int64, error) {
	found := make(map[int64]int64, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	slices.Sort(ids)
	err := collect(ctx, q, func(row scanner) error {
		var id, at int64
		err := row.Scan(&id, &at)
		found[id] = at
		return err
	}, statement, s.x.dialect.ints(ids))
	return found, err
}

// turnEnd is the end of a turn, of a delivery that the transaction settles.
type turnEnd struct {
	key lineKey
	id  int64
	// skipAt is when the next one has its turn: now, if it is not later. 0 is never.
	skipAt int64
}

// endTurns gives turns to the next ones in line. The caller holds the locks of the lines.
func (s *Store) endTurns(ctx context.Context, q Querier, now int64, ends []turnEnd) error {
	changes := &lineChanges{}
	var keys []lineKey
	for _, e := range ends {
		switch {
		case e.skipAt == 0:
			continue
		case e.skipAt <= now:
			changes.leave = append(changes.leave, e.id)
		default:
			changes.skipAt = append(changes.skipAt, e.id, e.skipAt)
		}
		keys = append(keys, e.key)
	}
	if len(keys) == 0 {
		return nil
	}
	firsts, err := s.firstsOf(ctx, q, keys)
	if err != nil {
		return err
	}
	queuedAt, err := s.queuedAt(ctx, q, s.lines.details, slices.Collect(maps.Values(firsts)))
	if err != nil {
		return err
	}
	for _, e := range ends {
		first, ok := firsts[e.key]
		if !ok || e.skipAt == 0 {
			continue
		}
		if e.skipAt <= now {
			changes.let = append(changes.let, first, max(now, queuedAt[first]))
		} else {
			changes.wake = append(changes.wake, first, e.skipAt)
		}
	}
	return s.applyLines(ctx, q, changes)
}

// wakeFirst makes the first one that waits due when the front is skipped, if that is dead and has a
// time: the one that was due then is cancelled. The caller holds the lock of the line.
func (s *Store) wakeFirst(ctx context.Context, q Querier, k lineKey) error {
	fronts, err := s.frontsOf(ctx, q, []lineKey{k})
	if err != nil {
		return err
	}
	f := fronts[k]
	if f.state != stateDead || f.skipAt == 0 {
		return nil
	}
	firsts, err := s.firstsOf(ctx, q, []lineKey{k})
	if err != nil || len(firsts) == 0 {
		return err
	}
	return s.applyLines(ctx, q, &lineChanges{wake: []any{firsts[k], f.skipAt}})
}

// turnEnds returns which of the results end turns, or hold lines. It queries the lines of leases from
// other stores.
func (s *Store) turnEnds(
	ctx context.Context, q Querier, now time.Time, settlements []webhook.Settlement,
) (ends []turnEnd, err error) {
	held, unknown := s.leases.known(settlements)
	found := make(map[webhook.DeliveryID]lineKey, len(unknown))
	if len(unknown) > 0 {
		err := collect(ctx, q, func(row scanner) error {
			var id int64
			var k lineKey
			err := row.Scan(&id, &k.endpointID, &k.line)
			found[webhook.DeliveryID(id)] = k
			return err
		}, s.lines.inFront, s.x.dialect.ints(unknown))
		if err != nil {
			return nil, err
		}
	}
	for i := range settlements {
		v := &settlements[i]
		k := lineKey{held[i].endpointID, held[i].line}
		if k.endpointID == 0 {
			k = found[v.DeliveryID]
		}
		if k.line == 0 || !v.Status.Settled() {
			continue
		}
		e := turnEnd{key: k, id: int64(v.DeliveryID), skipAt: micros(now)}
		if v.Status == webhook.StatusDead {
			e.skipAt = microsOrZero(v.SkipAt)
		}
		ends = append(ends, e)
	}
	return ends, nil
}

func linesOf(ends []turnEnd) []lineKey {
	keys := make([]lineKey, len(ends))
	for i := range ends {
		keys[i] = ends[i].key
	}
	return keys
}

// lockLineOf locks the line of a delivery, if it has one, before the caller locks its row.
func (s *Store) lockLineOf(ctx context.Context, q Querier, id webhook.DeliveryID) (lineKey, error) {
	var k lineKey
	_, err := one(ctx, q, s.lines.of, []any{int64(id)}, []any{&k.endpointID, &k.line})
	if err != nil || k.line == 0 {
		return k, err
	}
	return k, s.lockLines(ctx, q, k)
}

// Skip implements [webhook.OrderingStore].
func (s *Store) Skip(
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
		case d.status != webhook.StatusDead || d.turn != inFront:
			return webhook.ErrWrongStatus
		}
		return s.endTurns(ctx, q, micros(now), []turnEnd{{k, int64(id), micros(now)}})
	})
}
