package fairqueue_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// The tests of this file have something wait in the queue, make what it waits for come, and want it
// to go on then, without a poll.

var (
	noHost  = fairqueue.Host{}
	noLimit = fairqueue.RateLimit{}
)

// begin takes the next item and begins its attempt.
func begin(t testing.TB, q *queue, to fairqueue.Host) *item {
	t.Helper()
	next := q.Next()
	require.NotNil(t, next)
	require.Equal(t, fairqueue.Begun, q.TryBegin(next, to, noLimit))
	return next
}

// An organization whose attempts are slow, and end one after the other, does not take the slot of
// each of them again before others that wait for one.
func TestAFreedSlotGoesToWhoWaitsLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 4, InFlightPerEndpoint: 4, Buffered: 200,
			BufferedPerEndpoint: 100})
		for i, name := range []string{"a", "b", "c"} {
			q.Push(items(int64(100*i), 20, endpoint(name, name)))
		}
		q.Push(items(1000, 1, endpoint("d", "d")))
		inFlight := []*item{begin(t, q, noHost), begin(t, q, noHost), begin(t, q, noHost)}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Nil(t, q.Next(), "slow ones have all general slots")
		for n := 1; ; n++ {
			require.Less(t, n, 4, "the one that waits must have its turn")
			q.Finish(inFlight[0], healthy)
			next := begin(t, q, noHost)
			if next.OrganizationID == "d" {
				return
			}
			inFlight = append(inFlight[1:], next)
			time.Sleep(time.Second)
			synctest.Wait()
		}
	})
}

// An item that turns out to go to a host that is full leaves its slot to another organization.
func TestASlotThatAFullHostLeavesIsUsed(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 4, InFlightPerEndpoint: 4, Buffered: 100,
		BufferedPerEndpoint: 100})
	full := fairqueue.Host{Name: "full.example", MaxInFlight: 1}
	q.Push(items(1, 1, endpointA))
	begin(t, q, full)
	q.Push(items(2, 1, endpointB))
	q.Push(items(3, 1, endpoint("c", "c")))
	second, third := q.Next(), q.Next()
	require.NotNil(t, second)
	require.NotNil(t, third)
	q.Push(items(4, 1, endpoint("d", "d")))
	require.Nil(t, q.Next(), "all general slots are taken")

	require.Equal(t, int64(2), second.ID)
	require.Equal(t, fairqueue.PutBack, q.TryBegin(second, full, noLimit))
	next := q.Next()
	require.NotNil(t, next)
	assert.Equal(t, int64(4), next.ID)
}

// A claim that skips an endpoint because its organization has its share is made up for when
// half of that is gone.
func TestABacklogWhoseOrganizationHasItsShareIsClaimedOnceItHasNot(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 64, InFlightPerEndpoint: 64, Buffered: 64,
		BufferedPerEndpoint: 64})
	var last fairqueue.Destination
	var reserved []fairqueue.Destination
	for i := 0; ; i++ {
		last = endpoint("", strconv.Itoa(i))
		if !q.ReservePrefetch(last) {
			break
		}
		reserved = append(reserved, last)
	}
	require.Greater(t, len(reserved), 8)
	q.ReleasePrefetch(reserved)
	for i, to := range reserved {
		q.Push(items(int64(i), 1, to))
	}
	q.MarkBacklog([]fairqueue.Destination{last})
	plan := q.PlanClaim()
	require.Contains(t, plan.SkipEndpoints, last.Endpoint)
	q.RecordClaim(nil, plan)
	claimSignalled(q)

	half := len(reserved) / 2
	for range half - 1 {
		require.NotNil(t, q.Next())
	}
	assert.False(t, claimSignalled(q), "not yet: claims have a cost")
	for range len(reserved) - half + 1 {
		require.NotNil(t, q.Next())
	}
	assert.True(t, claimSignalled(q))
}

// What a breaker has put back during a claim was perhaps too late for it.
func TestABacklogThatABreakerMakesDuringAClaimIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 1, Buffered: 16,
			BufferedPerEndpoint: 8})
		known(q, 1, endpointA)
		q.Push(items(1, 2, endpointA))
		first := begin(t, q, noHost)
		plan := q.PlanClaim()
		require.Empty(t, plan.SkipEndpoints)
		observed := unhealthy
		observed.RetryAfter = time.Second
		require.Equal(t, []string{"2"}, q.Finish(first, observed).Requeue)
		claimSignalled(q)
		q.RecordClaim(nil, plan)
		assert.False(t, claimSignalled(q), "the next claim skips it")
		require.Contains(t, q.PlanClaim().SkipEndpoints, endpointA.Endpoint)
		time.Sleep(2 * time.Second)
		assert.False(t, q.ReservePrefetch(endpointA), "a later delivery does not overtake it")
	})
}

