package main

import (
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// newEvent makes an event whose JSON is about 600 bytes long.
func newEvent() *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_abc123"})
	e.Namespace = "acme"
	e.Collection = "articles"
	e.IndexSignature = "sig_c1f9a7b2e4d6"
	e.CacheScope = event.KeyScope("mixpeek:acme:articles:obj_abc123")
	e.Metadata = map[string]any{
		"object_id":    "obj_abc123",
		"bucket_id":    "bkt_xyz",
		"namespace_id": "ns_acme",
		"content_type": "video/mp4",
		"emitted_ns":   strconv.FormatInt(time.Now().UnixNano(), 10),
		"source":       "s3://ingest-eu-west-1/acme/articles/2025/10/08/obj_abc123.mp4",
	}
	return e
}

func examplePayload() []byte {
	payload, err := newEvent().MarshalJSON()
	if err != nil {
		panic(err)
	}
	return payload
}
