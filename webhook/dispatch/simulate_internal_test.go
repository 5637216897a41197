package dispatch

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	schedulerDuration = flag.Duration("scheduler.duration", 0,
		"for how long TestScheduler simulates; 0 for a few seeds")
	schedulerSeed = flag.Uint64("scheduler.seed", 0, "the first seed of TestScheduler")
)

// simBug is something wrong with the store or with a process, so that a test can tell whether the
// simulation finds it.
type simBug int

const (
	noBug                 simBug = iota
	bugIgnoresTokens             // Settle does not compare the token
	bugSettlesTwice              // Settle does not ask whether the delivery is in flight
	bugExtendsStale              // Extend does not compare the token
	bugAsksNoLease               // an attempt begins without asking for the lease
	bugKeepsSlot                 // an attempt that has lost its lease does not give its slot back
	bugDropsRequeued             // what is queued behind an endpoint that is left alone is forgotten
	bugClaimsPaused              // a claim takes deliveries of paused subscriptions
	bugForgetsTheDead            // nothing claims what is held by a process that has died
	bugOwnClock                  // a process judges leases by its own clock
	bugPrunesPending             // Prune does not look at the status
	bugEmitsTwice                // Enqueue does not know an event again
	bugDropsResults              // a result that could not be stored is not stored again
	bugLooksUpForLong            // the lease is not asked for again after the subscription was read
	bugGuessesTheTime            // a process claims before it knows the store's time
	bugSleepsWhileAsking         // an answer from before the machine slept counts
	bugHoldsSinceTheReply        // a slow claim makes what is known of a subscription seem new
	bugShortensLeases            // Extend moves the end of a lease closer
	simBugs
)

var simBugNames = [simBugs]string{"none", "ignores tokens", "settles twice", "extends stale leases",
	"asks for no lease", "keeps a slot", "drops what is requeued", "claims what is paused",
	"forgets the dead", "goes by its own clock", "prunes what is pending", "emits twice",
	"drops results", "looks up for long", "guesses the time", "sleeps while it asks",
	"holds since the reply", "shortens leases"}

// simActionCount is how many actions a story has.
const simActionCount = 100

// TestScheduler runs three to eight processes over one store, all of whose calls may fail, from
// seeds. After each step nothing is lost, nothing that is settled changes, no result counts that is
// not of the latest claim, no lease has two owners, no slot is lost, and nothing that is due waits
// for longer than bound. A failure is shrunk to a short story, and printed as one.
func TestScheduler(t *testing.T) {
	t.Parallel()
	seeds, began := uint64(40), time.Now()
	if testing.Short() {
		seeds = 4
	}
	var (
		begun   atomic.Uint64 // seeds
		workers sync.WaitGroup
		mu      sync.Mutex
		done    uint64
		steps   int
		longest float64
	)
	work := func() {
		for !t.Failed() {
			n := begun.Add(1) - 1
			if n >= seeds && time.Since(began) >= *schedulerDuration {
				return
			}
			seed := *schedulerSeed + n
			w := simulate(seed, simActions(seed, simActionCount), noBug, false)
			if w.problem != "" {
				t.Errorf("-scheduler.seed %d\n%s", seed, story(seed, w.actions, noBug))
			}
			mu.Lock()
			done, steps, longest = done+1, steps+w.steps, max(longest, w.longest)
			mu.Unlock()
		}
	}
	for range runtime.GOMAXPROCS(0) { // a story knows nothing of another
		workers.Go(work)
	}
	workers.Wait()
	t.Logf("%d seeds from %d on, %d steps, %.0f a second, the longest wait is %.2f of its bound", done,
		*schedulerSeed, steps, float64(steps)/time.Since(began).Seconds(), longest)
}

// foundWith has a seed with which each bug is found.
var foundWith = [simBugs]uint64{bugIgnoresTokens: 12, bugSettlesTwice: 3, bugExtendsStale: 12,
	bugAsksNoLease: 12, bugKeepsSlot: 0, bugDropsRequeued: 0, bugClaimsPaused: 0,
	bugForgetsTheDead: 0, bugOwnClock: 0, bugPrunesPending: 0, bugEmitsTwice: 1,
	bugDropsResults: 1, bugLooksUpForLong: 127, bugGuessesTheTime: 2, bugSleepsWhileAsking: 229,
	bugHoldsSinceTheReply: 2541, bugShortensLeases: 2396}

// TestSchedulerFindsBugs makes sure that the checks can fail. With -scheduler.duration it tells the
// shortest story of each bug, and after how many steps it is found from seed 0 on.
func TestSchedulerFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	for bug := noBug + 1; bug < simBugs; bug++ {
		t.Run(simBugNames[bug], func(t *testing.T) {
			t.Parallel()
			seed := foundWith[bug]
			if *schedulerDuration == 0 {
				assert.NotEmpty(t, simulate(seed, simActions(seed, simActionCount), bug, false).problem)
				return
			}
			steps := 0
			for seed := range uint64(5000) {
				w := simulate(seed, simActions(seed, simActionCount), bug, false)
				if steps += w.steps; w.problem != "" {
					t.Logf("found with seed %d after %d steps\n%s", seed, steps, story(seed, w.actions, bug))
					return
				}
			}
			t.Errorf("not found in %d steps", steps)
		})
	}
}

