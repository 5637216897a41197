package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// attempted is the column of the queue's index before the time: 0 if a delivery was not attempted
// since it was queued, and 1 if it was.
const attempted = `CASE WHEN attempts_since_queued > 0 THEN 1 ELSE 0 END`

type claimStatements struct {
	due, endpoints, payloads, lease        string
	skippedEndpoints, skippedOrganizations *batch
}

func newClaimStatements(x expander) claimStatements {
	unparked := ""
	if x.dialect.claimsLeaveQueue() {
		unparked = " parked = 0," // nothing would unpark it when it is back in the queue
	}
	return claimStatements{
		due: x.sql(x.dialect.claimSQL()),
		// The revision is that of the claim's own transaction.
		endpoints: x.sql(`SELECT p.id, p.organization_id, p.webhook_id, p.channel, r.revision, p.health,
			p.health_since
			FROM {p}endpoints p {join} {p}routes r ON r.organization_id = p.organization_id
				AND r.webhook_id = p.webhook_id
			WHERE p.id {in} AND p.state < 2`),
		payloads: x.sql(`SELECT e.id, e.payload FROM {p}events e WHERE e.id {in}`),
		skippedEndpoints: x.batch(`WITH {v}
			SELECT p.id, p.webhook_id, p.channel FROM v {join} {p}endpoints p ON p.webhook_id = v.webhook_id
				AND p.channel = v.channel AND p.state < 2`,
			column{"webhook_id", text}, column{"channel", text}),
		skippedOrganizations: x.batch(`WITH {v}
			SELECT o.number FROM v {join} {p}organizations o ON o.organization_id = v.organization_id
				WHERE o.number IS NOT NULL`,
			column{"organization_id", text}),
		// It counts lost leases as task does.
		lease: x.sql(`UPDATE {p}deliveries SET
			lost = CASE WHEN state = 1 AND (lost = 0 OR started_at > 0) THEN lost + 1 ELSE lost END,
			started_at = CASE WHEN state = 1 AND started_at > 0 THEN -started_at
				ELSE started_at END, state = 1, due_at = ?,` + unparked + ` token = token + 1 WHERE id {in}`),
	}
}

// Claim implements [webhook.Queue], with two exceptions. If the request has more than 10,000
// endpoints or 250 organizations to skip, Claim may return fewer than r.Limit tasks although more
// are due. Its statements skip that many. If they find deliveries of other endpoints or
// organizations to skip, Claim skips those too and searches again, up to three times, and then
// leaves such deliveries out. Before that, Claim stores up to 4,224 deliveries that FanOut should
// have stored in [webhook.FanOutLease], and ends up to 3,300 rows of the table leases; if
// there are more, they are left to the next claim, and so are those of more than 256 paused or
// disabled endpoints that have become active since the last one.
func (s *Store) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	if r.Limit < 1 || r.PerEndpoint < 1 {
		return nil, fmt.Errorf("sqlstore: a claim needs Limit and PerEndpoint of at least 1, "+
			"not %d and %d", r.Limit, r.PerEndpoint)
	}
	from, at := s.leases.begin(micros(now)), micros(now)
	places, count := s.starts.begin(at)
	var c *claiming
	var dead int64
	left, locked := int64(math.MaxInt64), int64(math.MaxInt64)
	last := afterLeasesOf(from)
	most := fewPieces
	for pieces := 0; c == nil; pieces++ {
		var st storing
		var next leaseRow // up to which leases were ended
		var more bool
		var lockedNow int64
		// A transaction stores a piece of a fan-out, ends a page of leases, or claims, so that none
		// takes long.
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			c, left = nil, math.MaxInt64
			next, more, lockedNow = last, false, math.MaxInt64
			if st, left, err = s.fanOutEnded(ctx, q, from, at); err != nil {
				return err
			}
			if left < math.MaxInt64 && pieces < most {
				return nil
			}
			next, more, lockedNow, err = s.endLeases(ctx, q, last, at)
			if err != nil || more && pieces < maxPieces {
				return err
			}
			if err = s.wake(ctx, q, at); err != nil {
				return err
			}
			c, dead, err = s.claimCounting(ctx, q, at, r, places, count)
			if err == nil && len(c.tasks) < r.Limit && left < math.MaxInt64 && pieces < maxPieces {
				return errMorePieces
			}
			return err
		})
		if errors.Is(err, errMorePieces) {
			c, most = nil, maxPieces
			continue
		}
		if err != nil {
			return nil, err
		}
		s.remember(st)
		last, locked = next, min(locked, lockedNow)
		if c != nil && c.unsorted && len(c.tasks) == 0 && pieces < maxPieces {
			c = nil // what it has taken out of the queue stood before what may have its turn
		}
		if more && c != nil { // the next claim goes on
			locked = min(locked, last.until)
		}
	}
	s.turns.end(c)
	s.leases.end(at, min(locked, left))
	s.leases.remember(c.tasks, c.holdings)
	// If they fail, the next claims are slower. The tasks are the caller's whatever happens.
	_ = s.park(ctx, at)
	_ = s.look(ctx, at, dead)
	return c.tasks, nil
}

