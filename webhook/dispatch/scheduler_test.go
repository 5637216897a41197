package dispatch

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testScheduler is a scheduler whose workers are the test itself.
func testScheduler(l schedulerLimits) (*scheduler, *int) {
	if l.bytes == 0 {
		l.bytes = maxQueuedBytes
	}
	s := newScheduler(l)
	spawned := 0
	s.start(func() { spawned++ })
	return s, &spawned
}

var endpointA, endpointB, endpointC = webhook.Endpoint{SubscriptionID: "wh_a", Channel: "webhook"}, webhook.Endpoint{SubscriptionID: "wh_b", Channel: "webhook"}, webhook.Endpoint{SubscriptionID: "wh_c", Channel: "webhook"}

// wide is a claim that found all that there was.
var wide = claimBudget{limit: 100, perOrganization: 100, perEndpoint: 100}

// known lets endpoints have as much in flight as those that have been answering.
func known(s *scheduler, endpoints ...webhook.Endpoint) {
	for _, e := range endpoints {
		q := s.queue("", e)
		q.allowed, q.score = s.limits.inFlightPerEndpoint, bestScore
		q.recount()
	}
}

func tasksFor(first webhook.DeliveryID, n int, e webhook.Endpoint) []webhook.Task {
	tasks := make([]webhook.Task, n)
	for i := range tasks {
		tasks[i] = webhook.Task{Lease: webhook.Lease{DeliveryID: first + webhook.DeliveryID(i), Token: 1}, Endpoint: e, Until: time.Now().Add(time.Minute)}
	}
	return tasks
}

func TestSchedulerServesEndpointsInTurn(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 100, inFlightPerEndpoint: 100, queued: 1000, queuedPerEndpoint: 1000})
	known(s, endpointA, endpointB, endpointC)
	s.push(tasksFor(1, 100, endpointA))
	s.push(tasksFor(201, 2, endpointB))
	s.push(tasksFor(301, 1, endpointC))
	var order []string
	for range 6 {
		order = append(order, s.next().Endpoint.SubscriptionID)
	}
	assert.Equal(t, []string{"wh_a", "wh_b", "wh_c", "wh_a", "wh_b", "wh_a"}, order)
}

func TestSchedulerCapsAnEndpoint(t *testing.T) {
	t.Parallel()
	s, spawned := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 2, queued: 1000, queuedPerEndpoint: 1000})
	s.push(tasksFor(1, 5, endpointA))
	s.push(tasksFor(11, 5, endpointB))
	a1, b1, a2, b2 := s.next(), s.next(), s.next(), s.next()
	require.NotNil(t, b2)
	assert.Equal(t, []webhook.DeliveryID{1, 11, 2, 12}, []webhook.DeliveryID{a1.DeliveryID, b1.DeliveryID, a2.DeliveryID, b2.DeliveryID})
	assert.Nil(t, s.next(), "both endpoints are at their cap")
	assert.GreaterOrEqual(t, *spawned, 4)
	s.finish(b1, breaker.Health{Signal: breaker.Healthy})
	assert.Equal(t, webhook.DeliveryID(13), s.next().DeliveryID)
}

func TestSchedulerBoundsPrefetch(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 2, queued: 16, queuedPerEndpoint: 3})
	known(s, endpointA)
	for range 3 {
		require.True(t, s.reserve("", endpointA))
	}
	assert.False(t, s.reserve("", endpointA), "the endpoint's queue is full")
	for i := range 13 {
		organization := fmt.Sprint("org", i)
		require.True(t, s.reserve(organization, webhook.Endpoint{SubscriptionID: organization, Channel: "webhook"}))
	}
	assert.False(t, s.reserve("c", endpointC), "all queues together are full")
	s.unreserve([]prefetched{{endpoint: endpointA}})
	assert.True(t, s.reserve("c", endpointC))

	s.unreserve([]prefetched{{endpoint: endpointA}, {"c", endpointC}})
	s.markBacklog([]prefetched{{"b", endpointB}})
	assert.False(t, s.reserve("b", endpointB), "what is in the store goes first")
	s.claimed(nil, claimBudget{limit: 10, perOrganization: 10, perEndpoint: 10})
	assert.True(t, s.reserve("b", endpointB), "the store had nothing more")
}

