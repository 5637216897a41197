package invalidate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
	"github.com/mixpeek/webhooks-go/receiver/invalidate/counterstest"
)

func TestMemoryCounters(t *testing.T) {
	t.Parallel()
	c := invalidate.NewMemoryCounters()
	counterstest.Run(t, func(*testing.T) invalidate.Counters { return c })
}

// No number of an earlier process returns, or a shared cache would serve stale entries.
func TestMemoryCountersStartAtTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := invalidate.NewMemoryCounters()
		require.NoError(t, first.Bump(t.Context(), "a"))
		before, err := first.Read(t.Context(), "a", "b")
		require.NoError(t, err)
		time.Sleep(time.Second)
		after, err := invalidate.NewMemoryCounters().Read(t.Context(), "a", "b")
		require.NoError(t, err)
		assert.Greater(t, after[0], before[0])
		assert.Greater(t, after[1], before[1])
	})
}

// cache is a map that can be scanned.
type cache struct {
	mu      sync.Mutex
	entries map[string]string
}

func newCache(keys ...string) *cache {
	c := &cache{entries: make(map[string]string)}
	for _, key := range keys {
		c.entries[key] = "value"
	}
	return c
}

func (c *cache) remove(_ context.Context, keys ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.entries, key)
	}
	return nil
}

func (c *cache) scan(_ context.Context, stale func(string) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.entries {
		if stale(key) {
			delete(c.entries, key)
		}
	}
	return nil
}

func (c *cache) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for key := range c.entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func scoped(scope *event.CacheScope) *event.Event { return &event.Event{CacheScope: scope} }

// objects are the objects in the caches of the tests.
var objects = [][3]string{
	{"acme", "articles", "obj_1"}, {"acme", "articles", "obj_2"}, {"acme", "videos", "obj_1"},
	{"ns_acme", "col_articles", "obj_1"}, {"other", "articles", "obj_1"}, {"other", "col_articles",
		"obj:1"},
	{"a b", "c,d", "e%f"},
}

var events = map[string]*event.Event{
	"key": scoped(event.KeyScope(event.CacheKey("acme", "articles", "obj_1"))),
	"keys": scoped(event.KeyScope(event.CacheKey("acme", "articles", "obj_2"),
		event.CacheKey("a b", "c,d", "e%f"))),
	"collection by id": scoped(event.CollectionScope("col_articles")),
	"collection by name": {Namespace: "acme", Collection: "articles",
		CacheScope: event.CollectionScope("col_1")},
	"collection, anywhere": {Collection: "articles", CacheScope: event.CollectionScope("col_1")},
	"namespace by id":      scoped(event.NamespaceScope("ns_acme")),
	"namespace by name":    scoped(&event.CacheScope{Kind: "NAMESPACE", Namespace: "acme"}),
	"namespace, both":      {Namespace: "acme", CacheScope: event.NamespaceScope("ns_acme")},
	"separators":           scoped(event.NamespaceScope("a b")),
	"unknown kind":         scoped(&event.CacheScope{Kind: "galaxy"}),
	"empty scope":          scoped(&event.CacheScope{Kind: event.ScopeCollection}),
}

// Every Invalidator drops at least what event.Invalidates covers.
func TestNothingStaleIsLeft(t *testing.T) {
	t.Parallel()
	for name, e := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			var purged []string
			tags, err := invalidate.NewTags(func(_ context.Context, tags []string) error {
				purged = append(purged, tags...)
				return nil
			}, invalidate.TagsConfig{})
			require.NoError(t, err)
			plain, keyed := newCache(), newCache()
			generations := invalidate.NewGenerations(invalidate.NewMemoryCounters(),
				invalidate.GenerationsConfig{Remove: keyed.remove})
			key := func(o [3]string) string {
				k, err := generations.Key(ctx, o[0], o[1], o[2])
				require.NoError(t, err)
				return k
			}
			for _, o := range objects {
				plain.entries[event.CacheKey(o[0], o[1], o[2])] = "value"
				keyed.entries[key(o)] = "value"
			}
			all := invalidate.Multi(invalidate.Scan(plain.scan), generations, tags)
			require.NoError(t, all.Invalidate(ctx, e))
			for _, o := range objects {
				stale := e.Invalidates(event.CacheKey(o[0], o[1], o[2]))
				assert.Equal(t, !stale, slices.Contains(plain.keys(), event.CacheKey(o[0], o[1], o[2])),
					"scan: %v", o)
				if stale {
					assert.NotContains(t, keyed.keys(), key(o), "generations")
					assert.True(t, slices.ContainsFunc(invalidate.ResponseTags(event.CacheKey(o[0], o[1], o[2]),
						o[0], o[1]),
						func(tag string) bool {
							return slices.Contains(purged, tag)
						}), "tags: %v", o)
				}
			}
			if len(purged) == 0 {
				assert.Contains(t, []string{"unknown kind", "empty scope"}, name)
			}
		})
	}
}

