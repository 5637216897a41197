package fairqueue_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

type (
	queue = fairqueue.Queue[string]
	item  = fairqueue.Item[string]
)

var (
	healthy   = breaker.Observation{Health: breaker.Healthy}
	unhealthy = breaker.Observation{Health: breaker.Unhealthy}
)

// newQueue makes a queue whose workers are the test itself. It counts those that would be started.
func newQueue(l fairqueue.Limits) (*queue, *int) {
	if l.BufferedBytes == 0 {
		l.BufferedBytes = 64 << 20
	}
	if l.ExpectedPayloadBytes == 0 {
		l.ExpectedPayloadBytes = 1 << 20
	}
	l.PerClaim = 512
	q := fairqueue.New[string](l)
	spawned := 0
	q.Start(func() { spawned++ })
	return q, &spawned
}

func endpoint(organization, subscription string) fairqueue.Destination {
	return fairqueue.Destination{
		OrganizationID: organization,
		Endpoint:       fairqueue.Endpoint{SubscriptionID: subscription, Channel: "webhook"},
	}
}

var endpointA, endpointB, endpointC = endpoint("", "a"), endpoint("", "b"), endpoint("", "c")

// wideBudget is that of a claim which found all that there was.
var wideBudget = fairqueue.ClaimBudget{Limit: 100, PerOrganization: 100, PerEndpoint: 100}

// known lets endpoints have as many attempts in flight as those that have been answering.
func known(q *queue, window int, endpoints ...fairqueue.Destination) {
	for _, e := range endpoints {
		q.SetRecord(e, fairqueue.BestScore, window)
	}
}

// claimSignalled reports whether a claim has been asked for since the last call.
func claimSignalled(q *queue) bool {
	select {
	case <-q.ClaimSignal():
		return true
	default:
		return false
	}
}

// sized are items with payloads of that size, which they do not share.
func sized(first int64, n, size int, to fairqueue.Destination) []*item {
	items := make([]*item, n)
	for i := range items {
		id := first + int64(i)
		items[i] = &item{
			ID: id, Destination: to, PayloadSize: &fairqueue.PayloadSize{Bytes: size},
			Value: strconv.FormatInt(id, 10),
		}
	}
	return items
}

func items(first int64, n int, to fairqueue.Destination) []*item { return sized(first, n, 0, to) }

func retries(first int64, n int, to fairqueue.Destination) []*item {
	list := items(first, n, to)
	for _, i := range list {
		i.Retry = true
	}
	return list
}

// all takes what can be in flight now.
func all(q *queue) (taken []*item) {
	for i := q.Next(); i != nil; i = q.Next() {
		taken = append(taken, i)
	}
	return taken
}

func ids(list []*item) []int64 {
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

func TestEndpointsAreServedInTurn(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 100, InFlightPerEndpoint: 100, Buffered: 1000,
		BufferedPerEndpoint: 1000})
	known(q, 100, endpointA, endpointB, endpointC)
	q.Push(items(1, 100, endpointA))
	q.Push(items(201, 2, endpointB))
	q.Push(items(301, 1, endpointC))
	var order []string
	for range 6 {
		order = append(order, q.Next().Endpoint.SubscriptionID)
	}
	assert.Equal(t, []string{"a", "b", "c", "a", "b", "a"}, order)
}

func TestAttemptsOfAnEndpointAreLimited(t *testing.T) {
	t.Parallel()
	q, spawned := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 1000,
		BufferedPerEndpoint: 1000})
	q.Push(items(1, 5, endpointA))
	q.Push(items(11, 5, endpointB))
	taken := []*item{q.Next(), q.Next(), q.Next(), q.Next()}
	assert.Equal(t, []int64{1, 11, 2, 12}, ids(taken))
	assert.Nil(t, q.Next(), "both endpoints are at their limit")
	assert.GreaterOrEqual(t, *spawned, 4)
	q.Finish(taken[1], healthy)
	assert.EqualValues(t, 13, q.Next().ID)
}

