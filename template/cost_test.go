package template

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/cputime"
)

// What a template may cost, whatever it does.
const (
	mostCPU   = 100 * time.Millisecond
	mostBytes = 64 << 20
	mostDeaf  = 10 * time.Millisecond // between two looks at the context, which a cancellation waits for
)

// cost is what compiling and rendering a template took.
type cost struct {
	cpu   time.Duration // of the thread: other programs and tests do not change it
	bytes uint64        // all that was allocated, and the growth of the stack
	deaf  time.Duration // the most that was used between two looks at the context
	err   error
}

// measure runs f. Nothing else may run in the process meanwhile. The garbage collector is off: its
// cost depends on what else is in memory, and would be charged to the code that allocates.
func measure(ctx context.Context, f func(ctx context.Context) error) cost {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cputime.Thread()
	timed := &cputime.Context{Context: ctx, Last: start}
	err := f(timed)
	end := cputime.Thread()
	cpu := end - start
	if timed.Last > start { // what never looks at the context does not render
		timed.Longest = max(timed.Longest, end-timed.Last)
	}
	runtime.ReadMemStats(&after)
	return cost{cpu, after.TotalAlloc - before.TotalAlloc + after.StackSys - min(before.StackSys,
		after.StackSys), timed.Longest, err}
}

// slack is how much more than promised passes. The CPU time that a piece of work needs depends on
// the machine, its caches, and how fast it hands out fresh memory; the faults that these tests look
// for cost a hundred times as much. The tests log the highest figures that they saw.
const slack = 5 * slowdown

func bound(d time.Duration) time.Duration { return slack * d }

// bestCost fails if f costs more than is promised of a template. Only the best of some runs counts.
func bestCost(t testing.TB, name string, f func(ctx context.Context) error) cost {
	t.Helper()
	const runs = 5
	best := measure(t.Context(), f)
	for i := 1; i < runs && (best.cpu > bound(mostCPU) || best.deaf > bound(mostDeaf)); i++ {
		again := measure(t.Context(), f)
		best.cpu, best.deaf = min(best.cpu, again.cpu), min(best.deaf, again.deaf)
	}
	assert.LessOrEqual(t, best.deaf, bound(mostDeaf), name)
	assert.LessOrEqual(t, best.cpu, bound(mostCPU), name)
	assert.LessOrEqual(t, best.bytes, uint64(mostBytes*growth), name)
	if best.err != nil {
		require.NotErrorIs(t, best.err, ErrInternal, name)
	}
	return best
}

// checkCost renders a template, and fails if that costs more than is promised.
func checkCost(t testing.TB, name, source string, data map[string]any, o Options) cost {
	t.Helper()
	tpl, err := Compile(source, o)
	if err != nil {
		require.NotErrorIs(t, err, ErrInternal, name)
		return cost{err: err}
	}
	return bestCost(t, name, func(ctx context.Context) error {
		_, err := tpl.Render(ctx, data)
		return err
	})
}

// TestHostileTemplatesThatOnceSucceeded measures what took seconds or hundreds of MiB before
// everything was charged in advance. It must not run while other tests do.
func TestHostileTemplatesThatOnceSucceeded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var file struct {
		Cases []struct {
			Name     string  `json:"name"`
			Template string  `json:"template"`
			Took     float64 `json:"took_s"`
			MiB      int     `json:"allocated_MiB"`
		} `json:"cases"`
	}
	readJSON(t, "testdata/hostile.json", &file)
	require.NotEmpty(t, file.Cases)
	for _, c := range file.Cases {
		got := checkCost(t, c.Name, c.Template, nil, Options{})
		t.Logf("%s: %v of CPU (%.2f s once), %d MiB (%d once): %v", c.Name, got.cpu, c.Took,
			got.bytes>>20, c.MiB, got.err)
	}
}
