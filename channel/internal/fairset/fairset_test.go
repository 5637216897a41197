package fairset_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/fairset"
)

// What belongs to one owner goes in the order in which it came.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	var s fairset.Set[int]
	assert.Nil(t, s.Victim())
	items := make([]*fairset.Item[int], 5)
	for i := range items {
		items[i] = &fairset.Item[int]{Value: i}
		s.Add(items[i], "")
	}
	s.Touch(items[0])
	s.Remove(items[2])
	var gone []int
	for s.Len() > 0 {
		it := s.Victim()
		gone = append(gone, it.Value)
		s.Remove(it)
	}
	assert.Equal(t, []int{1, 3, 4, 0}, gone)
	assert.Nil(t, s.Victim())
}

// Who uses everything that others use, and adds without end, takes nothing away from them.
func TestUsingTakesNothingAway(t *testing.T) {
	t.Parallel()
	const limit = 10
	var s fairset.Set[string]
	shared := &fairset.Item[string]{Value: "shared"}
	s.Add(shared, "victim")
	add := func(it *fairset.Item[string], owner string) {
		if s.Add(it, owner); s.Len() > limit {
			gone := s.Victim()
			require.Equal(t, "attacker", gone.Value)
			s.Remove(gone)
		}
	}
	use := func(it *fairset.Item[string], owner string) {
		s.Remove(it)
		s.Add(it, owner)
	}
	use(shared, "attacker") // before it has anything of its own
	for range 100 {
		add(&fairset.Item[string]{Value: "attacker"}, "attacker")
		use(shared, "attacker")
	}
	assert.Equal(t, limit, s.Len())

	// What the attacker has added goes, although others use it, and what they add then stays.
	first := &fairset.Item[string]{Value: "attacker"}
	add(first, "attacker")
	use(first, "victim")
	for range limit {
		add(&fairset.Item[string]{Value: "attacker"}, "attacker")
	}
	again := &fairset.Item[string]{Value: "victim"}
	add(again, "victim")
	for range limit {
		use(again, "attacker")
		add(&fairset.Item[string]{Value: "attacker"}, "attacker")
	}
	s.Remove(shared)
	s.Remove(again)
	assert.Equal(t, limit-2, s.Len())
}

// Random uses, against a list that is searched.
func TestRandomly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	type entry struct {
		it    *fairset.Item[int]
		owner string
	}
	var s fairset.Set[int]
	var list []entry // the oldest first
	for i := range 3000 {
		action := random.IntN(30)
		owner := string(rune('a' + min(random.IntN(8), random.IntN(8))))
		switch n := len(list); {
		case n > 0 && action < 10: // it is used again
			at := random.IntN(n)
			e := list[at]
			list = slices.Delete(list, at, at+1)
			s.Remove(e.it)
			s.Add(e.it, owner) // and counts for whom it counted before
			list = append(list, e)
		case n > 0 && action < 12:
			at := random.IntN(n)
			s.Remove(list[at].it)
			list = slices.Delete(list, at, at+1)
		case n > 0 && action < 14:
			at := random.IntN(n)
			e := list[at]
			s.Touch(e.it)
			list = append(slices.Delete(list, at, at+1), e)
		default:
			it := &fairset.Item[int]{Value: i}
			s.Add(it, owner)
			list = append(list, entry{it, owner})
		}
		require.Equal(t, len(list), s.Len())
		if len(list) == 0 {
			require.Nil(t, s.Victim())
			continue
		}
		counts := map[string]int{}
		for _, e := range list {
			counts[e.owner]++
		}
		most := list[0]
		for _, e := range list {
			if counts[e.owner] > counts[most.owner] {
				most = e
			}
		}
		require.Equal(t, most.it.Value, s.Victim().Value)
		if len(list) > 30 {
			s.Remove(most.it)
			list = slices.DeleteFunc(list, func(e entry) bool { return e == most })
		}
	}
}
