package receiver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// discard is a response that goes nowhere, on a connection that knows deadlines.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header             { return d.header }
func (d *discard) Write(p []byte) (int, error)     { return len(p), nil }
func (d *discard) WriteHeader(int)                 {}
func (d *discard) SetReadDeadline(time.Time) error { return nil }

// batch is how many events are sent to one receiver: enough to take in the
// growth of its memory, few enough to be made in advance.
const batch = 8192

// BenchmarkHandler measures what the middleware costs for a new event of about
// 600 bytes, beside a handler that only reads and decodes the body. Subtract
// that to see what verifying, claiming and settling cost.
//
//	go test -run '^$' -bench Handler ./receiver
func BenchmarkHandler(b *testing.B) {
	now := stamp(0)
	bodies, headers := make([][]byte, batch), make([]http.Header, batch)
	for i := range bodies {
		id := fmt.Sprintf("evt_%032d", i)
		body := fmt.Sprintf(`{"event_id":%q,"event_type":"object.created","occurred_at":"2025-10-08T16:09:00Z","namespace":"acme","collection":"articles","actor":"system","subject":{"type":"object","id":"obj_abc123"},"version":"v1","index_signature":"sig_c1f9","cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},"metadata":{"object_id":"obj_abc123","bucket_id":"bkt_xyz","namespace_id":"ns_acme","content_type":"video/mp4","title":"The quick brown fox jumps over the lazy dog","size":48211733,"duration":93.4,"tags":["a","b","c"],"uploaded_by":"usr_0123456789abcdef"}}`, id)
		bodies[i] = []byte(body)
		headers[i] = http.Header{
			"Content-Type":      {"application/json"},
			"Content-Length":    {strconv.Itoa(len(body))},
			"X-Mixpeek-Secret":  {secret},
			"Webhook-Id":        {id},
			"Webhook-Timestamp": {now},
			"Webhook-Signature": {mac(id, now, body)},
		}
	}
	bare := func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, r.ContentLength)
			if _, err := io.ReadFull(r.Body, body); err != nil {
				b.Error(err)
			}
			if _, err := event.Decode(body); err != nil {
				b.Error(err)
			}
			w.WriteHeader(http.StatusOK)
		})
	}
	// reference is bare with the signature checked by the library of those who
	// wrote the specification.
	reference := func() http.Handler {
		peer, err := standardwebhooks.NewWebhook(whsec())
		require.NoError(b, err)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, r.ContentLength)
			if _, err := io.ReadFull(r.Body, body); err != nil {
				b.Error(err)
			}
			if err := peer.Verify(body, r.Header); err != nil {
				b.Error(err)
			}
			if _, err := event.Decode(body); err != nil {
				b.Error(err)
			}
			w.WriteHeader(http.StatusOK)
		})
	}
	mounted := func(change func(*receiver.Config)) func() http.Handler {
		return func() http.Handler {
			cfg := receiver.Config{
				Secrets:   []receiver.Secret{{Value: secret}},
				AllowHTTP: true,
				Logger:    slog.New(slog.DiscardHandler),
			}
			change(&cfg)
			rcv, err := receiver.New(cfg)
			require.NoError(b, err)
			return rcv.Handler(receiver.HandlerFunc(ok))
		}
	}
	for _, bm := range []struct {
		name string
		make func() http.Handler
	}{
		{"bare", bare},
		{"reference library", reference},
		{"secret", mounted(func(c *receiver.Config) { c.Dedupe = forgetful{} })},
		{"secret+dedupe", mounted(func(*receiver.Config) {})},
		{"signature", mounted(func(c *receiver.Config) { c.Secrets, c.Signature, c.Dedupe = nil, verifier(b, whsec()), forgetful{} })},
		{"signature+dedupe", mounted(func(c *receiver.Config) { c.Secrets, c.Signature = nil, verifier(b, whsec()) })},
		{"both+dedupe", mounted(func(c *receiver.Config) { c.Signature = verifier(b, whsec()) })},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			h := bm.make()
			w := &discard{header: make(http.Header)}
			reader := bytes.NewReader(nil)
			i := 0
			for b.Loop() {
				if i == batch {
					h, i = bm.make(), 0
				}
				reader.Reset(bodies[i])
				r := &http.Request{
					Method: http.MethodPost, ProtoMajor: 1, ProtoMinor: 1, Header: headers[i],
					Body: io.NopCloser(reader), ContentLength: int64(len(bodies[i])), RemoteAddr: "127.0.0.1:1",
				}
				clear(w.header)
				h.ServeHTTP(w, r)
				i++
			}
		})
	}
}

// forgetful is a Deduper that costs nothing.
type forgetful struct{}

func (forgetful) Claim(context.Context, receiver.Claim, time.Duration) (receiver.Standing, error) {
	return receiver.Standing{State: receiver.Claimed}, nil
}
func (forgetful) Extend(context.Context, receiver.Claim, time.Duration) error       { return nil }
func (forgetful) Done(context.Context, receiver.Claim, time.Duration) error         { return nil }
func (forgetful) Dead(context.Context, receiver.Claim, string, time.Duration) error { return nil }
func (forgetful) Release(context.Context, receiver.Claim) error                     { return nil }
