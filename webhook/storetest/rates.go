package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func rateCases() []testCase {
	return []testCase{
		{"PermitsKeepToTheLimit", permitsKeepToTheLimit},
		{"PermitsAreShared", permitsAreShared},
		{"PermitsAreOfOneEndpoint", permitsAreOfOneEndpoint},
		{"Throttled", throttledPermits},
		{"UnknownEndpoint", permitsOfUnknownEndpoint},
		{"WrongClock", permitsAfterWrongClock},
		{"ConcurrentPermits", concurrentPermits},
	}
}

func permits(e webhook.Endpoint, perSecond float64, burst, want int) webhook.PermitRequest {
	return webhook.PermitRequest{Endpoint: e, Want: want,
		Limit: webhook.RateLimit{PerSecond: perSecond, Burst: burst}}
}

// take asks for permits with one request.
func (f *fixture) take(now time.Time, r webhook.PermitRequest) webhook.PermitGrant {
	f.t.Helper()
	grants, err := f.TakePermits(f.ctx, now, []webhook.PermitRequest{r})
	require.NoError(f.t, err, "asking for permits")
	require.Len(f.t, grants, 1, "each request has a grant")
	return grants[0]
}

// timesOf returns the time of each permit.
func timesOf(g webhook.PermitGrant) []time.Time {
	times := make([]time.Time, g.Permits)
	for i := range times {
		times[i] = g.First.Add(time.Duration(i) * g.Interval)
	}
	return times
}

// requireWithin fails if there are more times than the limit allows in any interval.
func (f *fixture) requireWithin(times []time.Time, l webhook.RateLimit) {
	f.t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := range times {
		for j := i; j < len(times); j++ {
			long := times[j].Sub(times[i]).Seconds() + 1e-3         // of rounding
			if float64(j-i+1) > float64(l.Burst)+l.PerSecond*long { // called often
				require.Failf(f.t, "in any time lie no more permits than Burst + PerSecond × its length",
					"%d in %v s", j-i+1, long)
			}
		}
	}
}

func permitsKeepToTheLimit(f *fixture) {
	e := endpointOf(f.create(hook()))
	for _, l := range []webhook.RateLimit{
		{PerSecond: 10, Burst: 1}, {PerSecond: 10, Burst: 25}, {PerSecond: 0.5, Burst: 1},
	} {
		e = endpointOf(f.create(hook()))
		var times []time.Time
		at := start()
		for range 40 { // one caller that asks whenever it has used what it has
			g := f.take(at, permits(e, l.PerSecond, l.Burst, 100))
			require.Positive(f.t, g.Permits, "a caller that waits for its turn gets a permit")
			require.Zero(f.t, g.AskAgain)
			require.InDelta(f.t, l.PerSecond, g.PerSecond, 1e-9, "nothing has lowered the rate")
			got := timesOf(g)
			require.False(f.t, got[0].Before(at), "no permit has a time before now")
			times = append(times, got...)
			at = got[len(got)-1]
		}
		f.requireWithin(times, l)
		long := at.Sub(start()).Seconds()
		require.InDelta(f.t, float64(l.Burst)+l.PerSecond*long, float64(len(times)), 2,
			"and no fewer, for a caller that takes what it can get")
	}
	g := f.take(start().Add(time.Hour), permits(e, 0.5, 4, 100))
	require.Equal(f.t, 4, g.Permits, "after a pause there is a whole burst")
	require.Zero(f.t, g.Interval)
	require.Zero(f.t, f.take(start().Add(time.Hour), permits(e, 0.5, 4, 0)).Permits,
		"who wants none gets none")
}

// permitsAreShared has callers that all want more than there is.
func permitsAreShared(f *fixture) {
	for _, l := range []webhook.RateLimit{{PerSecond: 40, Burst: 5}, {PerSecond: 1, Burst: 1}} {
		e := endpointOf(f.create(hook()))
		const callers = 4
		var times []time.Time
		var got [callers]int
		var next [callers]time.Time // when the caller asks again
		for i := range next {
			next[i] = start().Add(time.Duration(i) * time.Millisecond)
		}
		for end := start().Add(30 * time.Second); ; {
			who := 0
			for i := range next {
				if next[i].Before(next[who]) {
					who = i
				}
			}
			if next[who].After(end) {
				break
			}
			g := f.take(next[who], permits(e, l.PerSecond, l.Burst, 1000))
			if g.Permits == 0 {
				require.True(f.t, g.AskAgain.After(next[who]), "it says when to ask again")
				next[who] = g.AskAgain
				continue
			}
			mine := timesOf(g)
			got[who] += len(mine)
			times = append(times, mine...)
			next[who] = mine[len(mine)-1].Add(time.Microsecond)
		}
		f.requireWithin(times, l)
		for i, n := range got {
			share := float64(len(times)) / callers
			require.InDelta(f.t, share, float64(n), share/3+float64(l.Burst),
				"callers get about the same, caller %d: %v", i, got)
		}
	}
}

