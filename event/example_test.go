package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Making an event and what it looks like on the wire.
func ExampleNew() {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_abc123"})
	e.Namespace, e.Collection = "acme", "articles"
	e.Metadata = map[string]any{"bucket_id": "bkt_xyz", "size": 1048576}
	e.CacheScope = e.DefaultScope()

	// Id and time of their own would make another output each time.
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

// Both spellings of the envelope decode to the same fields.
func ExampleDecode() {
	for _, data := range []string{
		`{"event_id":"evt_1","namespace":"prod","cache_scope_to_invalidate":{"scope":"COLLECTION","collection_id":"col_1"}}`,
		`{"event_id":"evt_2","namespace_id":"ns_prod","cache_scope":{"scope":"collection","collection_id":"col_1"}}`,
	} {
		e, err := event.Decode([]byte(data))
		if err != nil {
			panic(err)
		}
		fmt.Println(e.ID, e.Namespace+e.NamespaceID, e.CacheScope.Kind, e.CacheScope.CollectionID)
	}
	// Output:
	// evt_1 prod collection col_1
	// evt_2 ns_prod collection col_1
}

// An error names the field that is wrong.
func ExampleDecode_error() {
	_, err := event.Decode([]byte(`{"event_id":"evt_1","subject":{"type":"object","id":42}}`))
	var decode *event.DecodeError
	if errors.As(err, &decode) {
		fmt.Println(decode.Field, decode.Rule)
	}
	// Output: subject.id must be a string
}

// Validation names everything that is wrong at once.
func ExampleEvent_Validate() {
	e, err := event.Decode([]byte(`{"event_type":"Object.Created","namespace":"acme","subject":{"type":"object"},"version":"v1","actor":"system"}`))
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

func ExamplePattern_Match() {
	for _, p := range []event.Pattern{"*", "object.*", "object.created", "objects.*"} {
		fmt.Println(p, p.Match(event.ObjectCreated))
	}
	fmt.Println(event.Pattern("*.created").Validate())
	// Output:
	// * true
	// object.* true
	// object.created true
	// objects.* false
	// must have "*" alone or as the last of several segments, as in "object.*"
}

// A cache scope says which keys to drop. The event's own fields tell what a
// scope by id is called by name.
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

// A check of your own can report its problems the same way.
func ExampleProblems() {
	check := func(name, url string) error {
		var p event.Problems
		if name == "" {
			p.Required("name")
		}
		if len(url) > 10 {
			p.Add("url", "must be at most %d characters", 10)
		}
		return p.Err()
	}
	var all event.Problems
	all.AddError("targets[0]", check("", "https://example.com"))
	all.AddError("targets[1]", check("a", "b"))
	fmt.Println(all.Err())
	// Output: invalid: targets[0].name: is required; targets[0].url: must be at most 10 characters
}