func TestPrefetchIsBounded(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 16,
		BufferedPerEndpoint: 3})
	known(q, 2, endpointA)
	b, c := endpoint("b", "b"), endpoint("c", "c")
	for range 3 {
		require.True(t, q.ReservePrefetch(endpointA))
	}
	assert.False(t, q.ReservePrefetch(endpointA), "the endpoint's queue is full")
	for i := range 13 {
		organization := fmt.Sprint("org", i)
		require.True(t, q.ReservePrefetch(endpoint(organization, organization)))
	}
	assert.False(t, q.ReservePrefetch(c), "all queues together are full")
	q.ReleasePrefetch([]fairqueue.Destination{endpointA})
	assert.True(t, q.ReservePrefetch(c))

	assert.False(t, q.ReservePrefetch(b))
	q.ReleasePrefetch([]fairqueue.Destination{endpointA, c})
	q.MarkBacklog([]fairqueue.Destination{b})
	assert.False(t, q.ReservePrefetch(b), "what is in the store goes first")
	q.PlanClaim()
	q.RecordClaim(nil, wideBudget)
	assert.True(t, q.ReservePrefetch(b), "the store had nothing more")
}

// While a claim is under way, what it may bring has its room. A claim that failed brings nothing.
func TestAClaimThatFailedLeavesItsRoom(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 16,
		BufferedPerEndpoint: 16})
	other := endpoint("other", "b")
	require.Equal(t, 8, q.PlanClaim().Limit)
	q.Push(items(1, 8, endpointA))
	assert.False(t, q.ReservePrefetch(other), "the rest is for the claim")
	q.AbandonClaim()
	assert.True(t, q.ReservePrefetch(other))
}

// An organization has a share of the buffer, and in it those of its endpoints that answer at once,
// those that are new and those that are slow.
func TestTheBufferIsShared(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 4096,
		BufferedPerEndpoint: 128})
	fill := func(organization, kind string, score int) (reserved int) {
		for i := range 10_000 {
			e := endpoint(organization, fmt.Sprint(organization, kind, i/4))
			q.SetRecord(e, score, 16)
			if q.ReservePrefetch(e) {
				reserved++
			}
		}
		return reserved
	}
	const fastScore, slowScore = fairqueue.SlowPenalty, -fairqueue.SlowPenalty
	slow, fresh, fast := fill("a", "slow", slowScore), fill("a", "new", 0),
		fill("a", "fast", fastScore)
	assert.InDelta(t, 4096/4, slow, 4096/16,
		"slow ones: an eighth, and another for those with nothing")
	assert.InDelta(t, 4096/4, fresh, 4096/16)
	assert.Greater(t, fast, 4096/8)
	assert.Less(t, q.Stats().Buffered, 4096*7/8, "some is free for others")
	assert.Positive(t, q.PlanClaim().Limit, "and for what they have in the store")
	for _, organization := range []string{"b", "c", "d"} {
		assert.Greater(t, fill(organization, "new", 0), 4)
	}
}

func TestADeadEndpointIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000,
			BufferedPerEndpoint: 1000})
		q.Push(items(1, 50, endpointA))
		known(q, 4, endpointA)
		var unstarted []string
		for range breaker.FailureThreshold {
			require.Empty(t, unstarted)
			unstarted = q.Finish(q.Next(), unhealthy).Requeue
		}
		assert.Len(t, unstarted, 50-breaker.FailureThreshold, "the rest is requeued")
		assert.False(t, q.ReservePrefetch(endpointA))
		assert.Equal(t, []fairqueue.Endpoint{endpointA.Endpoint}, q.PlanClaim().SkipEndpoints)

		time.Sleep(breaker.FirstBackoff)
		q.PlanClaim()
		q.RecordClaim(nil, wideBudget)
		q.Push(items(101, 5, endpointA))
		probe := q.Next()
		require.NotNil(t, probe)
		assert.Nil(t, q.Next(), "one at a time until one is answered")
		q.Finish(probe, healthy)
		assert.NotNil(t, q.Next())
		assert.NotNil(t, q.Next())
	})
}

func TestWhatCameWhileTheBreakerWasOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000,
			BufferedPerEndpoint: 1000})
		q.Push(items(1, 1, endpointA))
		require.True(t, q.ReservePrefetch(endpointA)) // an emit is being committed
		q.Finish(q.Next(), breaker.Observation{Health: breaker.Unhealthy, RetryAfter: 30 * time.Second})
		q.ReleasePrefetch([]fairqueue.Destination{endpointA})
		q.Push(items(2, 1, endpointA))
		assert.Nil(t, q.Next(), "the endpoint asked for 30 s")
		time.Sleep(30 * time.Second)
		q.RescheduleAll()
		assert.EqualValues(t, 2, q.Next().ID)
	})
}

// What is pushed for an endpoint that has asked for an hour does not wait here: it is no longer this
// process's alone, and has no part of the buffer.
func TestWhatCameWhileTheBreakerWasOpenIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000,
			BufferedPerEndpoint: 1000})
		q.Push(items(1, 2, endpointA))
		known(q, 2, endpointA)
		first, second := q.Next(), q.Next()
		require.Equal(t, fairqueue.Begun, q.TryBegin(second, fairqueue.Host{}, fairqueue.RateLimit{}))
		plan := q.PlanClaim()
		q.Finish(first, breaker.Observation{Health: breaker.Unhealthy, RetryAfter: time.Hour})
		q.RecordClaim(items(3, 2, endpointA), plan)
		q.Push(items(3, 2, endpointA))
		q.Push(items(5, 1, endpointB))
		require.Equal(t, []string{"3", "4"}, q.RescheduleAll())
		assert.Equal(t, 1, q.Stats().Buffered)
		assert.Empty(t, q.RescheduleAll())
		assert.Contains(t, q.PlanClaim().SkipEndpoints, endpointA.Endpoint)
		assert.EqualValues(t, 5, q.Next().ID)
		time.Sleep(time.Hour)
		assert.False(t, q.ReservePrefetch(endpointA), "a later delivery does not overtake them")
		assert.NotContains(t, q.PlanClaim().SkipEndpoints, endpointA.Endpoint)
	})
}

func TestIdleEndpointsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000,
			BufferedPerEndpoint: 1000})
		for i, h := range []breaker.Observation{healthy, unhealthy, {}} {
			q.Push(items(int64(i+1), 1, endpointA))
			q.Finish(q.Next(), h)
			q.Next() // empties the run queue
		}
		assert.Equal(t, 1, q.Stats().KnownEndpoints, "its failure is remembered")
		time.Sleep(fairqueue.IdleTTL + time.Second)
		q.RescheduleAll()
		assert.Equal(t, fairqueue.Stats{}, q.Stats())
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000,
		BufferedPerEndpoint: 1000})
	q.Push(items(1, 3, endpointA))
	q.Next()
	assert.Equal(t, []string{"2", "3"}, q.Stop())
	assert.False(t, q.ReservePrefetch(endpointB))
	assert.Equal(t, []string{"4", "5"}, q.Push(items(4, 2, endpointA)), "too late")
	assert.Zero(t, q.PlanClaim().Limit)
}