// An organization has a share of the memory, and in it those of its endpoints
// that answer at once, those that are new and those that are slow.
func TestSchedulerSharesMemory(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 2, queued: 4096, queuedPerEndpoint: 128})
	fill := func(organization, kind string, score int) (taken int) {
		for i := range 10_000 {
			e := webhook.Endpoint{SubscriptionID: fmt.Sprint(organization, kind, i/4), Channel: "webhook"}
			q := s.queue(organization, e)
			q.score, q.allowed = score, 16
			q.recount()
			if s.reserve(organization, e) {
				taken++
			}
		}
		return taken
	}
	slow, fresh, fast := fill("a", "slow", -8), fill("a", "new", 0), fill("a", "fast", 8)
	assert.InDelta(t, 4096/4, slow, 4096/16, "slow ones: an eighth, and another for those with nothing")
	assert.InDelta(t, 4096/4, fresh, 4096/16)
	assert.Greater(t, fast, 4096/8)
	assert.Less(t, s.queued, 4096*7/8, "there is room for others")
	assert.True(t, s.canClaim(), "and for what they have in the store")
	for _, organization := range []string{"b", "c", "d"} {
		assert.Greater(t, fill(organization, "new", 0), 4)
	}
}

func TestSchedulerLeavesADeadEndpointAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000})
		s.push(tasksFor(1, 50, endpointA))
		known(s, endpointA)
		var unstarted []*task
		for range breaker.Threshold {
			require.Empty(t, unstarted)
			unstarted, _ = s.finish(s.next(), breaker.Health{Signal: breaker.Unhealthy})
		}
		assert.Len(t, unstarted, 50-breaker.Threshold, "the rest goes back to the store")
		assert.False(t, s.reserve("", endpointA))
		assert.Equal(t, []webhook.Endpoint{endpointA}, s.claimBudget().skip)

		time.Sleep(breaker.FirstBackoff)
		s.claimed(nil, claimBudget{limit: 10, perOrganization: 10, perEndpoint: 10})
		s.push(tasksFor(101, 5, endpointA))
		probe := s.next()
		require.NotNil(t, probe)
		assert.Nil(t, s.next(), "one at a time until one succeeds")
		s.finish(probe, breaker.Health{Signal: breaker.Healthy})
		assert.NotNil(t, s.next())
		assert.NotNil(t, s.next())
	})
}

func TestSchedulerRevivesWhatCameWhileBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000})
		s.push(tasksFor(1, 1, endpointA))
		require.True(t, s.reserve("", endpointA)) // an emit is being committed
		s.finish(s.next(), breaker.Health{Signal: breaker.Unhealthy, RetryAfter: 30 * time.Second})
		s.unreserve([]prefetched{{endpoint: endpointA}})
		s.push(tasksFor(2, 1, endpointA))
		assert.Nil(t, s.next(), "the endpoint asked for 30 s")
		time.Sleep(30 * time.Second)
		s.revive()
		assert.Equal(t, webhook.DeliveryID(2), s.next().DeliveryID)
	})
}

func TestSchedulerForgetsIdleEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000})
		for i, h := range []breaker.Health{{Signal: breaker.Healthy}, {Signal: breaker.Unhealthy}, {}} {
			s.push(tasksFor(webhook.DeliveryID(i+1), 1, endpointA))
			task := s.next()
			s.finish(task, h)
			s.next() // empties the ring
			s.release([]webhook.Lease{task.Lease})
		}
		assert.Len(t, s.queues, 1, "its failure is remembered")
		time.Sleep(idleMemory + time.Second)
		s.revive()
		assert.Empty(t, s.queues)
		assert.Empty(t, s.held)
		assert.Zero(t, s.queued)
	})
}

func TestSchedulerStop(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000})
	s.push(tasksFor(1, 3, endpointA))
	s.next()
	assert.Len(t, s.stop(), 2)
	assert.False(t, s.reserve("", endpointB))
	assert.Len(t, s.push(tasksFor(4, 2, endpointA)), 2, "too late")
	assert.Zero(t, s.claimBudget().limit)
}

func TestSchedulerTracksLeases(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000})
	s.push(tasksFor(1, 2, endpointA))
	first, second := s.next(), s.next()
	end := first.Until
	assert.Empty(t, s.expiring(end))
	assert.Len(t, s.expiring(end.Add(time.Second)), 2)
	s.extended([]webhook.Lease{first.Lease, second.Lease}, []webhook.Lease{second.Lease}, end.Add(time.Minute))
	assert.True(t, s.owns(first, end.Add(30*time.Second)))
	assert.False(t, s.owns(first, end.Add(time.Minute)), "ended")
	assert.False(t, s.owns(second, end), "lost")
	s.release([]webhook.Lease{{DeliveryID: 1, Token: 2}})
	assert.Len(t, s.held, 2, "another token's release is not this one's")
	s.release([]webhook.Lease{first.Lease, second.Lease})
	assert.Empty(t, s.held)
}

