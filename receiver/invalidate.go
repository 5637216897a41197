package receiver

import (
	"context"

	"github.com/mixpeek/webhooks-go/event"
)

// An Invalidator drops from caches what an event says is stale. Package
// invalidate has several.
//
// Invalidate is called with events whose CacheScope is not nil. It returns when
// a reader can no longer be served what the scope covers, so that the event may
// count as done. It may be called again for the same event, also for one that was
// handled long ago, and concurrently.
// A scope of a kind that it does not know is not an error, because sending the
// event again would not help.
type Invalidator interface {
	Invalidate(ctx context.Context, e *event.Event) error
}

// InvalidatorFunc is a function used as an Invalidator.
type InvalidatorFunc func(ctx context.Context, e *event.Event) error

// Invalidate calls f.
func (f InvalidatorFunc) Invalidate(ctx context.Context, e *event.Event) error { return f(ctx, e) }