// Endpoints that have asked for time, of which the store has nothing that is due, are in no plan,
// so that any number of them costs a claim nothing. One that gets something meanwhile is.
func TestEndpointsThatOnlyBackOffAreNotNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 64,
			BufferedPerEndpoint: 8})
		observed := breaker.Observation{Health: breaker.Unhealthy, RetryAfter: time.Hour}
		many := make([]fairqueue.Destination, 100)
		for i := range many {
			many[i] = endpoint("crowd", strconv.Itoa(i))
			q.Push(items(int64(i), 1, many[i]))
			require.Empty(t, q.Finish(begin(t, q, noHost), observed).Requeue)
		}
		skipped := func() []fairqueue.Endpoint {
			plan := q.PlanClaim()
			q.RecordClaim(nil, plan)
			return plan.SkipEndpoints
		}
		require.Empty(t, skipped())
		assert.Zero(t, q.ActiveEndpoints(), "no plan walks over them")

		// This process stores something for the second, and another one for the third.
		require.False(t, q.ReservePrefetch(many[1]))
		q.MarkBacklog(many[1:2])
		plan := q.PlanClaim()
		require.Equal(t, []fairqueue.Endpoint{many[1].Endpoint}, plan.SkipEndpoints)
		q.RecordClaim(items(200, 1, many[2]), plan)
		q.Push(items(200, 1, many[2]))
		require.Nil(t, q.Next())
		require.Equal(t, []string{"200"}, q.RescheduleAll())
		for range 2 { // a claim that skips them says nothing about them
			require.ElementsMatch(t, []fairqueue.Endpoint{many[1].Endpoint, many[2].Endpoint}, skipped())
		}
		// The fourth was not attempted: its delivery is due for any process.
		q.Push(items(300, 1, endpointB))
		q.Finish(q.Next(), observed)
		require.Contains(t, skipped(), endpointB.Endpoint)

		q.ResetEndpoint(many[1].Endpoint)
		require.NotContains(t, skipped(), many[1].Endpoint, "its breaker was reset")
		time.Sleep(time.Hour)
		require.Empty(t, q.PlanClaim().SkipEndpoints)
		assert.False(t, q.ReservePrefetch(many[2]), "a later delivery does not overtake the one before")
		assert.True(t, q.ReservePrefetch(many[3]))
	})
}

// A rate limit that is raised, or removed, holds up nothing that waited for permits of the old one.
func TestAChangedRateLimitIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	anHour := func() []fairqueue.PermitSupply {
		return []fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint,
			RequestAgainAt: time.Now().Add(time.Hour)}}
	}
	raised := fairqueue.RateLimit{PerSecond: 100, Burst: 100}
	t.Run("after an answer that there is none for an hour", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q, _ := newQueue(slotLimits)
			q.Push(items(1, 1, endpointA))
			learn(t, q)
			q.SupplyPermits(anHour())
			require.Len(t, q.ResetEndpoint(endpointA.Endpoint), 1)
			q.Push(items(1, 1, endpointA))
			require.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), noHost, raised))
			require.Nil(t, q.Next())
			requests := q.TakePermitDemands(10)
			require.Len(t, requests, 1)
			assert.Equal(t, raised, requests[0].Limit)
		})
	})
	t.Run("while the request is under way", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q, _ := newQueue(slotLimits)
			q.Push(items(1, 1, endpointA))
			learn(t, q)
			require.Len(t, q.ResetEndpoint(endpointA.Endpoint), 1)
			q.Push(items(1, 1, endpointA))
			require.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), noHost, raised))
			require.Nil(t, q.Next())
			q.SupplyPermits(anHour())
			requests := q.TakePermitDemands(10)
			require.Len(t, requests, 1)
			assert.Equal(t, raised, requests[0].Limit)
		})
	})
	t.Run("removed", func(t *testing.T) {
		t.Parallel()
		q, _ := newQueue(slotLimits)
		known(q, 8, endpointA)
		q.Push(items(1, 3, endpointA))
		learn(t, q)
		q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Permits: 1,
			First: time.Now(), ValidFor: time.Minute}})
		first := q.Next()
		require.NotNil(t, first)
		require.Nil(t, q.Next(), "it has the only permit")
		require.Equal(t, fairqueue.Begun, q.TryBegin(first, noHost, noLimit))
		assert.Len(t, all(q), 2)
	})
}

