package sqlstore

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func lease(id int, token int64) webhook.Lease {
	return webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: token}
}

func TestLeases(t *testing.T) {
	t.Parallel()
	var l leases
	l.remember([]webhook.Task{{Lease: lease(1, 1)}, {Lease: lease(2, 1)}},
		[]holding{{endpointID: 10, number: 1}, {endpointID: 20, number: 5}})
	settlements := []webhook.Settlement{{Lease: lease(2, 1)}, {Lease: lease(1, 2)},
		{Lease: lease(1, 1)}}
	held, unknown := l.known(settlements)
	first := holding{endpointID: 10, number: 1}
	assert.Equal(t, []holding{{endpointID: 20, number: 5}, {}, first}, held, "a lease is a delivery and a token")
	assert.Equal(t, []int64{1}, unknown)
	l.forget(settlements[:1])
	held, unknown = l.known(settlements)
	assert.Equal(t, []holding{{}, {}, first}, held)
	assert.Equal(t, []int64{2, 1}, unknown)
}

// Leases that are never settled must not take more and more memory.
func TestLeasesAreBounded(t *testing.T) {
	t.Parallel()
	var l leases
	const batch = 1_000
	tasks, holdings := make([]webhook.Task, batch), make([]holding, batch)
	for n := range maxLeases/batch + 2 {
		for i := range tasks {
			tasks[i].Lease, holdings[i].endpointID = lease(n*batch+i+1, 1), 7
		}
		l.remember(tasks, holdings)
		require.LessOrEqual(t, len(l.held), maxLeases)
		_, unknown := l.known([]webhook.Settlement{{Lease: tasks[0].Lease}})
		require.Empty(t, unknown, "the latest are remembered")
	}
}

// The row of a lease goes with the first Settle after nothing is held under it any more.
func TestLeaseRows(t *testing.T) {
	t.Parallel()
	var l leases
	row, other := &leaseRow{until: 50, held: 3}, &leaseRow{until: 60, held: 1}
	l.remember([]webhook.Task{{Lease: lease(1, 1)}, {Lease: lease(2, 1)}, {Lease: lease(3, 1)},
		{Lease: lease(4, 1)}}, []holding{{row: row}, {endpointID: 20, row: row}, {row: row}, {row: other}})
	settled := func(ids ...int) (all []webhook.Settlement) {
		for _, id := range ids {
			all = append(all, webhook.Settlement{Lease: lease(id, 1)})
		}
		return all
	}
	l.forget(settled(1, 1))
	assert.Empty(t, l.takeEnded(), "what is settled twice counts once")
	l.detach([]webhook.Lease{lease(2, 1), lease(2, 1), lease(9, 1)})
	assert.Empty(t, l.takeEnded(), "what is extended twice counts once")
	held, _ := l.known(settled(2))
	assert.Equal(t, []holding{{endpointID: 20}}, held, "what has a lease of its own is still held")
	l.forget(settled(2, 3))
	assert.Equal(t, []*leaseRow{row}, l.takeEnded())
	assert.Empty(t, l.takeEnded(), "a row is removed once")
	l.restoreEnded([]*leaseRow{row})
	l.forget(settled(4))
	assert.Equal(t, []*leaseRow{row, other}, l.takeEnded(), "what could not be removed is tried again")
}

// A claim looks for leases that ended since the last one, and a little before.
func TestLeasesAreLookedForOnce(t *testing.T) {
	t.Parallel()
	var l leases
	const now = 1000 * leaseLookback
	assert.Equal(t, int64(math.MinInt64), l.begin(now), "the first claim looks for all")
	l.end(now, math.MaxInt64)
	assert.Equal(t, now-leaseLookback, l.begin(now+5))
	assert.Equal(t, now-5-leaseLookback, l.begin(now-5), "a clock may go back")

	l.end(now+100, now+40)
	assert.Equal(t, now+39-leaseLookback, l.begin(now+200),
		"what another transaction had locked is looked for again")
	l.end(now+200, math.MaxInt64)
	l.remember([]webhook.Task{{Lease: lease(1, 1)}}, []holding{{row: &leaseRow{until: 70, held: 1}}})
	assert.Equal(t, 69-leaseLookback, l.begin(now+300), "a lease of this process may end early")
}

// The tasks of a claim share a row if nothing but the event of the next one is between their ids, and
// their tokens are the same.
func TestRangesOfAClaim(t *testing.T) {
	t.Parallel()
	c := &claiming{eventIDs: make(map[webhook.DeliveryID]int64)}
	for _, d := range []struct {
		id, eventID int
		token       int64
	}{{9, 1, 1}, {3, 2, 1}, {20, 19, 1}, {5, 4, 1}, {8, 1, 1}, {11, 1, 1}, {22, 21, 1}, {24, 23, 2}} {
		c.tasks = append(c.tasks, webhook.Task{Lease: lease(d.id, d.token), Until: moment(70)})
		c.eventIDs[webhook.DeliveryID(d.id)] = int64(d.eventID)
	}
	c.holdings = make([]holding, len(c.tasks))
	rows := c.lease()
	assert.Equal(t, []*leaseRow{{until: 70, firstID: 3, lastID: 5, token: 1, held: 2},
		{until: 70, firstID: 8, lastID: 9, token: 1, held: 2},
		{until: 70, firstID: 11, lastID: 11, token: 1, held: 1},
		{until: 70, firstID: 20, lastID: 22, token: 1, held: 2},
		{until: 70, firstID: 24, lastID: 24, token: 2, held: 1}}, rows)
	for i, row := range []int{1, 0, 3, 0, 1, 2, 3, 4} {
		assert.Same(t, rows[row], c.holdings[i].row)
	}
}
