package fairqueue_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// 64 slots are 16 fast ones, of which the last 4 are held back, and 48 general ones.
var slotLimits = fairqueue.Limits{
	InFlight: 64, InFlightPerEndpoint: 8, Buffered: 4096, BufferedPerEndpoint: 128,
}

// pushFor queues n items for each of some endpoints of the organization.
func pushFor(q *queue, organization string, endpoints, n int) {
	for i := range endpoints {
		q.Push(items(int64(100*i), n, endpoint(organization, fmt.Sprint(organization, i))))
	}
}

func TestSlotsAreSharedByThreshold(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	pushFor(q, "first", 100, 5)
	first := len(all(q))
	assert.Equal(t, 38, first, "four times of what is then left of the general slots")
	pushFor(q, "second", 100, 5)
	second := len(all(q))
	assert.Equal(t, 8, second, "nearly all that was left")
	pushFor(q, "third", 100, 5)
	third := len(all(q))
	assert.Equal(t, 1, third, "one that has nothing yet still gets one")
	stats := q.Stats()
	assert.Equal(t, first+second+third, stats.GeneralSlotsUsed, "no endpoint has answered yet")
	assert.Zero(t, stats.FastSlotsUsed)

	fast := endpoint("fourth", "fast")
	known(q, 8, fast)
	q.Push(items(1, 1, fast))
	require.NotNil(t, q.Next())
	assert.Equal(t, 1, q.Stats().FastSlotsUsed, "those that hang take no fast slot")
}

func TestTheReserveIsForThoseThatHaveJustAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		answered := endpoint("second", "answered")
		known(q, 8, answered)
		answer := func() {
			q.Push(items(1, 1, answered))
			next := q.Next()
			require.Equal(t, fairqueue.Begun, q.TryBegin(next, fairqueue.Host{}, fairqueue.RateLimit{}))
			q.Finish(next, healthy)
		}
		fastSlots := func() int { return q.Stats().FastSlotsUsed }

		answer()
		for i := range 100 {
			known(q, 8, endpoint("first", fmt.Sprint("first", i)))
		}
		pushFor(q, "first", 100, 5)
		all(q)
		require.Equal(t, 12, fastSlots())
		q.Push(items(1, 1, answered))
		require.NotNil(t, q.Next())
		assert.Equal(t, 13, fastSlots(), "it has just answered")

		time.Sleep(time.Second + 1)
		q.Push(items(2, 1, answered))
		require.NotNil(t, q.Next())
		assert.Equal(t, 13, fastSlots(), "that was too long ago: it gets a general one")
	})
}

func TestAHostWithALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		host := fairqueue.Host{Name: "mail.example", MaxInFlight: 2}
		// Both organizations have endpoints that go there, as the queue has learnt by attempts.
		for _, organization := range []string{"first", "second"} {
			for i := range 3 {
				e := endpoint(organization, fmt.Sprint(organization, i))
				known(q, 8, e)
				q.Push(items(1, 1, e))
				next := q.Next()
				require.Equal(t, fairqueue.Begun, q.TryBegin(next, host, fairqueue.RateLimit{}))
				q.Finish(next, healthy)
			}
		}
		time.Sleep(2 * time.Hour) // after which the first one is alone
		pushFor(q, "first", 3, 2)
		inFlight := all(q)
		require.Len(t, inFlight, 2)
		pushFor(q, "second", 1, 2)
		require.Nil(t, q.Next())
		var order []string
		for len(inFlight) > 0 {
			done := inFlight[0]
			q.Finish(done, healthy)
			inFlight = append(inFlight[1:], all(q)...)
			if n := len(inFlight); n == 2 {
				order = append(order, inFlight[1].OrganizationID)
			}
		}
		assert.Equal(t, []string{"second", "first", "second", "first"}, order[:4],
			"organizations take turns, however many endpoints each has")
	})
}

// An organization whose attempts last for minutes does not keep another one, that sends something
// now and then, from a mail server. One on its own has all connections.
func TestAnOrganizationLeavesAConnectionToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		host := fairqueue.Host{Name: "mail.example", MaxInFlight: 4}
		crowd, victim := endpoint("crowd", "crowd"), endpoint("victim", "victim")
		learnHost := func(to fairqueue.Destination) {
			known(q, 8, to)
			q.Push(items(1, 1, to))
			q.Finish(begin(t, q, host), healthy)
		}
		held := func() (inFlight []*item) {
			for i := q.Next(); i != nil; i = q.Next() {
				require.Equal(t, fairqueue.Begun, q.TryBegin(i, host, noLimit))
				inFlight = append(inFlight, i)
			}
			return inFlight
		}
		finish := func(inFlight []*item) {
			for _, i := range inFlight {
				q.Finish(i, healthy)
			}
		}
		learnHost(crowd)
		q.Push(items(10, 30, crowd))
		alone := held()
		require.Len(t, alone, 4, "it is alone")
		q.Push(items(100, 1, victim))
		require.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), host, noLimit))
		finish(alone[:2])
		inFlight := held()
		require.Len(t, inFlight, 2)
		require.ElementsMatch(t, []string{"crowd", "victim"},
			[]string{inFlight[0].OrganizationID, inFlight[1].OrganizationID})
		finish(inFlight)
		finish(alone[2:])

		time.Sleep(30 * time.Minute)
		crowded := held()
		require.Len(t, crowded, 3)
		time.Sleep(10 * time.Minute)
		q.Push(items(101, 1, victim))
		inFlight = held()
		require.Len(t, inFlight, 1, "the last connection is there for it")
		finish(inFlight)
		require.Empty(t, held())
		finish(crowded)

		time.Sleep(time.Hour + 1)
		require.Len(t, held(), 4, "it is alone again")
	})
}

// TestAHostThatIsLeftStillCounts has attempts that hang at a host from which their endpoint has
// moved away since.
func TestAHostThatIsLeftStillCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		mail := fairqueue.Host{Name: "mail.example", MaxInFlight: 3}
		mover, other := endpoint("first", "mover"), endpoint("second", "other")
		known(q, 8, mover)
		known(q, 8, other)
		q.Push(items(1, 3, mover))
		var hanging []*item
		for range 2 {
			next := q.Next()
			require.Equal(t, fairqueue.Begun, q.TryBegin(next, mail, fairqueue.RateLimit{}))
			hanging = append(hanging, next)
		}
		elsewhere := q.Next()
		begun := q.TryBegin(elsewhere, fairqueue.Host{Name: "elsewhere.example"}, fairqueue.RateLimit{})
		require.Equal(t, fairqueue.Begun, begun)
		q.Finish(elsewhere, healthy)

		q.Push(items(10, 2, other))
		require.Equal(t, fairqueue.Begun, q.TryBegin(q.Next(), mail, fairqueue.RateLimit{}))
		require.Nil(t, q.Next(), "with the two of the other endpoint, three are under way there")
		for _, i := range hanging {
			q.Finish(i, healthy)
		}
		require.Equal(t, fairqueue.Begun, q.TryBegin(q.Next(), mail, fairqueue.RateLimit{}))
	})
}