func TestSchedulerBoundsBytes(t *testing.T) {
	t.Parallel()
	weighing := func(first webhook.DeliveryID, n, size int, e webhook.Endpoint) []webhook.Task {
		tasks := tasksFor(first, n, e)
		for i := range tasks {
			tasks[i].Payload = make([]byte, size)
		}
		return tasks
	}
	newTest := func() *scheduler {
		s, _ := testScheduler(schedulerLimits{inFlight: 10, inFlightPerEndpoint: 4, queued: 1000, queuedPerEndpoint: 1000, bytes: 1000})
		s.payload = 10
		return s
	}

	t.Run("offers", func(t *testing.T) {
		t.Parallel()
		s := newTest()
		s.push(weighing(1, 8, 100, endpointA))
		assert.False(t, s.reserve("", endpointA), "four times of what is free")
		assert.True(t, s.reserve("b", endpointB))
		s.push(weighing(101, 2, 100, endpointB))
		assert.False(t, s.reserve("c", endpointC), "nothing is free")
		require.NotNil(t, s.next())
		assert.True(t, s.reserve("c", endpointC), "something is free")
	})
	t.Run("claims", func(t *testing.T) {
		t.Parallel()
		s := newTest()
		s.payload = 40
		b := s.claimBudget()
		assert.Equal(t, []int{25, 25}, []int{b.limit, b.perEndpoint}, "of forty bytes each")

		claimed := weighing(1, 8, 100, endpointA)
		s.claimed(claimed, wide)
		s.push(claimed)
		b = s.claimBudget()
		assert.Equal(t, 2, b.limit, "of a hundred bytes each, as the last ones were")
		assert.Equal(t, []string{""}, b.skipOrganizations, "it has its share")

		s.push(weighing(101, 2, 100, endpointB))
		assert.Zero(t, s.claimBudget().limit)
		for range 4 {
			require.NotNil(t, s.next())
		}
		assert.NotEmpty(t, s.wake, "a claim has waited for this")
	})
	t.Run("one payload for many", func(t *testing.T) {
		t.Parallel()
		s := newTest()
		// Two events for three endpoints, of which the first is fast.
		var tasks []webhook.Task
		for event := range webhook.DeliveryID(2) {
			payload := make([]byte, 100)
			for i, e := range []webhook.Endpoint{endpointA, endpointB, endpointC} {
				task := tasksFor(1+3*event+webhook.DeliveryID(i), 1, e)[0]
				task.Payload = payload
				tasks = append(tasks, task)
			}
		}
		s.push(tasks)
		assert.Equal(t, 200, s.bytes, "each payload is in memory once")
		assert.Len(t, s.drop(endpointA.SubscriptionID), 2)
		assert.Equal(t, 200, s.bytes, "it stays there for the others")
		assert.Equal(t, 200, s.queue("", endpointB).bytes)
		require.Equal(t, endpointB, s.next().Endpoint)
		assert.Equal(t, 200, s.bytes)
		require.Equal(t, endpointC, s.next().Endpoint)
		assert.Equal(t, 100, s.bytes, "until it has left all queues")
		assert.Len(t, s.stop(), 2)
		assert.Zero(t, s.bytes)
		assert.Zero(t, s.queued)
	})
	t.Run("expectation", func(t *testing.T) {
		t.Parallel()
		s := newTest()
		s.claimed(weighing(1, 2, 500, endpointA), wide)
		assert.Equal(t, 500, s.payload, "larger ones are believed at once")
		s.claimed(nil, wide)
		assert.Equal(t, 500, s.payload)
		s.claimed(weighing(11, 2, 10, endpointA), wide)
		assert.Equal(t, 250, s.payload, "smaller ones little by little")
	})
}

