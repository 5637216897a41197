package sqlstore

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/mixpeek/webhooks-go/webhook"
)

// endpointBits are those of an endpoint's id that number it in its organization.
// The ids of one organization stand together in the queue's index, so that a claim
// gets from one to the next in one step, however many endpoints the first one has.
const endpointBits = 24

func organizationOf(endpointID int64) int64 { return endpointID >> endpointBits }

// idsOf returns the range of an organization's endpoints: after from, up to to.
func idsOf(number int64) (from, to int64) {
	return number << endpointBits, (number+1)<<endpointBits - 1
}

// turns is whose turn it is. A claim goes round the organizations, from where the
// last one ended. One that was not done with is remembered with the endpoint that
// was its last, and goes on after that.
type turns struct {
	mu    sync.Mutex
	at    int64           // the last organization that was served
	large map[int64]int64 // the last endpoint, by organization
}

// maxLarge bounds the organizations that are remembered. Others begin with their
// first endpoint.
const maxLarge = 1000

// skipIt stands for the last endpoint of an organization that is to be skipped.
const skipIt = -1

// claiming is one call of Claim.
type claiming struct {
	now     int64
	request webhook.ClaimRequest
	most    int     // of one organization
	skipped []int64 // endpoints, in order
	at      int64
	stops   map[int64]int64 // turns.large, and the organizations to be skipped
	done    []int64         // organizations that have no more
	found   []due
	tasks   []webhook.Task
	// endpointIDs are those of the tasks.
	endpointIDs []int64
}

func (t *turns) begin(now int64, r webhook.ClaimRequest) *claiming {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &claiming{now: now, request: r, most: r.Limit, at: t.at, stops: make(map[int64]int64, len(t.large))}
	maps.Copy(c.stops, t.large)
	if r.PerOrganization > 0 {
		c.most = min(c.most, r.PerOrganization)
	}
	return c
}

func (t *turns) end(c *claiming) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = c.at
	if t.large == nil {
		t.large = make(map[int64]int64)
	}
	for _, number := range c.done {
		delete(t.large, number)
	}
	for number, last := range c.stops {
		if last != skipIt && len(t.large) < maxLarge {
			t.large[number] = last
		}
	}
}

func (c *claiming) left() int { return c.request.Limit - len(c.found) }

// goRound finds what may be claimed.
func (s *Store) goRound(ctx context.Context, q Querier, c *claiming) error {
	_, start := idsOf(c.at)
	stops := slices.Sorted(maps.Keys(c.stops))
	if err := s.goOn(ctx, q, c, stops, start, math.MaxInt64); err != nil {
		return err
	}
	return s.goOn(ctx, q, c, stops, 0, start)
}

// goOn finds what may be claimed for the endpoints after from, up to to, which are
// those of whole organizations.
func (s *Store) goOn(ctx context.Context, q Querier, c *claiming, stops []int64, from, to int64) error {
	for _, number := range stops {
		first, last := idsOf(number)
		if first < from || last > to {
			continue
		}
		if err := s.several(ctx, q, c, from, first); err != nil {
			return err
		}
		if at := c.stops[number]; at != skipIt {
			if err := s.large(ctx, q, c, number, at); err != nil {
				return err
			}
		}
		from = last
	}
	return s.several(ctx, q, c, from, to)
}

// large finds what may be claimed for one organization, after its last endpoint.
func (s *Store) large(ctx context.Context, q Querier, c *claiming, number, at int64) error {
	first, last := idsOf(number)
	most := min(c.most, c.left())
	n := 0
	for _, part := range [][2]int64{{at, last}, {first, at}} {
		if n == most {
			break
		}
		found, err := s.findDue(ctx, q, c, part[0], part[1], most-n)
		if err != nil {
			return err
		}
		c.take(found)
		n += len(found)
	}
	if n < most {
		delete(c.stops, number)
		c.done = append(c.done, number)
	}
	return nil
}

// several finds what may be claimed for the endpoints after from, up to to.
func (s *Store) several(ctx context.Context, q Querier, c *claiming, from, to int64) error {
	// Up to the first id of an organization there is nothing of it: they count from 1.
	for from < to-1 && c.left() > 0 {
		limit := c.left()
		found, err := s.findDue(ctx, q, c, from, to, limit)
		if err != nil || len(found) == 0 {
			return err
		}
		full := len(found) == limit
		kept, last := c.fair(found)
		if !full || len(kept) == limit {
			c.take(kept)
			if full { // the limit may have cut it
				c.stops[last] = kept[len(kept)-1].endpointID
			}
			return nil
		}
		// What was left out of some makes room for those after them, but the
		// limit may have cut the last one.
		first, end := idsOf(last)
		if _, cut := c.stops[last]; cut {
			from = end
		} else {
			kept = slices.DeleteFunc(kept, func(d due) bool { return organizationOf(d.endpointID) == last })
			from = first
		}
		c.take(kept)
	}
	return nil
}

// fair leaves out what is too much of one organization, and returns the last
// organization that was found.
func (c *claiming) fair(found []due) (kept []due, last int64) {
	n := 0
	for _, d := range found {
		number := organizationOf(d.endpointID)
		if number != last {
			last, n = number, 0
		}
		if n++; n <= c.most {
			kept = append(kept, d)
		} else {
			c.stops[number] = kept[len(kept)-1].endpointID
		}
	}
	return kept, last
}

func (c *claiming) take(found []due) {
	if len(found) == 0 {
		return
	}
	c.found = append(c.found, found...)
	last := found[len(found)-1].endpointID
	c.at = organizationOf(last)
	if _, large := c.stops[c.at]; large {
		c.stops[c.at] = last
	}
}
