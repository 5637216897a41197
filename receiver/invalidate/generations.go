package invalidate

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mixpeek/webhooks-go/event"
)

// Generations puts two numbers into cache keys, one for the namespace and one for the
// collection. It invalidates a whole collection or namespace by changing the number, so that
// no reader finds entries with the old number. Those stay in the cache for the time being,
// so entries need a lifetime or the cache a bound. Readers and writers of the cache get
// their keys from [Generations.Key]. It is safe for concurrent use.
//
// Keys may be built from names or from ids, but in the same way everywhere. The number of a
// collection does not depend on its namespace: if two collections have one name, both become
// stale.
type Generations struct {
	counters Counters
	config   GenerationsConfig
}

// GenerationsConfig configures [Generations].
type GenerationsConfig struct {
	// Remove deletes single keys from the cache, for key scopes. Nil ignores key scopes.
	Remove Keys
	// CacheKeys is the form of the keys. The zero value is the wire contract's.
	CacheKeys event.CacheKeys
}

// NewGenerations returns Generations whose numbers are in counters, which must not be nil.
func NewGenerations(counters Counters, config GenerationsConfig) *Generations {
	return &Generations{counters: counters, config: config}
}

// Key returns the key under which the cache has the object: its cache key with the numbers.
// Call it once, before the object is loaded: if the object becomes stale during the load, it
// must be stored under the old key. If the counters fail, load the object and do not store
// it.
//
// Call it only for namespaces and collections that exist: counters that processes share keep a
// number for each name that was read, for a month or more.
func (g *Generations) Key(
	ctx context.Context, namespace, collection, object string,
) (string, error) {
	numbers, err := g.counters.Read(ctx, namespaceCounter(namespace), collectionCounter(collection))
	if err != nil {
		return "", fmt.Errorf("invalidate: generations: %w", err)
	}
	return g.key(namespace, collection, object, numbers[0], numbers[1]), nil
}

// Invalidate makes what the event's scope covers unreachable.
func (g *Generations) Invalidate(ctx context.Context, e *event.Event) error {
	var counters []string
	switch kind(e) {
	case event.ScopeKey:
		return g.removeKeys(ctx, e.CacheScope.Keys)
	case event.ScopeCollection:
		for _, name := range collections(e) {
			counters = append(counters, collectionCounter(name))
		}
	case event.ScopeNamespace:
		for _, name := range namespaces(e) {
			counters = append(counters, namespaceCounter(name))
		}
	}
	if len(counters) == 0 {
		return nil
	}
	if err := g.counters.Bump(ctx, counters...); err != nil {
		return fmt.Errorf("invalidate: generations: %w", err)
	}
	return nil
}

// removeKeys deletes keys with their present numbers. Keys that do not have the form of
// the cache's keys are deleted as they are.
func (g *Generations) removeKeys(ctx context.Context, keys []string) error {
	if g.config.Remove == nil || len(keys) == 0 {
		return nil
	}
	// Nearly all keys of a scope are of one collection.
	var names []string
	for _, key := range keys {
		if namespace, collection, _, ok := g.config.CacheKeys.Split(key); ok {
			names = append(names, namespaceCounter(namespace), collectionCounter(collection))
		}
	}
	numbers := make(map[string]int64)
	for chunk := range slices.Chunk(distinct(names...), maxRead) {
		read, err := g.counters.Read(ctx, chunk...)
		if err != nil {
			return fmt.Errorf("invalidate: generations: %w", err)
		}
		for i, name := range chunk {
			numbers[name] = read[i]
		}
	}
	stored := make([]string, len(keys))
	for i, key := range keys {
		stored[i] = key
		if namespace, collection, object, ok := g.config.CacheKeys.Split(key); ok {
			stored[i] = g.key(namespace, collection, object,
				numbers[namespaceCounter(namespace)], numbers[collectionCounter(collection)])
		}
	}
	return g.config.Remove(ctx, stored...)
}

// maxRead bounds how many numbers one call reads: databases bound the parameters of a statement.
const maxRead = 500

// key returns the cache key of an object with its numbers.
func (g *Generations) key(
	namespace, collection, object string, ofNamespace, ofCollection int64,
) string {
	return g.config.CacheKeys.Key(namespace, collection, object) +
		"@" + strconv.FormatInt(ofNamespace, 36) + "." + strconv.FormatInt(ofCollection, 36)
}

func namespaceCounter(name string) string  { return "namespace/" + name }
func collectionCounter(name string) string { return "collection/" + name }
