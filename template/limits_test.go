package template

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func defaultLimits(t testing.TB) Limits {
	t.Helper()
	l, err := Limits{}.withDefaults()
	require.NoError(t, err)
	return Limits(l)
}

// What the service configures wrong is an *Error as well, wherever it is noticed.
func TestWrongOptionsAreRefused(t *testing.T) {
	t.Parallel()
	refused := func(err error, message string) {
		t.Helper()
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, ErrOptions, e.Kind)
		assert.ErrorContains(t, err, message)
	}
	for field, l := range map[string]Limits{
		"Source": {Source: -1}, "Leaves": {Leaves: -1}, "Depth": {Depth: -1}, "Steps": {Steps: -1},
		"Output": {Output: -1},
		"Range":  {Range: -1}, "Memory": {Memory: -1},
	} {
		_, err := Compile("x", Options{Limits: l})
		refused(err, "Limits."+field+" must not be negative")
		_, err = CompileObject(json.RawMessage(`{}`), Options{Limits: l})
		refused(err, "Limits."+field)
	}
	_, err := Compile("x", Options{Format: "rtf"})
	refused(err, `"rtf"`)
	_, err = NewLibrary(LibraryConfig{Ready: 1 << 30})
	refused(err, "LibraryConfig.Ready")
	_, err = NewLibrary(LibraryConfig{Functions: map[string]Func{"f": {}}})
	refused(err, "has no Call")
	_, err = NewGate(-1)
	refused(err, "must not be negative")
}

// A long key above many leaves is kept once, and an error repeats little of it. No other test may run
// meanwhile, whose memory would count as well.
func TestPathsOfLeavesCostLittle(t *testing.T) {
	long := strings.Repeat("k", 56<<10)
	source := json.RawMessage(`{"` + long + `": [` + strings.Repeat(`"{{ a }}",`, 999) + `"{{ a }}"]}`)
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, err := CompileObject(source, Options{})
			require.NoError(b, err)
		}
	})
	assert.Less(t, got.AllocedBytesPerOp(), int64(8<<20), "56 MiB when each leaf had its path as text")

	_, err := CompileObject(json.RawMessage(`{"`+long+`": {"b": {"c/d": ["{{ a b }}"]}}}`), Options{})
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "/"+strings.Repeat("k", 100)+"…/b/c~1d/0", e.Leaf)
	nested := "{\"a\": " + strings.Repeat(`{"`+strings.Repeat("n", 90)+`": `,
		50) + `"{{ a b }}"` + strings.Repeat("}", 51)
	_, err = CompileObject(json.RawMessage(nested), Options{})
	require.ErrorAs(t, err, &e)
	assert.LessOrEqual(t, len(e.Leaf), 400)
	assert.True(t, strings.HasPrefix(e.Leaf, "/a/nnn"), e.Leaf)
	assert.Contains(t, e.Leaf, "/…/")
}
