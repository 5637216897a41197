package inbox_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// BenchmarkHandleEvent measures how much time the inbox adds to an answer, on a store in
// memory.
//
//	go test -run '^$' -bench HandleEvent ./receiver/inbox
func BenchmarkHandleEvent(b *testing.B) {
	const batch = 8192 // to one store: memory is bounded
	events := make([]*event.Event, batch)
	for i := range events {
		e, err := event.Decode(fmt.Appendf(nil,
			`{"event_id":"evt_%032d","event_type":"object.created","occurred_at":"2025-10-08T16:09:00Z","namespace":"acme","collection":"articles","actor":"system","subject":{"type":"object","id":"obj_abc123"},"version":"v1","index_signature":"sig_c1f9","cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},"metadata":{"object_id":"obj_abc123","bucket_id":"bkt_xyz","content_type":"video/mp4","title":"The quick brown fox jumps over the lazy dog","size":48211733,"tags":["a","b","c"]}}`, i))
		require.NoError(b, err)
		events[i] = e
	}
	b.ReportAllocs()
	in, i := newInbox(b, memstore.New(), (&handled{}).HandleEvent), 0
	for b.Loop() {
		if i == batch {
			in, i = newInbox(b, memstore.New(), (&handled{}).HandleEvent), 0
		}
		if err := in.HandleEvent(b.Context(), events[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
