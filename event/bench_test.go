package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// benchEnvelope has the size of a typical envelope, about 600 bytes.
const benchEnvelope = `{"event_id":"evt_0192f0c4a5b87c3d9e1f2a3b4c5d6e7f","event_type":"object.created","occurred_at":"2025-10-08T16:09:00.123456Z",` +
	`"namespace":"acme","collection":"articles","actor":"system","subject":{"type":"object","id":"obj_abc123"},"version":"v1","index_signature":"sig_c1f9a8b7",` +
	`"cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},` +
	`"metadata":{"bucket_id":"bkt_xyz","content_type":"video/mp4","duration_ms":153456,"namespace_id":"ns_acme","object_id":"obj_abc123",` +
	`"tags":["video","hd","eu"],"title":"A title of the usual length, with \"quotes\" in it"}}`

// plain is the envelope as a struct for encoding/json, to compare with. It does not check for
// duplicate names or depth, and loses unknown fields.
type plain struct {
	ID             string         `json:"event_id,omitempty"`
	Type           string         `json:"event_type,omitempty"`
	OccurredAt     time.Time      `json:"occurred_at"`
	Namespace      string         `json:"namespace,omitempty"`
	NamespaceID    string         `json:"namespace_id,omitempty"`
	Collection     string         `json:"collection,omitempty"`
	Actor          string         `json:"actor,omitempty"`
	Subject        plainSubject   `json:"subject"`
	Version        string         `json:"version,omitempty"`
	IndexSignature string         `json:"index_signature,omitempty"`
	CacheScope     *plainScope    `json:"cache_scope_to_invalidate,omitempty"`
	Metadata       map[string]any `json:"metadata,omitempty"`
}

type plainSubject struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type plainScope struct {
	Scope string   `json:"scope"`
	Keys  []string `json:"keys,omitempty"`
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(benchEnvelope)
	b.Run("event", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var p plain
			if err := json.Unmarshal(data, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	data := []byte(benchEnvelope)
	e, err := event.Decode(data)
	require.NoError(b, err)
	var p plain
	require.NoError(b, json.Unmarshal(data, &p))
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.MarshalJSON(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			if buf, err = e.AppendJSON(buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	e, err := event.Decode([]byte(benchEnvelope))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatternMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !event.Pattern("cluster.execution.*").Match(event.ClusterExecutionFailed) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = event.NewID()
	}
}
