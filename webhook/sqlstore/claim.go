package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type claimStatements struct {
	due, lease string
}

func newClaimStatements(x expander) claimStatements {
	return claimStatements{
		due:   x.sql(x.dialect.claimSQL()),
		lease: x.sql(`UPDATE {p}deliveries SET state = 1, at = ?, token = token + 1 WHERE id {in}`),
	}
}

// Claim implements [webhook.Queue].
func (s *Store) Claim(ctx context.Context, now time.Time, r webhook.ClaimRequest) ([]webhook.Task, error) {
	if r.Limit < 1 || r.PerEndpoint < 1 {
		return nil, fmt.Errorf("sqlstore: a claim needs Limit and PerEndpoint of at least 1, not %d and %d", r.Limit, r.PerEndpoint)
	}
	var tasks []webhook.Task
	var last int64
	err := s.write(ctx, func(ctx context.Context, q Tx) error {
		routes, err := s.currentRoutes(ctx, q)
		if err != nil {
			return err
		}
		c := &claiming{now: micros(now), request: r, routes: routes}
		// From the endpoint after the last one to the end, then from the start.
		cursor := s.cursor.Load()
		if err := s.findDue(ctx, q, c, cursor, math.MaxInt64); err != nil {
			return err
		}
		if len(c.tasks) < r.Limit && cursor > 0 {
			if err := s.findDue(ctx, q, c, 0, cursor); err != nil {
				return err
			}
		}
		if len(c.tasks) == 0 {
			return nil
		}
		ids := make([]int64, len(c.tasks))
		for i := range c.tasks {
			ids[i] = int64(c.tasks[i].DeliveryID)
		}
		tasks, last = c.tasks, c.last
		_, err = q.Exec(ctx, s.claim.lease, micros(r.Until), s.x.dialect.ints(ids))
		return err
	})
	if err != nil {
		return nil, err
	}
	if last != 0 {
		s.cursor.Store(last)
	}
	return tasks, nil
}

// claiming is one call of Claim.
type claiming struct {
	now     int64
	request webhook.ClaimRequest
	routes  *routes
	tasks   []webhook.Task
	last    int64 // the endpoint of the last task
}

// due is a delivery that may be claimed.
type due struct {
	endpointID, at int64
	task           webhook.Task
}

// findDue adds what is due for the endpoints after from, up to to.
func (s *Store) findDue(ctx context.Context, q Tx, c *claiming, from, to int64) error {
	var skip []int64
	for _, e := range c.request.Skip {
		if id, ok := c.routes.ids[e]; ok {
			skip = append(skip, id)
		}
	}
	left := c.request.Limit - len(c.tasks)
	limit := s.x.dialect.claimLimit(left, c.request.PerEndpoint)
	var found []due
	err := collect(ctx, q, func(rows scanner) error {
		d, err := c.scan(rows)
		found = append(found, d)
		return err
	}, s.claim.due, from, to, c.now, c.request.PerEndpoint, to, s.x.dialect.ints(skip), limit)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.endpointID, b.endpointID), cmp.Compare(a.at, b.at), cmp.Compare(a.task.DeliveryID, b.task.DeliveryID))
	})
	for _, d := range found[:min(left, len(found))] {
		c.tasks = append(c.tasks, d.task)
		c.last = d.endpointID
	}
	return nil
}

func (c *claiming) scan(rows scanner) (due, error) {
	var d due
	var id, token, queuedAt int64
	t := &d.task
	err := rows.Scan(&id, &d.endpointID, &d.at, &token, &t.Tries, &t.Attempts, &queuedAt, (*[]byte)(&t.Progress),
		&t.EventID, &t.EventType, &t.Payload)
	if err != nil {
		return d, err
	}
	to := c.routes.byID[d.endpointID]
	if to == nil {
		return d, fmt.Errorf("sqlstore: delivery %d is for endpoint %d, which is not there", id, d.endpointID)
	}
	t.Lease = webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: token + 1}
	t.Until, t.QueuedAt = moment(micros(c.request.Until)), moment(queuedAt)
	t.OrganizationID, t.Endpoint, t.Revision = to.organizationID, to.endpoint, to.revision
	return d, nil
}