// errMorePieces rolls back a claim that would take less than it may, although there is more to store
// first.
var errMorePieces = errors.New("sqlstore: there are more pieces of wide events")

// claimCounting is claimIn that counts, if it is to, the dead entries that it reads.
func (s *Store) claimCounting(
	ctx context.Context, q Querier, now int64, r webhook.ClaimRequest, from places, count bool,
) (c *claiming, dead int64, err error) {
	if s.starting.dead == "" || !count {
		c, err = s.claimIn(ctx, q, now, r, from)
		return c, 0, err
	}
	before, err := s.deadEntries(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	if c, err = s.claimIn(ctx, q, now, r, from); err != nil {
		return nil, 0, err
	}
	dead, err = s.deadEntries(ctx, q)
	return c, dead - before, err
}

// claimSearches is how often a claim searches for deliveries.
const claimSearches = 4

func (s *Store) claimIn(
	ctx context.Context, q Querier, now int64, r webhook.ClaimRequest, from places,
) (*claiming, error) {
	skip, err := s.findSkipped(ctx, q, r)
	if err != nil {
		return nil, err
	}
	sorts, locked := 0, 0
	for n := 1; ; n++ {
		c := s.turns.begin(now, r)
		c.places = from
		c.skip(skip)
		if err := s.walk(ctx, q, c); err != nil {
			return nil, err
		}
		lines, sorted, err := s.sortLines(ctx, q, c)
		if err != nil {
			return nil, err
		}
		locked += lines
		if sorts++; sorted && sorts < maxSorts && locked < maxLinesLocked {
			n--
			continue
		}
		c.unsorted = sorted
		unwanted, err := s.makeTasks(ctx, q, c, skip)
		if err != nil {
			return nil, err
		}
		if !unwanted || n == claimSearches {
			if err := s.takeProbes(ctx, q, c); err != nil {
				return nil, err
			}
			if err := s.readPayloads(ctx, q, c); err != nil {
				return nil, err
			}
			return c, s.leaseTasks(ctx, q, c)
		}
	}
}

// readPayloads gives the tasks the payloads of their events, one that several share once: the search
// would read it for each delivery, and again if it searches again.
func (s *Store) readPayloads(ctx context.Context, q Querier, c *claiming) error {
	if len(c.tasks) == 0 {
		return nil
	}
	payloads := make(map[int64][]byte)
	for i := range c.tasks {
		payloads[c.eventIDs[c.tasks[i].DeliveryID]] = nil
	}
	err := collect(ctx, q, func(row scanner) error {
		var id int64
		var payload []byte
		err := row.Scan(&id, &payload)
		payloads[id] = payload
		return err
	}, s.claim.payloads, s.x.dialect.ints(slices.Sorted(maps.Keys(payloads))))
	for i := range c.tasks {
		c.tasks[i].Payload = payloads[c.eventIDs[c.tasks[i].DeliveryID]]
	}
	return err
}

// leaseTasks leases the tasks to the caller.
func (s *Store) leaseTasks(ctx context.Context, q Querier, c *claiming) error {
	if len(c.tasks) == 0 {
		return nil
	}
	ids := make([]int64, len(c.tasks))
	for i := range c.tasks {
		ids[i] = int64(c.tasks[i].DeliveryID)
	}
	var due any = micros(c.request.Until)
	if s.x.dialect.claimsLeaveQueue() {
		due = nil
		if err := s.insertLeases(ctx, q, c.lease()); err != nil {
			return err
		}
	}
	_, err := q.Exec(ctx, s.claim.lease, due, s.x.dialect.ints(ids))
	return err
}

// lease gives each task a row of the table leases, and returns the rows. A task shares that of the one
// before if nothing but its event is between their ids, and their tokens are the same.
func (c *claiming) lease() (rows []*leaseRow) {
	order := make([]int, len(c.tasks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(c.tasks[a].DeliveryID, c.tasks[b].DeliveryID)
	})
	var row *leaseRow
	for _, i := range order {
		t := &c.tasks[i]
		id := int64(t.DeliveryID)
		before := id - 1
		if c.eventIDs[t.DeliveryID] == before {
			before--
		}
		if row == nil || row.lastID != before || row.token != t.Token {
			row = &leaseRow{until: micros(t.Until), firstID: id, token: t.Token}
			rows = append(rows, row)
		}
		row.lastID = id
		row.held++
		c.holdings[i].row = row
	}
	return rows
}

// due is a delivery that may be claimed.
type due struct {
	endpointID, eventID, at int64
	line                    int64
	turn                    int
	kept                    bool // see prune.go
	task                    webhook.Task
}

// findDue returns up to limit deliveries that are due for the endpoints after
// from, up to to, in their order.
func (s *Store) findDue(
	ctx context.Context, q Querier, c *claiming, from, to int64, limit int,
) ([]due, error) {
	perEndpoint := c.request.PerEndpoint
	var args []any
	if s.starting.look != "" {
		args = c.places.between(from, to).args(s.x.dialect)
	}
	args = append(args, from, to, c.now, c.now, perEndpoint, c.now, perEndpoint, perEndpoint, to,
		s.x.dialect.ints(c.skippedIn(from, to)), s.x.dialect.claimLimit(limit, perEndpoint))
	var found []due
	err := collect(ctx, q, func(row scanner) error {
		d, err := scanDue(row)
		found = append(found, d)
		return err
	}, s.claim.due, args...)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.endpointID, b.endpointID),
			cmp.Compare(min(a.task.AttemptsSinceQueued, 1), min(b.task.AttemptsSinceQueued, 1)),
			cmp.Compare(a.at, b.at), cmp.Compare(a.task.DeliveryID, b.task.DeliveryID))
	})
	return found[:min(limit, len(found))], nil
}