// If a collection becomes stale while a reader loads from it, no reader finds what that one
// stores.
func TestGenerationsBeatALoadInFlight(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), newCache()
	g := invalidate.NewGenerations(invalidate.NewMemoryCounters(),
		invalidate.GenerationsConfig{Remove: c.remove})
	before, err := g.Key(ctx, "acme", "col_1", "obj_1")
	require.NoError(t, err)
	require.NoError(t, g.Invalidate(ctx, scoped(event.CollectionScope("col_1"))))
	c.entries[before] = "stale"
	after, err := g.Key(ctx, "acme", "col_1", "obj_1")
	require.NoError(t, err)
	assert.NotContains(t, c.entries, after)
	namespace, collection, _, ok := event.SplitCacheKey(after)
	assert.True(t, ok && namespace == "acme" && collection == "col_1",
		"the key is still one of event.CacheKey's form: %s", after)
}

func TestGenerationsLeaveOthersAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := invalidate.NewGenerations(invalidate.NewMemoryCounters(), invalidate.GenerationsConfig{})
	before, err := g.Key(ctx, "acme", "col_1", "obj_1")
	require.NoError(t, err)
	for _, e := range []*event.Event{
		scoped(event.CollectionScope("col_2")), scoped(event.NamespaceScope("other")),
		scoped(event.KeyScope(event.CacheKey("acme", "col_1", "obj_1"))),
		// nothing deletes single keys here
	} {
		require.NoError(t, g.Invalidate(ctx, e))
	}
	after, err := g.Key(ctx, "acme", "col_1", "obj_1")
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

var errDown = errors.New("down")

type brokenCounters struct{}

func (brokenCounters) Bump(context.Context, ...string) error            { return errDown }
func (brokenCounters) Read(context.Context, ...string) ([]int64, error) { return nil, errDown }

// Invalidate fails if the counters fail.
func TestGenerationsStoreDown(t *testing.T) {
	t.Parallel()
	g := invalidate.NewGenerations(brokenCounters{},
		invalidate.GenerationsConfig{Remove: newCache().remove})
	_, err := g.Key(t.Context(), "acme", "articles", "obj_1")
	require.ErrorIs(t, err, errDown)
	for _, name := range []string{"key", "collection by id", "namespace by id"} {
		assert.ErrorIs(t, g.Invalidate(t.Context(), events[name]), errDown, name)
	}
}

// countingCounters count the calls of Read, and the most names of one.
type countingCounters struct {
	invalidate.Counters
	reads, most int
}

func (c *countingCounters) Read(ctx context.Context, names ...string) ([]int64, error) {
	c.reads, c.most = c.reads+1, max(c.most, len(names))
	return c.Counters.Read(ctx, names...)
}

