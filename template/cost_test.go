package template

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a template may cost, whatever it does.
const (
	mostCPU   = 100 * time.Millisecond
	mostBytes = 64 << 20
)

// cost is what compiling and rendering a template took.
type cost struct {
	cpu   time.Duration // of the thread: other programs and tests do not change it
	bytes uint64        // all that was allocated, and the growth of the stack
	err   error
}

// measure compiles and renders a template. Nothing else may run in the process meanwhile.
func measure(t testing.TB, source string, data map[string]any, o Options) cost {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := threadCPU()
	_, err := render(t, source, data, o)
	cpu := threadCPU() - start
	runtime.ReadMemStats(&after)
	return cost{cpu, after.TotalAlloc - before.TotalAlloc + after.StackSys - min(before.StackSys, after.StackSys), err}
}

// checkCost fails if a template costs more than is promised. The time that a thread needs depends on the machine's caches
// and on what else it does, so that only the best of some runs counts.
func checkCost(t testing.TB, name, source string, data map[string]any, o Options) cost {
	t.Helper()
	const runs = 5
	best := measure(t, source, data, o)
	for i := 1; i < runs && best.cpu > mostCPU*slowdown; i++ {
		again := measure(t, source, data, o)
		best.cpu = min(best.cpu, again.cpu)
	}
	assert.LessOrEqual(t, best.cpu, mostCPU*slowdown, name)
	assert.LessOrEqual(t, best.bytes, uint64(mostBytes), name)
	if best.err != nil {
		require.NotErrorIs(t, best.err, ErrInternal, name)
	}
	return best
}

// TestHostileTemplatesThatOnceSucceeded measures what took seconds or hundreds of MiB before everything was charged in
// advance. It must not run beside other tests.
func TestHostileTemplatesThatOnceSucceeded(t *testing.T) {
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
		t.Logf("%s: %v of CPU (%.2f s once), %d MiB (%d once): %v", c.Name, got.cpu, c.Took, got.bytes>>20, c.MiB, got.err)
	}
}