// makeTasks makes tasks of the deliveries that were found. It reports whether it left some out that
// are to be skipped, and adds their endpoints to skip.
func (s *Store) makeTasks(
	ctx context.Context, q Querier, c *claiming, skip *skipping,
) (unwanted bool, err error) {
	if c.endpoints, err = s.endpointsOfDue(ctx, q, c.found); err != nil {
		return false, err
	}
	c.eventIDs = make(map[webhook.DeliveryID]int64, len(c.found))
	for _, d := range c.found {
		to := c.endpoints[d.endpointID]
		if to == nil {
			continue // deleted since it was found
		}
		if skip.unwanted(d.endpointID, to) {
			s.skipped.remember(to.endpoint, d.endpointID)
			unwanted = true
			continue
		}
		c.tasks = append(c.tasks, c.task(d, to))
		c.holdings = append(c.holdings, d.holding())
		c.eventIDs[d.task.DeliveryID] = d.eventID
	}
	return unwanted, nil
}

// claimedEndpoint is what a task has from its endpoint.
type claimedEndpoint struct {
	organizationID string
	endpoint       webhook.Endpoint
	revision       int64
	degraded       bool
	healthySince   time.Time
}

// endpointsOfDue returns the endpoints, unless they were deleted, of the deliveries that were
// found.
func (s *Store) endpointsOfDue(
	ctx context.Context, q Querier, found []due,
) (map[int64]*claimedEndpoint, error) {
	if len(found) == 0 {
		return nil, nil
	}
	var ids []int64
	for i := range found {
		if n := len(ids); n == 0 || ids[n-1] != found[i].endpointID { // most stand together
			ids = append(ids, found[i].endpointID)
		}
	}
	endpoints := make(map[int64]*claimedEndpoint, len(ids))
	err := collect(ctx, q, func(row scanner) error {
		var id int64
		var health int
		var since *int64
		o := &claimedEndpoint{}
		err := row.Scan(&id, &o.organizationID, &o.endpoint.SubscriptionID, &o.endpoint.Channel,
			&o.revision, &health, &since)
		o.degraded = health == degraded
		if since != nil && health == healthy {
			o.healthySince = moment(*since)
		}
		endpoints[id] = o
		return err
	}, s.claim.endpoints, s.x.dialect.ints(ids))
	return endpoints, err
}