// The numbers of many keys are read at once, each of them once.
func TestGenerationsReadNumbersOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ collections, reads, most int }{{1, 1, 2}, {3, 1, 4}, {1000, 3, 500}} {
		ctx, c := t.Context(), newCache()
		counters := &countingCounters{Counters: invalidate.NewMemoryCounters()}
		g := invalidate.NewGenerations(counters, invalidate.GenerationsConfig{Remove: c.remove})
		var keys []string
		for i := range 1000 {
			collection, object := fmt.Sprint("c", i%tt.collections), fmt.Sprint("obj_", i)
			// Each collection has a number of its own.
			if i%7 == 0 {
				require.NoError(t, g.Invalidate(ctx, scoped(event.CollectionScope(collection))))
			}
			keys = append(keys, event.CacheKey("acme", collection, object))
		}
		for i := range 1000 {
			key, err := g.Key(ctx, "acme", fmt.Sprint("c", i%tt.collections), fmt.Sprint("obj_", i))
			require.NoError(t, err)
			c.entries[key] = "value"
		}
		c.entries["own"], keys = "value", append(keys, "own")
		counters.reads, counters.most = 0, 0
		require.NoError(t, g.Invalidate(ctx, scoped(event.KeyScope(keys...))))
		require.Empty(t, c.keys())
		assert.Equal(t, tt.reads, counters.reads)
		assert.Equal(t, tt.most, counters.most)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	c := newCache("a", "b", "c")
	keys := invalidate.Keys(c.remove)
	require.NoError(t, keys.Invalidate(t.Context(), scoped(event.KeyScope("a", "b", "absent"))))
	require.NoError(t, keys.Invalidate(t.Context(), scoped(event.CollectionScope("c"))))
	require.NoError(t, keys.Invalidate(t.Context(), scoped(event.KeyScope())))
	kelvin := &event.CacheScope{Kind: "\u212aEY", Keys: []string{"c"}} // folds to a k in Unicode
	require.NoError(t, keys.Invalidate(t.Context(), scoped(kelvin)))
	assert.Equal(t, []string{"c"}, c.keys())
}

// Multi calls all Invalidators even if one fails.
func TestMulti(t *testing.T) {
	t.Parallel()
	c := newCache("a")
	failing := receiver.InvalidatorFunc(func(context.Context, *event.Event) error {
		return errDown
	})
	err := invalidate.Multi(failing, invalidate.Keys(c.remove), failing).Invalidate(t.Context(),
		scoped(event.KeyScope("a")))
	assert.ErrorIs(t, err, errDown)
	assert.Empty(t, c.keys())
	assert.NoError(t, invalidate.Multi().Invalidate(t.Context(), scoped(event.KeyScope("a"))))
}

func TestTags(t *testing.T) {
	t.Parallel()
	var calls [][]string
	fail := true
	tags, err := invalidate.NewTags(func(_ context.Context, tags []string) error {
		calls = append(calls, slices.Clone(tags))
		if fail {
			fail = false
			return errDown
		}
		return nil
	}, invalidate.TagsConfig{Max: 2})
	require.NoError(t, err)
	e := scoped(event.KeyScope("mixpeek:acme:articles:1", "b", "b", "c d,é"))
	require.ErrorIs(t, tags.Invalidate(t.Context(), e), errDown)
	assert.Equal(t, [][]string{{"mixpeek:acme:articles:1", "b"}, {"c%20d%2C%C3%A9"}}, calls,
		"the second call is made although the first failed")

	assert.Equal(t, []string{"mixpeek:acme:articles:1", "collection:articles", "namespace:acme"},
		invalidate.ResponseTags(event.CacheKey("acme", "articles", "1"), "acme", "articles"))

	_, err = invalidate.NewTags(nil, invalidate.TagsConfig{Max: -1})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Problems, 2)
	assert.NotContains(t, err.Error(), "\n")
}

// TestGenerationsOfAnotherPrefix has a service whose keys begin with its own name.
func TestGenerationsOfAnotherPrefix(t *testing.T) {
	t.Parallel()
	c := newCache()
	g := invalidate.NewGenerations(invalidate.NewMemoryCounters(), invalidate.GenerationsConfig{
		Remove: c.remove, CacheKeys: event.CacheKeys{Prefix: "shop"},
	})
	key, err := g.Key(t.Context(), "acme", "articles", "1")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(key, "shop:acme:articles:1@"), key)
	c.entries[key] = "value"
	require.NoError(t, g.Invalidate(t.Context(), scoped(event.KeyScope("shop:acme:articles:1"))))
	require.Empty(t, c.keys(), "the key is deleted with its numbers")

	key, err = g.Key(t.Context(), "", "articles", "1") // types of one's own need no namespace
	require.NoError(t, err)
	c.entries[key] = "value"
	require.NoError(t, g.Invalidate(t.Context(), scoped(event.KeyScope("shop::articles:1"))))
	require.Empty(t, c.keys(), "without a namespace too")
}