func TestSchedulerTakesWhatWasNeverAttemptedFirst(t *testing.T) {
	t.Parallel()
	retriesFor := func(first webhook.DeliveryID, n int) []webhook.Task {
		tasks := tasksFor(first, n, endpointA)
		for i := range tasks {
			tasks[i].AttemptsSinceQueued = 1
		}
		return tasks
	}
	synctest.Test(t, func(t *testing.T) {
		s, _ := testScheduler(schedulerLimits{inFlight: 100, inFlightPerEndpoint: 8, queued: 1000, queuedPerEndpoint: 1000})
		known(s, endpointA)
		s.push(retriesFor(1, 20))
		s.push(tasksFor(101, 20, endpointA))
		var order []webhook.DeliveryID
		var taken []*task
		for task := s.next(); task != nil; task = s.next() {
			taken = append(taken, task)
			order = append(order, task.DeliveryID)
		}
		assert.Equal(t, []webhook.DeliveryID{101, 102, 103, 1, 104, 105, 106, 2}, order, "but those that failed have their turns too")

		slices.Reverse(taken)
		for _, task := range taken { // the first eight fail: the endpoint is left alone
			back, _ := s.finish(task, breaker.Health{Signal: breaker.Unhealthy})
			if task == taken[len(taken)-1] {
				assert.Len(t, back, 32)
			}
		}
		time.Sleep(breaker.FirstBackoff)
		s.claimed(nil, claimBudget{limit: 10, perOrganization: 10, perEndpoint: 10})
		s.push(retriesFor(201, 20))
		probe := s.next()
		assert.EqualValues(t, 201, probe.DeliveryID, "nothing else waits")
		s.push(tasksFor(301, 20, endpointA))
		beside := s.next()
		assert.EqualValues(t, 301, beside.DeliveryID, "what was never attempted need not wait for it to fail")
		assert.Nil(t, s.next(), "one at a time")
		back, until := s.finish(probe, breaker.Health{Signal: breaker.Unhealthy})
		assert.Len(t, back, 19, "those that failed are requeued")
		assert.Equal(t, time.Now().Add(2*breaker.FirstBackoff), until)
		s.finish(beside, breaker.Health{Signal: breaker.Healthy})
		assert.EqualValues(t, 302, s.next().DeliveryID)
	})
}

// An attempt that waits for a place to render does not get slow by that, and what it does before and
// after counts.
func TestSchedulerDoesNotCountWaitsToRender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := testScheduler(schedulerLimits{inFlight: 16, inFlightPerEndpoint: 4, queued: 100, queuedPerEndpoint: 100})
		known(s, endpointA, endpointB)
		attempt := func(first webhook.DeliveryID, e webhook.Endpoint) *task {
			s.push(tasksFor(first, 1, e))
			task := s.next()
			require.NotNil(t, task)
			require.True(t, s.begin(task, hostKey{}))
			require.Equal(t, fastSlot, task.slot)
			return task
		}
		waiting := attempt(1, endpointA)
		time.Sleep(200 * time.Millisecond)
		other := attempt(2, endpointB)
		s.waits(waiting, true)
		s.waits(waiting, true) // two renders of one attempt
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, slowSlot, other.slot)
		assert.Equal(t, fastSlot, waiting.slot)
		s.waits(waiting, false)
		time.Sleep(time.Second)
		s.waits(waiting, false)
		assert.Equal(t, 2*time.Second, s.waited(waiting))
		time.Sleep(99 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, fastSlot, waiting.slot)
		later := attempt(3, endpointA) // begun later
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, slowSlot, waiting.slot, "200 ms and 101 ms")
		assert.Equal(t, fastSlot, later.slot)

		s.waits(later, true)
		score := s.queues[endpointA].score
		s.finish(later, breaker.Health{})
		assert.Equal(t, score, s.queues[endpointA].score, "one that never came to render says nothing")
		s.waits(later, false)
		s.finish(waiting, breaker.Health{Signal: breaker.Healthy})
		s.finish(other, breaker.Health{Signal: breaker.Healthy})
		assert.Nil(t, s.running.first)
		assert.Nil(t, s.running.last)
		assert.Equal(t, usage{}, s.used)
	})
}

// What waits for a place at a host does not wait for ever if its endpoint moves to another one.
func TestSchedulerMovesWhatWaitsForAHost(t *testing.T) {
	t.Parallel()
	s, _ := testScheduler(schedulerLimits{inFlight: 16, inFlightPerEndpoint: 4, queued: 100, queuedPerEndpoint: 100})
	known(s, endpointA, endpointB)
	old := hostKey{"old.example", 1}
	for i, e := range []webhook.Endpoint{endpointA, endpointB} {
		s.push(tasksFor(webhook.DeliveryID(i+1), 1, e))
		task := s.next()
		require.True(t, s.begin(task, old))
		s.finish(task, breaker.Health{Signal: breaker.Healthy})
	}
	s.push(tasksFor(11, 2, endpointA))
	moved := s.next()
	s.push(tasksFor(21, 1, endpointB))
	require.Nil(t, s.next(), "the host has one place")

	require.True(t, s.begin(moved, hostKey{"new.example", 0}))
	var ids []webhook.DeliveryID
	for task := s.next(); task != nil; task = s.next() {
		ids = append(ids, task.DeliveryID)
	}
	assert.ElementsMatch(t, []webhook.DeliveryID{12, 21}, ids, "one moves too, and one gets the place that is left")
}