func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	limits := fairqueue.Limits{
		InFlight: 10, InFlightPerEndpoint: 4, Buffered: 1000, BufferedPerEndpoint: 1000,
		BufferedBytes:        1000,
		ExpectedPayloadBytes: 10,
	}
	t.Run("prefetch", func(t *testing.T) {
		t.Parallel()
		q, _ := newQueue(limits)
		b, c := endpoint("b", "b"), endpoint("c", "c")
		q.Push(sized(1, 8, 100, endpointA))
		assert.False(t, q.ReservePrefetch(endpointA), "four times of what is free")
		assert.True(t, q.ReservePrefetch(b))
		q.Push(sized(101, 2, 100, b))
		assert.False(t, q.ReservePrefetch(c), "nothing is free")
		require.NotNil(t, q.Next())
		assert.True(t, q.ReservePrefetch(c), "something is free")
	})
	t.Run("claims", func(t *testing.T) {
		t.Parallel()
		limits := limits
		limits.ExpectedPayloadBytes = 40
		q, _ := newQueue(limits)
		b := q.PlanClaim()
		assert.Equal(t, []int{25, 25}, []int{b.Limit, b.PerEndpoint}, "of forty bytes each")

		claimed := sized(1, 8, 100, endpointA)
		q.PlanClaim()
		q.RecordClaim(claimed, wideBudget)
		q.Push(claimed)
		b = q.PlanClaim()
		assert.Equal(t, 2, b.Limit, "of a hundred bytes each, as the last ones were")
		assert.Equal(t, []string{""}, b.SkipOrganizations, "it has its share")

		q.Push(sized(101, 2, 100, endpointB))
		assert.Zero(t, q.PlanClaim().Limit)
		for range 4 {
			require.NotNil(t, q.Next())
		}
		assert.NotEmpty(t, q.ClaimSignal(), "a claim has waited for this")
	})
	t.Run("one payload for many", func(t *testing.T) {
		t.Parallel()
		q, _ := newQueue(limits)
		// Two events for three endpoints, of which the first is removed.
		for event := range int64(2) {
			payload := &fairqueue.PayloadSize{Bytes: 100}
			for i, e := range []fairqueue.Destination{endpointA, endpointB, endpointC} {
				delivery := items(1+3*event+int64(i), 1, e)
				delivery[0].PayloadSize = payload
				q.Push(delivery)
			}
		}
		assert.Equal(t, 200, q.Stats().BufferedBytes, "each payload is in memory once")
		assert.Len(t, q.ResetSubscription(endpointA.Endpoint.SubscriptionID), 2)
		assert.Equal(t, 200, q.Stats().BufferedBytes, "it stays there for the others")
		assert.Equal(t, 200, q.BufferedBytes(endpointB))
		require.Equal(t, endpointB, q.Next().Destination)
		assert.Equal(t, 200, q.Stats().BufferedBytes)
		require.Equal(t, endpointC, q.Next().Destination)
		assert.Equal(t, 100, q.Stats().BufferedBytes, "until it has left all queues")
		assert.Len(t, q.Stop(), 2)
		assert.Zero(t, q.Stats().BufferedBytes)
		assert.Zero(t, q.Stats().Buffered)
	})
	t.Run("expected size", func(t *testing.T) {
		t.Parallel()
		q, _ := newQueue(limits)
		q.PlanClaim()
		q.RecordClaim(sized(1, 2, 500, endpointA), wideBudget)
		assert.Equal(t, 2, q.PlanClaim().Limit, "larger ones are believed at once: 500 bytes")
		q.PlanClaim()
		q.RecordClaim(nil, wideBudget)
		assert.Equal(t, 2, q.PlanClaim().Limit)
		q.PlanClaim()
		q.RecordClaim(sized(11, 2, 10, endpointA), wideBudget)
		assert.Equal(t, 4, q.PlanClaim().Limit, "smaller ones little by little: 250 bytes")
	})
}

func TestWhatWasNeverAttemptedGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 100, InFlightPerEndpoint: 8, Buffered: 1000,
			BufferedPerEndpoint: 1000})
		known(q, 8, endpointA)
		q.Push(retries(1, 20, endpointA))
		q.Push(items(101, 20, endpointA))
		taken := all(q)
		assert.Equal(t, []int64{101, 102, 103, 1, 104, 105, 106, 2}, ids(taken),
			"but those that failed have their turns too")

		slices.Reverse(taken)
		for i, failed := range taken { // the first eight fail: the endpoint backs off
			unstarted := q.Finish(failed, unhealthy).Requeue
			if i == len(taken)-1 {
				assert.Len(t, unstarted, 32)
			}
		}
		time.Sleep(breaker.FirstBackoff)
		q.PlanClaim()
		q.RecordClaim(nil, wideBudget)
		q.Push(retries(201, 20, endpointA))
		probe := q.Next()
		assert.EqualValues(t, 201, probe.ID, "nothing else waits")
		q.Push(items(301, 20, endpointA))
		beside := q.Next()
		assert.EqualValues(t, 301, beside.ID, "what was never attempted need not wait for it to fail")
		assert.Nil(t, q.Next(), "one at a time")
		finished := q.Finish(probe, unhealthy)
		assert.Len(t, finished.Requeue, 19, "those that failed are requeued")
		assert.Equal(t, time.Now().Add(2*breaker.FirstBackoff), finished.RetriesNotBefore)
		q.Finish(beside, healthy)
		assert.EqualValues(t, 302, q.Next().ID)
	})
}

