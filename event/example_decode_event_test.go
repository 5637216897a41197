package event_test

import (
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// Envelopes with names and envelopes with ids decode to the same type.
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

// A DecodeError has the path of the invalid field.
func ExampleDecode_error() {
	_, err := event.Decode([]byte(`{"event_id":"evt_1","subject":{"type":"object","id":42}}`))
	var decode *event.DecodeError
	if errors.As(err, &decode) {
		fmt.Println(decode.Field, decode.Rule)
	}
	// Output: subject.id must be a string
}
