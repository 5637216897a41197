package match

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func target(id, channel string) Target {
	return Target{Endpoint: webhook.Endpoint{SubscriptionID: id, Channel: channel}, Revision: 3}
}

// route makes the route of a subscription that was created so many seconds after the first.
func route(second int, id string, patterns []event.Pattern, channels ...string) Route {
	r := Route{At: webhook.SubscriptionCursor{CreatedAt: time.Unix(int64(second), 0), ID: id},
		EventTypes: patterns}
	for _, channel := range channels {
		r.Targets = append(r.Targets, target(id, channel))
	}
	return r
}

func all() []event.Pattern { return []event.Pattern{event.MatchAll} }

func TestTargets(t *testing.T) {
	t.Parallel()
	var empty *Table
	assert.Empty(t, empty.Targets("object.created"))
	table := empty.With(
		route(2, "wh_2", []event.Pattern{"invoice.paid"}, "webhook"),
		route(1, "wh_b", all(), "email"),
		route(1, "wh_a", []event.Pattern{"object.*", "object.created"}, "webhook", "slack", "webhook#2"),
	)
	for range 2 { // computed, then remembered
		assert.Equal(t, []Target{target("wh_a", "webhook"), target("wh_a", "slack"),
			target("wh_a", "webhook#2"), target("wh_b", "email")},
			table.Targets("object.created"))
		assert.Equal(t, []Target{target("wh_b", "email"), target("wh_2", "webhook")},
			table.Targets("invoice.paid"))
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	var empty *Table
	before := empty.With(route(1, "wh_1", all(), "webhook"), route(2, "wh_2", all(), "webhook"))
	require.Len(t, before.Targets("a.b"), 2)
	after := before.With(
		route(1, "wh_1", all()), // deleted
		route(2, "wh_2", []event.Pattern{"c.d"}, "webhook"),
		route(2, "wh_2", all(), "slack"), // changed again
		route(0, "wh_0", all(), "email"),
	)
	assert.Equal(t, []Target{target("wh_0", "email"), target("wh_2", "slack")}, after.Targets("a.b"))
	assert.Equal(t, []Target{target("wh_1", "webhook"), target("wh_2", "webhook")},
		before.Targets("a.b"), "a table does not change")

	assert.Equal(t, before.Size(), after.Size(), "as many routes of the same shape take as much")
	gone := after.With(route(0, "wh_0", nil), route(2, "wh_2", nil))
	assert.Zero(t, gone.Size(), "what is gone takes nothing")
	assert.Zero(t, empty.Size())
}

// A table answers as a list of all routes would that is read from the first to the last, after any
// changes, and so do the tables before.
func TestAnyChanges(t *testing.T) {
	t.Parallel()
	patterns := []event.Pattern{"*", "a.*", "a.b", "a.b.*", "a.b.c", "b.*", "b.c", "", ".", ".*", "a.", "a*",
		"a.*.c", "**", "a.b.c*"}
	types := []string{"a.b", "a.b.c", "a.c", "b.c", "b.c.d.e", "a", "a.", ".a", ".", "", "*", "a.*", "a*",
		"a.b.c*", "a..b"}
	seeds := uint64(100)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		known := map[string]Route{}
		table, tables, want := (*Table)(nil), []*Table{}, [][][]Target{}
		for range 1 + r.IntN(40) {
			changes := make([]Route, r.IntN(4))
			for i := range changes {
				list := make([]event.Pattern, r.IntN(6))
				for j := range list {
					list[j] = patterns[r.IntN(len(patterns))]
				}
				changes[i] = route(r.IntN(5), fmt.Sprint("wh_", r.IntN(30)), list)
				for j := range r.IntN(3) {
					changes[i].Targets = append(changes[i].Targets,
						Target{Endpoint: webhook.Endpoint{SubscriptionID: changes[i].At.ID}, EndpointID: int64(j),
							Revision: r.Int64()})
				}
				known[changes[i].At.ID] = changes[i]
			}
			table = table.With(changes...)
			tables, want = append(tables, table), append(want, expected(known, types))
		}
		for i, table := range tables {
			for j, eventType := range types {
				require.Equal(t, want[i][j], slices.Clone(table.Targets(eventType)), "seed %d, table %d, type %q",
					seed, i, eventType)
			}
		}
		require.Less(t, len(table.levels), 8)
		require.LessOrEqual(t, len(table.gone), len(table.routes))
	}
}

// expected returns where events of each type go.
func expected(known map[string]Route, types []string) [][]Target {
	routes := slices.SortedFunc(maps.Values(known), func(a, b Route) int {
		return cmp.Or(a.At.CreatedAt.Compare(b.At.CreatedAt), cmp.Compare(a.At.ID, b.At.ID))
	})
	targets := make([][]Target, len(types))
	for i, eventType := range types {
		for _, r := range routes {
			sub := webhook.Subscription{EventTypes: r.EventTypes}
			if sub.Matches(eventType) {
				targets[i] = append(targets[i], r.Targets...)
			}
		}
	}
	return targets
}

// Emitters of ever new types, and a webhook that changes meanwhile, made each event cost as many
// matches as there are webhooks and patterns. Now a type is looked up in few levels, a few times in
// each: with each of its own prefixes.
func TestNewTypesCostWhatTheyMatch(t *testing.T) {
	t.Parallel()
	var table *Table
	const webhooks, patterns, levels = 500, 5, 10 // 2^9 is more than there are webhooks
	change := func(i int) {
		own := make([]event.Pattern, patterns)
		for j := range own {
			own[j] = event.Pattern(fmt.Sprintf("type_%d.of_%d", j, i))
		}
		table = table.With(route(i, fmt.Sprint("wh_", i), own, "webhook"))
		require.LessOrEqual(t, len(table.levels), levels)
		indexed := 0
		for _, x := range table.levels {
			indexed += len(x.routes)
		}
		require.LessOrEqual(t, indexed, 2*len(table.routes), "with those that are gone")
	}
	for i := range webhooks {
		change(i)
		change(i / 2)
	}
	require.Len(t, table.Targets("type_4.of_499"), 1)
	require.Empty(t, table.Targets("new.type"))
}

func TestMemoIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	var empty *Table
	table := empty.With(route(1, "wh_1", all(), "webhook"))
	for i := range maxMemo + 10 {
		require.Len(t, table.Targets(fmt.Sprint("type.", i)), 1)
	}
	require.LessOrEqual(t, len(table.memo), maxMemo,
		"emitters of ever new types must not take ever more memory")

	wide := empty.With(route(1, "wh_1", all(), slices.Repeat([]string{"webhook"}, 1<<16)...))
	for i := range 10 {
		require.Len(t, wide.Targets(fmt.Sprint("type.", i)), 1<<16)
	}
	memoized := 0
	for _, targets := range wide.memo {
		memoized += len(targets)
	}
	require.LessOrEqual(t, memoized, maxMemoized, "nor those of an organization with many endpoints")
	require.Equal(t, memoized, wide.memoized)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var empty *Table
	table := empty.With(route(1, "wh_1", all(), "webhook"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				assert.Len(t, table.Targets(fmt.Sprint("type.", i)), 1)
				assert.Len(t, table.With(route(i, fmt.Sprint("another_", i), all(), "slack")).Targets("a.b"), 2)
			}
		})
	}
	wg.Wait()
}
