package invalidate

import (
	"context"
	"errors"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// Keys is a function that deletes keys from a cache, and returns nil for absent ones. It must be
// safe for concurrent use. As a [receiver.Invalidator] it acts on key scopes only.
type Keys func(ctx context.Context, keys ...string) error

// Invalidate deletes the keys of a key scope.
func (f Keys) Invalidate(ctx context.Context, e *event.Event) error {
	if kind(e) != event.ScopeKey || len(e.CacheScope.Keys) == 0 {
		return nil
	}
	return f(ctx, e.CacheScope.Keys...)
}

// Scan is a function that deletes all keys for which stale returns true from a cache that can list
// its keys, such as one in memory. Keys have the form of [event.CacheKey], or the form in which key
// scopes list them. For keys with another prefix, write a [receiver.InvalidatorFunc] that calls
// [event.CacheKeys.Invalidated]. It must be safe for concurrent use.
type Scan func(ctx context.Context, stale func(key string) bool) error

// Invalidate deletes every key that [event.Event.Invalidates] covers.
func (f Scan) Invalidate(ctx context.Context, e *event.Event) error {
	return f(ctx, e.Invalidates)
}

// Multi returns an Invalidator that calls all the given ones in order, even if one fails,
// and joins their errors.
func Multi(all ...receiver.Invalidator) receiver.Invalidator {
	return receiver.InvalidatorFunc(func(ctx context.Context, e *event.Event) error {
		var errs []error
		for _, one := range all {
			errs = append(errs, one.Invalidate(ctx, e))
		}
		return errors.Join(errs...)
	})
}

// kind returns the kind of the event's scope, which senders may write in capitals.
func kind(e *event.Event) event.ScopeKind { return e.CacheScope.Kind.Lower() }

// namespaces and collections return the names that the event has for those of its scope. A
// cache may have built its keys from any of them. A name too many costs loads, and one too
// few would leave stale answers.
func namespaces(e *event.Event) []string {
	return distinct(e.CacheScope.NamespaceID, e.CacheScope.Namespace, e.NamespaceID, e.Namespace)
}

func collections(e *event.Event) []string {
	return distinct(e.CacheScope.CollectionID, e.Collection)
}

// distinct returns each name once, without empty ones.
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