// A subscription that is moved from a host that hangs does not wait for that one any more.
func TestAResetEndpointLeavesItsHost(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	known(q, 8, endpointA, endpointB)
	hangs := fairqueue.Host{Name: "hangs.example", MaxInFlight: 1}
	q.Push(items(1, 1, endpointA))
	q.Finish(begin(t, q, hangs), healthy)
	q.Push(items(2, 1, endpointB))
	begin(t, q, hangs)
	q.Push(items(3, 1, endpointA))
	require.Nil(t, q.Next(), "the host has one slot")

	require.Equal(t, []string{"3"}, q.ResetSubscription(endpointA.Endpoint.SubscriptionID))
	q.Push(items(3, 1, endpointA))
	assert.NotNil(t, q.Next())
}

// Endpoints that have nothing to run any more take none of the wake-ups of those that have.
func TestWaitersWithNothingToRunHoldUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, waitersWithNothingToRun) // no attempt gets slow meanwhile
}

func waitersWithNothingToRun(t *testing.T) {
	q, _ := newQueue(slotLimits)
	host := fairqueue.Host{Name: "one.example", MaxInFlight: 1}
	var waiters []fairqueue.Destination
	for i := range 9 {
		e := endpoint("", strconv.Itoa(i))
		known(q, 8, e)
		q.Push(items(int64(i), 1, e))
		q.Finish(begin(t, q, host), healthy)
		waiters = append(waiters, e)
	}
	q.Push(items(1, 1, waiters[0]))
	inFlight := begin(t, q, host)
	for _, e := range waiters[1:] {
		q.Push(items(2, 1, e))
		require.Nil(t, q.Next())
	}
	for _, e := range waiters[1:8] {
		require.Len(t, q.RemoveQueued(e), 1)
	}
	q.Finish(inFlight, healthy)
	next := q.Next()
	require.NotNil(t, next)
	assert.Equal(t, waiters[8], next.Destination)
}

// An attempt that gets slow keeps being counted at its host, also if no endpoint goes there now.
func TestASlowAttemptCountsAtTheHostThatItsEndpointHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		known(q, 8, endpointA, endpointB)
		left := fairqueue.Host{Name: "left.example", MaxInFlight: 1}
		q.Push(items(1, 2, endpointA))
		first, second := q.Next(), q.Next()
		require.Equal(t, fairqueue.Begun, q.TryBegin(first, left, noLimit))
		require.Equal(t, fairqueue.Begun, q.TryBegin(second, fairqueue.Host{Name: "new.example"}, noLimit))
		time.Sleep(time.Second)
		synctest.Wait()

		q.Push(items(3, 1, endpointB))
		assert.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), left, noLimit))
	})
}

// The retries that an endpoint has queued keep none of its fresh deliveries out of a claim.
func TestQueuedRetriesKeepNoFreshOnesOut(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 8, InFlightPerEndpoint: 2, Buffered: 64,
		BufferedPerEndpoint: 64})
	q.Push(items(1, 1, endpoint("b", "b")))
	q.Push(items(2, 1, endpoint("c", "c")))
	q.Push(retries(3, 1, endpointA))
	plan := q.PlanClaim()
	require.Positive(t, plan.Limit)
	assert.NotContains(t, plan.SkipEndpoints, endpointA.Endpoint)
}

// What is somewhere in the store is still there if the claim that was planned for it has failed.
func TestABacklogSomewhereOutlivesAFailedClaim(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 10, InFlightPerEndpoint: 2, Buffered: 16,
		BufferedPerEndpoint: 1})
	q.MarkBacklogSomewhere()
	require.Positive(t, q.PlanClaim().Limit)
	q.AbandonClaim()
	q.Push(items(1, 1, endpointA))
	plan := q.PlanClaim()
	require.Contains(t, plan.SkipEndpoints, endpointA.Endpoint, "its queue is full")
	q.RecordClaim(nil, plan)
	claimSignalled(q)
	require.NotNil(t, q.Next())
	assert.True(t, claimSignalled(q))
	assert.False(t, q.ReservePrefetch(endpointA))
}

// A goroutine that a channel has left running cannot disturb the next attempt of the delivery.
func TestAPauseBeforeTheAttemptIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		known(q, 8, endpointA, endpointB)
		q.Push(items(1, 1, endpointA))
		begin(t, q, noHost)
		q.Push(items(2, 1, endpointB))
		waits := q.Next()
		q.PauseStopwatch(waits)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 1, q.Stats().GeneralSlotsUsed, "the other attempt has become slow")
	})
}

// An Admission can be cancelled in a defer.
func TestAnAdmissionEndsOnce(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	a := q.BeginAdmission()
	require.True(t, a.ReservePrefetch(endpointA))
	a.Push(items(1, 1, endpointA))
	a.Cancel()
	require.NotNil(t, q.Next())
	assert.True(t, q.BufferEmpty())
	assert.Zero(t, q.Stats().Buffered)
}