// An attempt that waits in this process does not get slow by that, and what it does before and
// after counts.
func TestLocalWaitsDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 16, InFlightPerEndpoint: 4, Buffered: 100,
			BufferedPerEndpoint: 100})
		known(q, 4, endpointA, endpointB)
		begin := func(id int64, to fairqueue.Destination) *item {
			q.Push(items(id, 1, to))
			i := q.Next()
			require.NotNil(t, i)
			require.Equal(t, fairqueue.Begun, q.TryBegin(i, fairqueue.Host{}, fairqueue.RateLimit{}))
			return i
		}
		slots := func() [2]int {
			synctest.Wait()
			stats := q.Stats()
			return [2]int{stats.FastSlotsUsed, stats.GeneralSlotsUsed}
		}
		waiting := begin(1, endpointA)
		time.Sleep(200 * time.Millisecond)
		other := begin(2, endpointB)
		require.Equal(t, [2]int{2, 0}, slots())
		q.PauseStopwatch(waiting)
		q.PauseStopwatch(waiting) // two renders of one attempt
		time.Sleep(time.Second)
		assert.Equal(t, [2]int{1, 1}, slots(), "the other one is slow")
		assert.Negative(t, q.Score(endpointB)-q.Score(endpointA))
		q.ResumeStopwatch(waiting)
		time.Sleep(time.Second)
		q.ResumeStopwatch(waiting)
		assert.Equal(t, 2*time.Second, q.PausedFor(waiting))
		time.Sleep(99 * time.Millisecond)
		assert.Equal(t, [2]int{1, 1}, slots())
		later := begin(3, endpointA)
		time.Sleep(2 * time.Millisecond)
		assert.Equal(t, [2]int{1, 2}, slots(), "200 ms and 101 ms")

		q.PauseStopwatch(later)
		score := q.Score(endpointA)
		q.Finish(later, breaker.Observation{})
		assert.Equal(t, score, q.Score(endpointA), "one that never came to render says nothing")
		q.ResumeStopwatch(later)
		q.Finish(waiting, healthy)
		q.Finish(other, healthy)
		assert.Equal(t, [2]int{0, 0}, slots())
		begin(4, endpointA) // the clock of a new attempt is not affected by the old ones
		time.Sleep(299 * time.Millisecond)
		assert.Equal(t, [2]int{1, 0}, slots())
		time.Sleep(time.Millisecond)
		assert.Equal(t, [2]int{0, 1}, slots())
	})
}

// What waits for a slot of a host does not wait for ever if its endpoint moves to another host.
func TestAnEndpointMovesWhileItWaitsForItsHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 16, InFlightPerEndpoint: 4, Buffered: 100,
			BufferedPerEndpoint: 100})
		known(q, 4, endpointA, endpointB)
		old := fairqueue.Host{Name: "old.example", MaxInFlight: 1}
		for i, e := range []fairqueue.Destination{endpointA, endpointB} {
			q.Push(items(int64(i+1), 1, e))
			first := q.Next()
			require.Equal(t, fairqueue.Begun, q.TryBegin(first, old, fairqueue.RateLimit{}))
			q.Finish(first, healthy)
		}
		q.Push(items(11, 2, endpointA))
		moved := q.Next()
		q.Push(items(21, 1, endpointB))
		require.Nil(t, q.Next(), "the host has one slot")

		moves := q.TryBegin(moved, fairqueue.Host{Name: "new.example"}, fairqueue.RateLimit{})
		require.Equal(t, fairqueue.Begun, moves)
		assert.ElementsMatch(t, []int64{12, 21}, ids(all(q)),
			"one moves too, and one gets the slot that is left")
	})
}