func scanDue(row scanner) (due, error) {
	var d due
	var id, queuedAt, state, startedAt, ttl, kept int64
	var trace []byte
	t := &d.task
	err := row.Scan(&id, &d.endpointID, &d.at, &t.Token, &t.AttemptsSinceQueued, &t.Attempts,
		&queuedAt, (*[]byte)(&t.Progress),
		&state, &t.Lost, &startedAt, &d.eventID, &t.EventID, &t.EventType, &trace,
		&ttl, &d.line, &d.turn, &kept)
	t.Trace = decodeTrace(trace)
	t.DeliveryID, t.QueuedAt = webhook.DeliveryID(id), moment(queuedAt)
	t.ExpiresAt, t.Ordered, d.kept = expiry(queuedAt, ttl), d.turn != noTurn, kept != 0
	if state == stateInFlight && (t.Lost == 0 || startedAt > 0) {
		t.Lost++
	}
	if startedAt < 0 || state == stateInFlight && startedAt > 0 {
		t.LostAt = moment(max(startedAt, -startedAt))
	}
	return d, err
}

// holding is what Settle is to know of the delivery.
func (d due) holding() holding {
	h := holding{endpointID: d.endpointID, number: int64(d.task.Attempts) + 1,
		plain: d.task.Attempts == 0 && !d.kept}
	if d.turn != noTurn {
		h.line = d.line
	}
	return h
}

// expiry returns when a delivery expires that was queued at a time, with the ttl of its event in
// microseconds: never, if that is 0.
func expiry(queuedAt, ttl int64) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return moment(queuedAt + ttl)
}

// task returns the task for a delivery that was found, with its state after the claim.
func (c *claiming) task(d due, to *claimedEndpoint) webhook.Task {
	t := d.task
	t.Token++
	t.Until, t.DueAt = moment(micros(c.request.Until)), moment(d.at)
	t.OrganizationID, t.Endpoint, t.Revision = to.organizationID, to.endpoint, to.revision
	t.HealthySince = to.healthySince
	return t
}

// endpointBits are those of an endpoint's id that number it in its organization. The ids of one
// organization are consecutive in the queue's index, so that a claim reaches the next organization
// in one step, however many endpoints the first one has.
const endpointBits = 24

func organizationNumber(endpointID int64) int64 { return endpointID >> endpointBits }

// endpointIDRange returns the range of an organization's endpoints: after from, up to to.
func endpointIDRange(number int64) (from, to int64) {
	return number << endpointBits, (number+1)<<endpointBits - 1
}

// turns is where the next claim begins. A claim visits the organizations in turn, from where the
// last claim ended. If it leaves deliveries of an organization behind, the organization is
// remembered with the last endpoint that was served, and continues after it.
type turns struct {
	mu               sync.Mutex
	lastOrganization int64           // that was served
	resumeAfter      map[int64]int64 // the last endpoint that was served, by organization
}

// maxResumed bounds how many organizations are remembered. The others begin with their first
// endpoint.
const maxResumed = 1000

// skipOrganization stands for the last endpoint of an organization that is to be skipped.
const skipOrganization = -1

// claiming is one call of Claim.
type claiming struct {
	now              int64
	request          webhook.ClaimRequest
	places           places  // from where the queue is read
	perOrganization  int     // how many of one organization at most
	skipped          []int64 // endpoints, in order
	lastOrganization int64
	resumeAfter      map[int64]int64 // turns.resumeAfter, and the organizations to be skipped
	exhausted        []int64         // organizations that have no more
	found            []due
	endpoints        map[int64]*claimedEndpoint // of what was found
	// unsorted says that there may be more deliveries without a turn among those to be found.
	unsorted bool
	tasks    []webhook.Task
	holdings []holding // of the tasks
	// eventIDs are the rows of the tasks' events.
	eventIDs map[webhook.DeliveryID]int64
}

func (t *turns) begin(now int64, r webhook.ClaimRequest) *claiming {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &claiming{now: now, request: r, perOrganization: r.Limit,
		lastOrganization: t.lastOrganization, resumeAfter: make(map[int64]int64, len(t.resumeAfter))}
	maps.Copy(c.resumeAfter, t.resumeAfter)
	if r.PerOrganization > 0 {
		c.perOrganization = min(c.perOrganization, r.PerOrganization)
	}
	return c
}

func (t *turns) end(c *claiming) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastOrganization = c.lastOrganization
	if t.resumeAfter == nil {
		t.resumeAfter = make(map[int64]int64)
	}
	for _, number := range c.exhausted {
		delete(t.resumeAfter, number)
	}
	for number, last := range c.resumeAfter {
		if last != skipOrganization && len(t.resumeAfter) < maxResumed {
			t.resumeAfter[number] = last
		}
	}
}

