package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// tried is what the queue's index says of a delivery beside its time: 0 if it
// was not attempted since it was queued, and 1 if it was.
const tried = `CASE WHEN tries > 0 THEN 1 ELSE 0 END`

type claimStatements struct {
	due, lease string
	owners     string
	endpoints  *batch
	numbers    *batch
}

func newClaimStatements(x expander) claimStatements {
	return claimStatements{
		due: x.sql(x.dialect.claimSQL()),
		// The revision is that of the claim's own transaction.
		owners: x.sql(`SELECT p.id, p.organization_id, p.webhook_id, p.channel, r.revision
			FROM {p}endpoints p {join} {p}routes r ON r.organization_id = p.organization_id AND r.webhook_id = p.webhook_id
			WHERE p.id {in} AND p.state < 2`),
		endpoints: x.batch(`WITH v (webhook_id, channel) AS ({rows})
			SELECT p.id, p.webhook_id, p.channel FROM v {join} {p}endpoints p ON p.webhook_id = v.webhook_id AND p.channel = v.channel AND p.state < 2`,
			column{"webhook_id", text}, column{"channel", text}),
		// What due.task says of lost leases.
		numbers: x.batch(`WITH v (organization_id) AS ({rows})
			SELECT o.number FROM v {join} {p}organizations o ON o.organization_id = v.organization_id WHERE o.number IS NOT NULL`,
			column{"organization_id", text}),
		lease: x.sql(`UPDATE {p}deliveries SET
			lost = CASE WHEN state = 1 AND (lost = 0 OR started_at > 0) THEN lost + 1 ELSE lost END,
			started_at = CASE WHEN state = 1 AND started_at > 0 THEN -started_at ELSE started_at END, state = 1, at = ?, token = token + 1 WHERE id {in}`),
	}
}

// Claim implements [webhook.Queue]. Its statements pass over 10,000 of the endpoints
// and 250 of the organizations that the request skips, and over those of the others
// that it finds in up to three more tries. If it finds still others, it leaves them out,
// and there may be more that is due than it returns.
func (s *Store) Claim(ctx context.Context, now time.Time, r webhook.ClaimRequest) ([]webhook.Task, error) {
	if r.Limit < 1 || r.PerEndpoint < 1 {
		return nil, fmt.Errorf("sqlstore: a claim needs Limit and PerEndpoint of at least 1, not %d and %d", r.Limit, r.PerEndpoint)
	}
	var c *claiming
	err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		c, err = s.claimIn(ctx, q, micros(now), r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.turns.end(c)
	s.leases.remember(c.tasks, c.endpointIDs)
	return c.tasks, nil
}

// claimTries is how often a claim looks for deliveries.
const claimTries = 4

func (s *Store) claimIn(ctx context.Context, q Querier, now int64, r webhook.ClaimRequest) (*claiming, error) {
	skip, err := s.findSkipped(ctx, q, r)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		c := s.turns.begin(now, r)
		c.skip(skip)
		if err := s.goRound(ctx, q, c); err != nil {
			return nil, err
		}
		unwanted, err := s.complete(ctx, q, c, skip)
		if err != nil {
			return nil, err
		}
		if !unwanted || n == claimTries {
			return c, s.lease(ctx, q, c)
		}
	}
}

// lease makes what was found the caller's.
func (s *Store) lease(ctx context.Context, q Querier, c *claiming) error {
	if len(c.tasks) == 0 {
		return nil
	}
	ids := make([]int64, len(c.tasks))
	for i := range c.tasks {
		ids[i] = int64(c.tasks[i].DeliveryID)
	}
	_, err := q.Exec(ctx, s.claim.lease, micros(c.request.Until), s.x.dialect.ints(ids))
	return err
}

// due is a delivery that may be claimed.
type due struct {
	endpointID, at int64
	task           webhook.Task
}

// findDue returns up to limit deliveries that are due for the endpoints after
// from, up to to, in their order.
func (s *Store) findDue(ctx context.Context, q Querier, c *claiming, from, to int64, limit int) ([]due, error) {
	perEndpoint := c.request.PerEndpoint
	var found []due
	err := collect(ctx, q, func(row scanner) error {
		d, err := scanDue(row)
		found = append(found, d)
		return err
	}, s.claim.due, from, to, c.now, perEndpoint, c.now, perEndpoint, perEndpoint, to, s.x.dialect.ints(c.skippedIn(from, to)),
		s.x.dialect.claimLimit(limit, perEndpoint))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.endpointID, b.endpointID), cmp.Compare(min(a.task.AttemptsSinceQueued, 1), min(b.task.AttemptsSinceQueued, 1)),
			cmp.Compare(a.at, b.at), cmp.Compare(a.task.DeliveryID, b.task.DeliveryID))
	})
	return found[:min(limit, len(found))], nil
}

// complete makes tasks of what was found. It reports whether some was to be skipped, which
// skip then knows.
func (s *Store) complete(ctx context.Context, q Querier, c *claiming, skip *skipping) (unwanted bool, err error) {
	owners, err := s.ownersOf(ctx, q, c.found)
	if err != nil {
		return false, err
	}
	for _, d := range c.found {
		to := owners[d.endpointID]
		if to == nil {
			continue // deleted since it was found
		}
		if skip.unwanted(d.endpointID, to) {
			s.skipped.remember(to.endpoint, d.endpointID)
			unwanted = true
			continue
		}
		c.tasks = append(c.tasks, c.task(d, to))
		c.endpointIDs = append(c.endpointIDs, d.endpointID)
	}
	return unwanted, nil
}

// owner is what a task says about its endpoint.
type owner struct {
	organizationID string
	endpoint       webhook.Endpoint
	revision       int64
}

// ownersOf returns the live endpoints of what was found.
func (s *Store) ownersOf(ctx context.Context, q Querier, found []due) (map[int64]*owner, error) {
	if len(found) == 0 {
		return nil, nil
	}
	var ids []int64
	for i := range found {
		if n := len(ids); n == 0 || ids[n-1] != found[i].endpointID { // most stand together
			ids = append(ids, found[i].endpointID)
		}
	}
	owners := make(map[int64]*owner, len(ids))
	err := collect(ctx, q, func(row scanner) error {
		var id int64
		o := &owner{}
		err := row.Scan(&id, &o.organizationID, &o.endpoint.SubscriptionID, &o.endpoint.Channel, &o.revision)
		owners[id] = o
		return err
	}, s.claim.owners, s.x.dialect.ints(ids))
	return owners, err
}

func scanDue(row scanner) (due, error) {
	var d due
	var id, queuedAt, state, startedAt int64
	t := &d.task
	err := row.Scan(&id, &d.endpointID, &d.at, &t.Token, &t.AttemptsSinceQueued, &t.Attempts, &queuedAt, (*[]byte)(&t.Progress),
		&state, &t.Lost, &startedAt, &t.EventID, &t.EventType, &t.Payload)
	t.DeliveryID, t.QueuedAt = webhook.DeliveryID(id), moment(queuedAt)
	if state == stateInFlight && (t.Lost == 0 || startedAt > 0) {
		t.Lost++
	}
	if startedAt < 0 || state == stateInFlight && startedAt > 0 {
		t.LostAt = moment(max(startedAt, -startedAt))
	}
	return d, err
}

// task completes what was found, as it is once it is claimed.
func (c *claiming) task(d due, to *owner) webhook.Task {
	t := d.task
	t.Token++
	t.Until, t.DueAt = moment(micros(c.request.Until)), moment(d.at)
	t.OrganizationID, t.Endpoint, t.Revision = to.organizationID, to.endpoint, to.revision
	return t
}
