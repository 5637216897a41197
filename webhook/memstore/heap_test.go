package memstore

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type ranked struct{ rank }

// TestHeap compares random pushes, moves and removals with a sorted list.
func TestHeap(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var h heap[*ranked]
	var all []*ranked
	for n := range int64(1_000) {
		switch at := random.Int64N(100); {
		case random.IntN(2) == 0 || len(all) == 0:
			item := &ranked{rank{tie: n}}
			h.push(item, at)
			all = append(all, item)
		case random.IntN(2) == 0:
			h.move(all[random.IntN(len(all))], at)
		default:
			i := random.IntN(len(all))
			h.remove(all[i])
			require.Zero(t, all[i].slot, "what was removed is in no heap")
			all = slices.Delete(all, i, i+1)
		}
		require.Equal(t, len(all), h.len())
		for i, item := range h.items {
			require.Equal(t, i+1, item.slot, "every item knows its place")
		}
	}
	slices.SortFunc(all, func(a, b *ranked) int {
		if a.less(&b.rank) {
			return -1
		}
		return 1
	})
	for _, want := range all {
		require.Same(t, want, h.head())
		h.remove(want)
	}
	require.Zero(t, h.len())
}