func (c *claiming) remaining() int { return c.request.Limit - len(c.found) }

// walk finds deliveries, beginning with the organization after c.lastOrganization.
func (s *Store) walk(ctx context.Context, q Querier, c *claiming) error {
	_, start := endpointIDRange(c.lastOrganization)
	separate := slices.Sorted(maps.Keys(c.resumeAfter))
	if err := s.walkRange(ctx, q, c, separate, start, math.MaxInt64); err != nil {
		return err
	}
	return s.walkRange(ctx, q, c, separate, 0, start)
}

// walkRange finds deliveries for the endpoints after from, up to to, which are those of whole
// organizations. The separate ones, in order, are resumed where they were left, or skipped.
func (s *Store) walkRange(
	ctx context.Context, q Querier, c *claiming, separate []int64, from, to int64,
) error {
	for _, number := range separate {
		first, last := endpointIDRange(number)
		if first < from || last > to {
			continue
		}
		if err := s.findInRange(ctx, q, c, from, first); err != nil {
			return err
		}
		if at := c.resumeAfter[number]; at != skipOrganization {
			if err := s.resumeOrganization(ctx, q, c, number, at); err != nil {
				return err
			}
		}
		from = last
	}
	return s.findInRange(ctx, q, c, from, to)
}

// resumeOrganization finds deliveries for one organization, beginning after the endpoint that was
// served last.
func (s *Store) resumeOrganization(
	ctx context.Context, q Querier, c *claiming, number, at int64,
) error {
	first, last := endpointIDRange(number)
	most := min(c.perOrganization, c.remaining())
	n := 0
	for _, part := range [][2]int64{{at, last}, {first, at}} {
		if n == most {
			break
		}
		found, err := s.findDue(ctx, q, c, part[0], part[1], most-n)
		if err != nil {
			return err
		}
		c.add(found)
		n += len(found)
	}
	if n < most {
		delete(c.resumeAfter, number)
		c.exhausted = append(c.exhausted, number)
	}
	return nil
}

// findInRange finds deliveries for the endpoints after from, up to to.
func (s *Store) findInRange(ctx context.Context, q Querier, c *claiming, from, to int64) error {
	// The endpoints of an organization count from 1, so none has its first id.
	for from < to-1 && c.remaining() > 0 {
		limit := c.remaining()
		found, err := s.findDue(ctx, q, c, from, to, limit)
		if err != nil || len(found) == 0 {
			return err
		}
		full := len(found) == limit
		kept, last := c.limitOrganizations(found)
		if !full || len(kept) == limit {
			c.add(kept)
			if full { // the limit may have cut it
				c.resumeAfter[last] = kept[len(kept)-1].endpointID
			}
			return nil
		}
		// Deliveries that were left out make room for later organizations, but the limit may have cut the
		// last one.
		first, end := endpointIDRange(last)
		if _, cut := c.resumeAfter[last]; cut {
			from = end
		} else {
			kept = slices.DeleteFunc(kept, func(d due) bool {
				return organizationNumber(d.endpointID) == last
			})
			from = first
		}
		c.add(kept)
	}
	return nil
}

// limitOrganizations leaves out the deliveries beyond each organization's share, and returns the
// last organization that was found.
func (c *claiming) limitOrganizations(found []due) (kept []due, last int64) {
	n := 0
	for _, d := range found {
		number := organizationNumber(d.endpointID)
		if number != last {
			last, n = number, 0
		}
		if n++; n <= c.perOrganization {
			kept = append(kept, d)
		} else {
			c.resumeAfter[number] = kept[len(kept)-1].endpointID
		}
	}
	return kept, last
}

func (c *claiming) add(found []due) {
	if len(found) == 0 {
		return
	}
	c.found = append(c.found, found...)
	last := found[len(found)-1].endpointID
	c.lastOrganization = organizationNumber(last)
	if _, resumed := c.resumeAfter[c.lastOrganization]; resumed {
		c.resumeAfter[c.lastOrganization] = last
	}
}

const (
	// maxSkipped and maxSkippedOrganizations bound what the statements of a claim skip. Each
	// organization takes one more statement.
	maxSkipped              = 10_000
	maxSkippedOrganizations = 250
	// maxSkipLookups bounds how many endpoints one claim looks up. The next one looks up others.
	maxSkipLookups = 1000
	// maxSkippedIDs bounds how many ids are remembered. After they are forgotten they are queried
	// again.
	maxSkippedIDs = 100_000
)

