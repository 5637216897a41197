package receiver

import (
	"context"

	"github.com/mixpeek/webhooks-go/event"
)

// An Invalidator drops from caches what an event makes stale. Package invalidate has
// several.
//
// Invalidate is called with events whose CacheScope is not nil. It returns nil when no
// reader can get from the cache what the scope covers; then the event is done. It may be
// called concurrently, and again for the same event, even long after that was handled. It
// ignores a scope of an unknown kind, because an error would only make the sender send the
// event again.
type Invalidator interface {
	// Invalidate drops what the event makes stale.
	Invalidate(ctx context.Context, e *event.Event) error
}

// InvalidatorFunc is a function that is an Invalidator.
type InvalidatorFunc func(ctx context.Context, e *event.Event) error

// Invalidate calls f.
func (f InvalidatorFunc) Invalidate(ctx context.Context, e *event.Event) error { return f(ctx, e) }
