package fairqueue_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

var rateLimit = fairqueue.RateLimit{PerSecond: 1, Burst: 1}

// learn lets the queue learn of the rate limit of endpointA, as the first attempt does, and returns
// its request for permits.
func learn(t *testing.T, q *queue) fairqueue.PermitDemand {
	t.Helper()
	require.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), fairqueue.Host{}, rateLimit))
	require.Nil(t, q.Next(), "there is no permit")
	requests := q.TakePermitDemands(10)
	require.Len(t, requests, 1)
	return requests[0]
}

func TestAnEndpointWithoutAPermitTakesNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		known(q, 8, endpointA, endpointB)
		q.Push(items(1, 5, endpointA))
		r := learn(t, q)
		assert.Equal(t, fairqueue.PermitDemand{
			Endpoint: endpointA.Endpoint, Limit: rateLimit, Want: 5,
		}, r)
		assert.Empty(t, q.TakePermitDemands(10), "it asks once")
		stats := q.Stats()
		assert.Zero(t, stats.FastSlotsUsed+stats.GeneralSlotsUsed)
		assert.Equal(t, 1, stats.EndpointsWaitingForPermits)
		q.Push(items(10, 1, endpointB))
		other := q.Next()
		require.NotNil(t, other, "another endpoint has its turn")
		require.Equal(t, fairqueue.Begun, q.TryBegin(other, fairqueue.Host{}, fairqueue.RateLimit{}))

		q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Permits: 2,
			First: time.Now().Add(time.Second), Interval: time.Second, ValidFor: time.Second}})
		assert.Nil(t, q.Next(), "the time of the first permit has not come")
		time.Sleep(time.Second)
		synctest.Wait()
		first := q.Next()
		require.NotNil(t, first)
		assert.Equal(t, int64(1), first.ID, "it has kept its place")
		assert.Nil(t, q.Next(), "the permit is the first one's")
		require.Equal(t, fairqueue.Begun, q.TryBegin(first, fairqueue.Host{}, rateLimit))
		assert.Empty(t, q.TakePermitDemands(10), "there is one left")
		time.Sleep(2*time.Second + 1)
		synctest.Wait()
		assert.Nil(t, q.Next(), "it has lapsed")
		r = q.TakePermitDemands(10)[0]
		assert.Equal(t, 4, r.Want)
	})
}

func TestAnEndpointAsksAgainWhenItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		q.Push(items(1, 1, endpointA))
		learn(t, q)
		q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint,
			RequestAgainAt: time.Now().Add(time.Minute)}})
		assert.Empty(t, q.TakePermitDemands(10))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, q.TakePermitDemands(10), 1)
	})
}

func TestAThrottledEndpointLosesItsPermits(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	known(q, 8, endpointA)
	q.Push(items(1, 5, endpointA))
	learn(t, q)
	q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Permits: 5,
		First: time.Now(), ValidFor: time.Minute}})
	one := q.Next()
	require.Equal(t, fairqueue.Begun, q.TryBegin(one, fairqueue.Host{}, rateLimit))
	two := q.Next()
	q.Throttle(one, time.Minute)
	assert.Equal(t, fairqueue.PutBack, q.TryBegin(two, fairqueue.Host{}, rateLimit))
	assert.Nil(t, q.Next())
	r := q.TakePermitDemands(10)[0]
	assert.True(t, r.Throttled)
	assert.Equal(t, time.Minute, r.RetryAfter)
	q.Throttle(one, 0)
	q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Permits: 5,
		First: time.Now(), ValidFor: time.Minute}})
	assert.Nil(t, q.Next(), "that was granted before it was throttled again")
	assert.True(t, q.TakePermitDemands(10)[0].Throttled)
}

// An endpoint that was throttled says so until the answer is one: also if it has nothing to run.
func TestAThrottledEndpointSaysSoUntilItIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(slotLimits)
		known(q, 8, endpointA)
		q.Push(items(1, 1, endpointA))
		learn(t, q)
		q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Permits: 1,
			First: time.Now(), ValidFor: time.Minute}})
		one := q.Next()
		require.Equal(t, fairqueue.Begun, q.TryBegin(one, fairqueue.Host{}, rateLimit))
		q.Throttle(one, time.Minute)
		q.Finish(one, breaker.Observation{Health: breaker.Healthy})
		for range 3 {
			r := q.TakePermitDemands(10)
			require.Len(t, r, 1)
			assert.True(t, r[0].Throttled)
			assert.Equal(t, time.Minute, r[0].RetryAfter)
			q.SupplyPermits([]fairqueue.PermitSupply{{Endpoint: endpointA.Endpoint, Throttled: true,
				RetryAfter: time.Minute, RequestAgainAt: time.Now().Add(time.Second)}})
			assert.Empty(t, q.TakePermitDemands(10), "it waits until it may ask again")
			time.Sleep(time.Second)
			synctest.Wait()
		}
	})
}

func TestStopRejectsWhatHasNoPermit(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	q.Push(items(1, 3, endpointA))
	one := q.Next()
	assert.Len(t, q.Stop(), 2)
	assert.Equal(t, fairqueue.Rejected, q.TryBegin(one, fairqueue.Host{}, rateLimit))
	q.Finish(one, healthy)
}

// What cannot begin before long is left to other processes, and to the memory of others.
func TestAnEndpointWithALimitHasAShortQueue(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(slotLimits)
	known(q, 8, endpointA)
	q.Push(items(1, 1, endpointA))
	learn(t, q)
	n := 0
	for ; q.ReservePrefetch(endpointA); n++ {
		require.Less(t, n, 100)
	}
	assert.Equal(t, 10, n, "what can begin in ten seconds")
	assert.Contains(t, q.PlanClaim().SkipEndpoints, endpointA.Endpoint)
}

// An organization whose endpoints ask for permits by the thousand does not keep the request of
// another one waiting.
func TestOrganizationsTakeTurnsAtPermits(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(fairqueue.Limits{InFlight: 64, InFlightPerEndpoint: 8, Buffered: 4096,
		BufferedPerEndpoint: 128})
	ask := func(organization string, endpoints int) {
		for i := range endpoints {
			q.Push(items(1, 1, endpoint(organization, fmt.Sprint(organization, i))))
			require.Equal(t, fairqueue.PutBack, q.TryBegin(q.Next(), noHost, rateLimit))
			require.Nil(t, q.Next(), "there is no permit")
		}
	}
	ask("crowd", 50)
	ask("victim", 2)
	ask("third", 1)
	names := func(n int) (names []string) {
		for _, r := range q.TakePermitDemands(n) {
			names = append(names, r.Endpoint.SubscriptionID)
		}
		return names
	}
	assert.Equal(t, []string{"crowd0", "victim0"}, names(2))
	ask("late", 1)
	assert.Equal(t, []string{"third0", "crowd1", "victim1", "late0", "crowd2"}, names(5))
	assert.Len(t, names(100), 47)
	assert.Empty(t, names(100))
}