// skippedIDs remembers the ids of endpoints that claims were asked to skip, because most of them
// are skipped by the next claim too. An id is out of date if its endpoint was deleted and created
// again. A claim then finds deliveries of the new endpoint, and remembers its id. The zero value is
// ready to use.
type skippedIDs struct {
	mu  sync.Mutex
	ids map[webhook.Endpoint]int64
}

func (s *skippedIDs) remember(e webhook.Endpoint, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil || len(s.ids) >= maxSkippedIDs {
		s.ids = make(map[webhook.Endpoint]int64)
	}
	s.ids[e] = id
}

// known returns the ids of endpoints, maxSkipped at most, and endpoints to be looked up.
func (s *skippedIDs) known(endpoints []webhook.Endpoint) (ids []int64, unknown []webhook.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range endpoints {
		id, ok := s.ids[e]
		switch {
		case len(ids)+len(unknown) == maxSkipped:
			return ids, unknown
		case ok:
			ids = append(ids, id)
		case len(unknown) < maxSkipLookups:
			unknown = append(unknown, e)
		}
	}
	return ids, unknown
}

// skipping is what a claim skips.
type skipping struct {
	request                          webhook.ClaimRequest
	endpointIDs, organizationNumbers []int64
	endpoints                        map[webhook.Endpoint]struct{}
	organizations                    map[string]struct{}
}

// findSkipped looks up the endpoints and organizations to skip.
func (s *Store) findSkipped(
	ctx context.Context, q Querier, r webhook.ClaimRequest,
) (*skipping, error) {
	skip := &skipping{request: r}
	var unknown []webhook.Endpoint
	skip.endpointIDs, unknown = s.skipped.known(r.Skip)
	rows := make([]any, 0, 2*len(unknown))
	for _, e := range unknown {
		rows = append(rows, e.SubscriptionID, e.Channel)
	}
	scanEndpoint := func(row scanner) error {
		var id int64
		var e webhook.Endpoint
		err := row.Scan(&id, &e.SubscriptionID, &e.Channel)
		skip.endpointIDs = append(skip.endpointIDs, id)
		s.skipped.remember(e, id)
		return err
	}
	err := s.x.dialect.queryBatch(ctx, q, s.claim.skippedEndpoints, rows, nil, scanEndpoint)
	if err != nil {
		return nil, err
	}
	rows = rows[:0]
	for _, id := range r.SkipOrganizations[:min(len(r.SkipOrganizations), maxSkippedOrganizations)] {
		rows = append(rows, id)
	}
	scanNumber := func(row scanner) error {
		var number int64
		err := row.Scan(&number)
		skip.organizationNumbers = append(skip.organizationNumbers, number)
		return err
	}
	return skip, s.x.dialect.queryBatch(ctx, q, s.claim.skippedOrganizations, rows, nil, scanNumber)
}

// skip sets what the claim skips.
func (c *claiming) skip(skip *skipping) {
	slices.Sort(skip.endpointIDs)
	c.skipped = skip.endpointIDs
	for _, number := range skip.organizationNumbers {
		c.resumeAfter[number] = skipOrganization
	}
}

// skippedIn returns which of the endpoints after from, up to to, are skipped.
func (c *claiming) skippedIn(from, to int64) []int64 {
	first, _ := slices.BinarySearch(c.skipped, from+1)
	last := len(c.skipped)
	if to < math.MaxInt64 {
		last, _ = slices.BinarySearch(c.skipped, to+1)
	}
	return c.skipped[first:max(first, last)]
}

// unwanted reports whether the endpoint is to be skipped. If so, it adds the endpoint or its
// organization to the ids.
func (s *skipping) unwanted(endpointID int64, o *claimedEndpoint) bool {
	if s.endpoints == nil {
		s.endpoints = make(map[webhook.Endpoint]struct{}, len(s.request.Skip))
		for _, e := range s.request.Skip {
			s.endpoints[e] = struct{}{}
		}
		s.organizations = make(map[string]struct{}, len(s.request.SkipOrganizations))
		for _, id := range s.request.SkipOrganizations {
			s.organizations[id] = struct{}{}
		}
	}
	_, organization := s.organizations[o.organizationID]
	_, endpoint := s.endpoints[o.endpoint]
	number := organizationNumber(endpointID)
	switch {
	case organization && number > 0:
		s.organizationNumbers = append(s.organizationNumbers, number)
	case organization, endpoint: // endpoints from before organizations had numbers have 0
		s.endpointIDs = append(s.endpointIDs, endpointID)
	}
	return organization || endpoint
}