// A claim brings deliveries of endpoints that the queue does not know, and so cannot leave out.
// They do not take the room of those that are known to answer at once.
func TestClaimsOfUnknownEndpointsLeaveRoomForFastOnes(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 21, InFlightPerEndpoint: 16, Buffered: 168,
		BufferedPerEndpoint: 64})
	known(q, 2, endpointA)
	claims, id := 0, int64(100)
	for ; claims < 50; claims++ {
		b := q.PlanClaim()
		if b.Limit == 0 || slices.Contains(b.SkipOrganizations, endpointA.OrganizationID) {
			break
		}
		var claimed []*item
		for range b.PerOrganization {
			stranger := endpointA
			stranger.Endpoint.SubscriptionID = fmt.Sprint("stranger-", id)
			claimed = append(claimed, items(id, 1, stranger)...)
			id++
		}
		q.RecordClaim(claimed, b)
		q.Push(claimed)
	}
	assert.Less(t, claims, 50, "at last the organization is skipped")
	assert.Positive(t, claims)
	for range 16 {
		require.True(t, q.ReservePrefetch(endpointA), "a delivery to the fast endpoint is prefetched")
	}
}

// What is stored while a claim is under way may be too late for it. Another claim is asked for, and
// deliveries are prefetched meanwhile.
func TestABacklogSinceThePlanIsClaimed(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 16,
		BufferedPerEndpoint: 1})
	a := []fairqueue.Destination{endpointA}
	require.True(t, q.ReservePrefetch(endpointA))
	require.False(t, q.ReservePrefetch(endpointA), "the endpoint's queue is full")
	q.ReleasePrefetch(a)
	q.MarkBacklog(a)

	plan := q.PlanClaim()
	q.MarkBacklog(a)
	claimSignalled(q)
	assert.False(t, q.ReservePrefetch(endpointA), "no claim has taken what is in the store")
	q.RecordClaim(nil, plan)
	assert.True(t, claimSignalled(q), "the claim may have come before it")
	assert.True(t, q.ReservePrefetch(endpointA), "the claim took all that there was before")

	plan = q.PlanClaim()
	q.RecordClaim(nil, plan)
	assert.False(t, claimSignalled(q), "nothing was stored since the plan")
	assert.False(t, q.ReservePrefetch(endpointA), "the plan left the endpoint out, because it is full")
}

// A claim that found no capacity is asked for again by whatever frees some, not just by items that
// are taken.
func TestCapacityThatIsFreedIsClaimed(t *testing.T) {
	t.Parallel()
	limits := fairqueue.Limits{InFlight: 20, InFlightPerEndpoint: 8, Buffered: 24,
		BufferedPerEndpoint: 24}
	full := func(t *testing.T) (*queue, []*item) {
		q, _ := newQueue(limits)
		known(q, 8, endpointA)
		q.Push(items(1, 8, endpointA))
		inFlight := all(q)
		require.Len(t, inFlight, 8)
		q.Push(items(9, 24, endpointA))
		claimSignalled(q)
		require.Zero(t, q.PlanClaim().Limit)
		require.False(t, claimSignalled(q))
		return q, inFlight
	}
	t.Run("the breaker opens", func(t *testing.T) {
		t.Parallel()
		q, inFlight := full(t)
		requeued := 0
		for _, failed := range inFlight {
			requeued += len(q.Finish(failed, unhealthy).Requeue)
		}
		require.Equal(t, 24, requeued)
		assert.True(t, claimSignalled(q))
	})
	t.Run("the endpoint is reset", func(t *testing.T) {
		t.Parallel()
		q, _ := full(t)
		require.Len(t, q.ResetEndpoint(endpointA.Endpoint), 24)
		assert.True(t, claimSignalled(q))
	})
	t.Run("its subscription is reset", func(t *testing.T) {
		t.Parallel()
		q, _ := full(t)
		require.Len(t, q.ResetSubscription(endpointA.Endpoint.SubscriptionID), 24)
		assert.True(t, claimSignalled(q))
	})
	t.Run("a prefetch is cancelled", func(t *testing.T) {
		t.Parallel()
		q, _ := newQueue(limits)
		a := q.BeginAdmission()
		for i := 0; a.ReservePrefetch(endpoint(strconv.Itoa(i), strconv.Itoa(i))); i++ {
		}
		require.Zero(t, q.PlanClaim().Limit)
		claimSignalled(q)
		a.Cancel()
		assert.True(t, claimSignalled(q))
	})
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		q, _ := full(t)
		for range 2 {
			q.ResetEndpoint(endpointA.Endpoint)
			claimSignalled(q)
		}
		assert.False(t, claimSignalled(q))
	})
}
