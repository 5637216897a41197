package invalidate

import (
	"context"
	"errors"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// Keys deletes keys from a cache; absent ones are no error. As an
// [receiver.Invalidator] it acts on key scopes and leaves others alone.
type Keys func(ctx context.Context, keys ...string) error

// Invalidate deletes the keys of a key scope.
func (f Keys) Invalidate(ctx context.Context, e *event.Event) error {
	if kind(e) != event.ScopeKey || len(e.CacheScope.Keys) == 0 {
		return nil
	}
	return f(ctx, e.CacheScope.Keys...)
}

// Scan deletes all keys that stale reports true for from a cache that can list
// them, which is one in this process's memory. Keys are of the form of
// [event.Key], or at least one that the scope lists.
type Scan func(ctx context.Context, stale func(key string) bool) error

// Invalidate deletes every key that [event.Event.Invalidates] covers.
func (f Scan) Invalidate(ctx context.Context, e *event.Event) error {
	return f(ctx, e.Invalidates)
}

// Multi invalidates by all of the given ones, in their order. One that fails
// does not keep the others from their work; the errors are joined.
func Multi(all ...receiver.Invalidator) receiver.Invalidator {
	return receiver.InvalidatorFunc(func(ctx context.Context, e *event.Event) error {
		var errs []error
		for _, one := range all {
			errs = append(errs, one.Invalidate(ctx, e))
		}
		return errors.Join(errs...)
	})
}

// kind is the scope's kind as it is written; people may spell it in capitals.
func kind(e *event.Event) event.ScopeKind {
	return event.ScopeKind(strings.ToLower(string(e.CacheScope.Kind)))
}

// namespaces and collections list what the event calls those of its scope: a
// cache may have built its keys from any of them. Taking in a name too many
// costs loads, one too few wrong answers.
func namespaces(e *event.Event) []string {
	return distinct(e.CacheScope.NamespaceID, e.CacheScope.Namespace, e.NamespaceID, e.Namespace)
}

func collections(e *event.Event) []string {
	return distinct(e.CacheScope.CollectionID, e.Collection)
}

// distinct keeps each name once, and none that is empty.
func distinct(names ...string) []string {
	var kept []string
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name != "" && !seen[name] {
			seen[name] = true
			kept = append(kept, name)
		}
	}
	return kept
}