// TestSchedulerStories tells stories again that have found something, with the bug and without it.
func TestSchedulerStories(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		bug     simBug
		seed    uint64
		actions []simAction
	}{
		{bugGuessesTheTime, 2, []simAction{
			{29242841000, doCrash, 1, 472, 138},
			{44737879000, doEmit, 6, 661, 559},
			{49692087000, doFault, 6, 828, 83},
			{118284751000, doFault, 1, 922, 285},
		}},
		{bugSleepsWhileAsking, 229, []simAction{
			{344000, doSleep, 7, 340, 494},
			{95985001000, doEmit, 7, 148, 795},
		}},
		{bugHoldsSinceTheReply, 191, []simAction{
			{2110695000, doBehave, 0, 807, 385},
			{2112964000, doBehave, 6, 578, 644},
			{2166964000, doEmit, 1, 459, 663},
			{2168556000, doEmit, 1, 876, 265},
			{87170937000, doFault, 3, 438, 643},
			{87270682000, doEmit, 3, 494, 149},
			{90993744000, doPauseSubscription, 0, 381, 635},
			{127484178000, doEmit, 3, 880, 591},
		}},
		{bugLooksUpForLong, 399, []simAction{
			{131077978000, doBehave, 6, 475, 954},
			{155438444000, doEmit, 2, 345, 541},
			{155441338000, doPause, 2, 948, 195},
			{230278008000, doEmit, 3, 517, 777},
		}},
	} {
		assert.NotEmpty(t, simulate(s.seed, s.actions, s.bug, false).problem, simBugNames[s.bug])
		assert.Empty(t, simulate(s.seed, s.actions, noBug, false).problem, simBugNames[s.bug])
	}
}

// The answer to a question during which the machine slept may be from before.
func TestAnAnswerFromBeforeTheMachineSlept(t *testing.T) {
	t.Parallel()
	var c storeClock
	c.answered(simEpoch, time.Millisecond, time.Minute, simEpoch, simEpoch)
	assert.True(t, c.said.IsZero())
	assert.True(t, c.stale(simEpoch, simEpoch), "it is asked again")
	c.answered(simEpoch, 2*time.Millisecond, 2*time.Millisecond, simEpoch, simEpoch)
	assert.Equal(t, simEpoch.Add(time.Millisecond), c.at(simEpoch))
}

// To read the subscription may take longer than the lease.
func TestLeaseIsAskedForAfterTheLookup(t *testing.T) {
	t.Parallel()
	found := lookup{entry: &cacheEntry{}}
	_, next := turnAfterLookup(&task{}, found, time.Second)
	assert.Equal(t, beginAttempt, next)
	found.lease = leaseEnded
	_, next = turnAfterLookup(&task{}, found, time.Second)
	assert.Equal(t, settleTurn, next)
	found.lease = leaseLost
	_, next = turnAfterLookup(&task{}, found, time.Second)
	assert.Equal(t, dropTurn, next)
}

// BenchmarkScheduler is what a step of the simulation takes.
func BenchmarkScheduler(b *testing.B) {
	for steps, seed := 0, uint64(0); steps < b.N; seed++ {
		steps += simulate(seed, simActions(seed, simActionCount), noBug, false).steps
	}
}

// TestSchedulerTellsTheSameStory makes sure that a seed repeats a failure.
func TestSchedulerTellsTheSameStory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for bug, seed := range foundWith {
		bug := simBug(bug)
		if testing.Short() && bug%6 != 0 {
			continue // each takes 10 ms
		}
		actions := simActions(seed, simActionCount)
		first, second := simulate(seed, actions, bug, true), simulate(seed, actions, bug, true)
		assert.NotEmpty(t, first.trace)
		assert.Equal(t, first.trace, second.trace, simBugNames[bug])
		assert.Equal(t, first.steps, second.steps, simBugNames[bug])
	}
}

// TestSchedulerShrinksStories makes sure that a story ends up short.
func TestSchedulerShrinksStories(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates many stories")
	}
	t.Parallel()
	const seed = 0
	actions := simActions(seed, simActionCount)
	short := shrink(seed, actions, bugClaimsPaused)
	require.NotEmpty(t, simulate(seed, short, bugClaimsPaused, false).problem)
	assert.LessOrEqual(t, len(short), 5)
	assert.Contains(t, story(seed, short, bugClaimsPaused), "WRONG: ")
}

// shrink leaves actions out for as long as something is wrong without them.
func shrink(seed uint64, actions []simAction, bug simBug) []simAction {
	for size := len(actions) / 2; size > 0; {
		smaller := false
		for from := 0; from < len(actions); {
			to := min(from+size, len(actions))
			less := slices.Concat(actions[:from], actions[to:])
			if simulate(seed, less, bug, false).problem != "" {
				actions, smaller = less, true
			} else {
				from = to
			}
		}
		if !smaller || size > len(actions) {
			size /= 2
		}
	}
	return actions
}

// maxStory is how many lines of a story are printed: the last ones.
const maxStory = 80

// story is what happens in the shortest story that still goes wrong, and its actions as code.
func story(seed uint64, actions []simAction, bug simBug) string {
	actions = shrink(seed, actions, bug)
	w := simulate(seed, actions, bug, true)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d actions, %d steps:\n", seed, len(actions), w.steps)
	for _, line := range w.trace[max(len(w.trace)-maxStory, 0):] {
		b.WriteString(line + "\n")
	}
	for _, a := range actions {
		fmt.Fprintf(&b, "{%d, %s, %d, %d, %d},\n", a.at, simDoNames[a.do], a.p, a.a, a.b)
	}
	return b.String()
}