func permitsAreOfOneEndpoint(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	one := webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}
	two := webhook.Endpoint{SubscriptionID: sub.ID, Channel: "slack"}
	grants, err := f.TakePermits(f.ctx, start(), []webhook.PermitRequest{
		permits(two, 1, 3, 9), permits(one, 1, 1, 9), permits(two, 1, 3, 9),
	})
	require.NoError(f.t, err)
	require.Len(f.t, grants, 3)
	require.Equal(f.t, 3, grants[0].Permits, "each endpoint has a limit of its own")
	require.Equal(f.t, 1, grants[1].Permits, "each endpoint has a limit of its own")
	require.False(f.t, grants[2].Permits > 0 && grants[2].First.Before(start().Add(time.Second/2)),
		"two requests for one endpoint get what one would get after the other")
	grants, err = f.TakePermits(f.ctx, start(), nil)
	require.NoError(f.t, err)
	require.Empty(f.t, grants)
}

func throttledPermits(f *fixture) {
	e := endpointOf(f.create(hook()))
	r := permits(e, 10, 10, 10)
	require.Equal(f.t, 10, f.take(start(), r).Permits)
	at := start().Add(10 * time.Second)
	r.Throttled, r.RetryAfter = true, 5*time.Second
	g := f.take(at, r)
	require.InDelta(f.t, 5, g.PerSecond, 1e-9, "an endpoint that throttles gets half the rate")
	require.False(f.t, g.First.Before(at.Add(5*time.Second)), "and nothing before its RetryAfter")
	require.Positive(f.t, g.Interval, "and no burst")
	after := r
	after.Endpoint, after.Throttled = endpointOf(f.create(hook())), true
	f.take(at, after)
	after.Throttled = false
	require.Positive(f.t, f.take(at.Add(5*time.Second), after).Interval,
		"when its RetryAfter is over, there is no burst either")
	require.InDelta(f.t, 5, f.take(at.Add(time.Second), r).PerSecond, 0.1,
		"what was handed out before may still be refused, and lowers it no further")
	require.InDelta(f.t, 2.5, f.take(at.Add(2*time.Second), r).PerSecond, 0.1)
	for i := range 20 {
		g = f.take(at.Add(time.Duration(3+2*i)*time.Second), r)
	}
	require.InDelta(f.t, 10.0/32, g.PerSecond, 0.2, "the rate has an end below")
	at = at.Add(41 * time.Second)
	r.Throttled, r.Want = false, 0
	require.InDelta(f.t, 10.0/32+2, f.take(at.Add(40*time.Second), r).PerSecond, 0.2,
		"it recovers by a twentieth each 10 seconds")
	require.InDelta(f.t, 10, f.take(at.Add(10*time.Minute), r).PerSecond, 1e-9,
		"up to the limit")
}

func permitsOfUnknownEndpoint(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	unknown := webhook.Endpoint{SubscriptionID: sub.ID, Channel: "slack"}
	require.Zero(f.t, f.take(start(), permits(unknown, 1, 1, 1)))
	require.Equal(f.t, 1, f.take(start(), permits(e, 1, 1, 1)).Permits)
	f.remove(sub)
	require.Zero(f.t, f.take(start(), permits(e, 1, 1, 1)), "a deleted endpoint has no permits")
}

func permitsAfterWrongClock(f *fixture) {
	e := endpointOf(f.create(hook()))
	r := permits(e, 1, 1, 1)
	f.take(start().Add(1000*time.Hour), r)
	g := f.take(start(), r)
	require.Equal(f.t, 1, g.Permits)
	require.False(f.t, g.First.After(start().Add(2*time.Minute)),
		"a time far ahead was written under a wrong clock, and holds nothing back for long")
}

func concurrentPermits(f *fixture) {
	e := endpointOf(f.create(hook()))
	l := webhook.RateLimit{PerSecond: 100, Burst: 20}
	var mu sync.Mutex
	var times []time.Time
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 5 {
				now := start().Add(time.Duration(n*100+i) * time.Millisecond)
				grants, err := f.TakePermits(f.ctx, now, []webhook.PermitRequest{
					permits(e, l.PerSecond, l.Burst, 10),
				})
				mu.Lock()
				if err != nil || len(grants) != 1 {
					f.t.Errorf("asking for permits: %v", err)
				} else {
					times = append(times, timesOf(grants[0])...)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	f.requireWithin(times, l)
}
