package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Make an event and encode it.
func ExampleNew() {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_abc123"})
	e.Namespace, e.Collection = "acme", "articles"
	e.Metadata = map[string]any{"bucket_id": "bkt_xyz", "size": 1048576}
	e.CacheScope = e.DefaultScope()

	// Only for this example: the same id and time on each run.
	e.ID, e.OccurredAt = "evt_abc123", time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)

	if err := e.Validate(); err != nil {
		panic(err)
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(data))
	// Output:
	// {
	//   "event_id": "evt_abc123",
	//   "event_type": "object.created",
	//   "occurred_at": "2025-10-08T16:09:00Z",
	//   "namespace": "acme",
	//   "collection": "articles",
	//   "actor": "system",
	//   "subject": {
	//     "type": "object",
	//     "id": "obj_abc123"
	//   },
	//   "version": "v1",
	//   "cache_scope_to_invalidate": {
	//     "scope": "key",
	//     "keys": [
	//       "mixpeek:acme:articles:obj_abc123"
	//     ]
	//   },
	//   "metadata": {
	//     "bucket_id": "bkt_xyz",
	//     "size": 1048576
	//   }
	// }
}

// A type of your own needs no registration and no namespace.
func ExampleNew_ownType() {
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_42"})
	e.CacheScope = event.KeyScope("invoice:inv_42")
	fmt.Println(e.Validate())
	// Output: <nil>
}

// Validate reports all problems at once.
func ExampleEvent_Validate() {
	e, err := event.Decode([]byte(
		`{"event_type":"Object.Created","namespace":"acme","subject":{"type":"object"},"version":"v1","actor":"system"}`))
	if err != nil {
		panic(err)
	}
	var invalid *event.ValidationError
	if errors.As(e.Validate(), &invalid) {
		for _, p := range invalid.Problems {
			fmt.Println(p.Path(), p.Code)
		}
	}
	// Output:
	// [event_id] required
	// [event_type] invalid
	// [occurred_at] required
	// [subject id] required
}
