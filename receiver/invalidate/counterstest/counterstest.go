// Package counterstest runs the rules of [invalidate.Counters] against an implementation:
//
//	func TestCounters(t *testing.T) {
//		counterstest.Run(t, func(*testing.T) invalidate.Counters { return mycounters.New(db) })
//	}
//
// # What is where
//
// counterstest.go has [Run], the list of rules, and a function for each rule.
package counterstest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
)

// Run runs the suite. Each call of open returns a handle of the same store, as another
// process would have it; all handles may be the same value.
func Run(t *testing.T, open func(t *testing.T) invalidate.Counters) {
	t.Helper()
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			rule.test(t, open(t), open(t))
		})
	}
}

var rules = []struct {
	name string
	test func(t *testing.T, one, other invalidate.Counters)
}{
	{"a number stays until it is bumped", stays},
	{"a bump makes a number larger, for every handle", larger},
	{"a bump does not change other numbers", others},
	{"numbers come in the order of their names", order},
	{"without names both calls succeed", none},
	{"concurrent bumps lose nothing", concurrent},
}

// name returns an unused name.
func name() string { return "counterstest/" + receiver.NewToken().String() }

func read(t *testing.T, c invalidate.Counters, name string) int64 {
	t.Helper()
	numbers, err := c.Read(t.Context(), name)
	require.NoError(t, err)
	require.Len(t, numbers, 1)
	return numbers[0]
}

func stays(t *testing.T, one, other invalidate.Counters) {
	n := name()
	first := read(t, one, n)
	assert.Equal(t, first, read(t, other, n))
	assert.Equal(t, first, read(t, one, n))
}

func larger(t *testing.T, one, other invalidate.Counters) {
	n := name()
	last := read(t, one, n)
	for range 20 {
		require.NoError(t, one.Bump(t.Context(), n))
		next := read(t, other, n)
		require.Greater(t, next, last)
		last = next
	}
	fresh := name() // bumped before it is read
	require.NoError(t, one.Bump(t.Context(), fresh, fresh))
	last = read(t, other, fresh)
	require.NoError(t, other.Bump(t.Context(), fresh))
	assert.Greater(t, read(t, one, fresh), last)
}

func others(t *testing.T, one, other invalidate.Counters) {
	a, b := name(), name()
	before := read(t, one, b)
	require.NoError(t, one.Bump(t.Context(), a))
	assert.Equal(t, before, read(t, other, b))
}

func order(t *testing.T, one, other invalidate.Counters) {
	a, b, never := name(), name(), name()
	require.NoError(t, one.Bump(t.Context(), a, b))
	require.NoError(t, one.Bump(t.Context(), b))
	numbers, err := other.Read(t.Context(), b, never, a, b)
	require.NoError(t, err)
	assert.Equal(t, []int64{read(t, one, b), read(t, one, never), read(t, one, a), read(t, one, b)},
		numbers)
	assert.Greater(t, numbers[0], numbers[2])
}

func none(t *testing.T, one, _ invalidate.Counters) {
	require.NoError(t, one.Bump(t.Context()))
	numbers, err := one.Read(t.Context())
	require.NoError(t, err)
	assert.Empty(t, numbers)
}

func concurrent(t *testing.T, one, other invalidate.Counters) {
	a, b := name(), name()
	before := read(t, one, a)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c, names := one, []string{a, b}
			if i%2 == 1 {
				c, names = other, []string{b, a} // in reverse order, which must not deadlock
			}
			for range 10 {
				last := read(t, c, a)
				if !assert.NoError(t, c.Bump(t.Context(), names...)) {
					return
				}
				assert.Greater(t, read(t, c, a), last)
			}
		})
	}
	wg.Wait()
	assert.GreaterOrEqual(t, read(t, one, a), before+80)
}
