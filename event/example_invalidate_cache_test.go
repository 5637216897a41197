package event_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// Find out which cache keys are stale. The scope has only the id of the collection, the event has
// its name too: Invalidates finds keys made of either.
func ExampleEvent_Invalidates() {
	e := &event.Event{
		Type: event.CollectionUpdated, Namespace: "acme", Collection: "articles",
		CacheScope: event.CollectionScope("col_7"),
	}
	fmt.Println(e.Invalidates(event.CacheKey("acme", "col_7", "obj_1")))
	fmt.Println(e.Invalidates(event.CacheKey("acme", "articles", "obj_1")))
	fmt.Println(e.Invalidates(event.CacheKey("acme", "videos", "obj_1")))
	fmt.Println(e.CacheScope.Covers(event.CacheKey("acme", "articles", "obj_1")))
	// Output:
	// true
	// true
	// false
	// false
}
