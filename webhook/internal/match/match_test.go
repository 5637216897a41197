package match

import (
	"fmt"
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

func TestMemoIsBounded(t *testing.T) {
	t.Parallel()
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
