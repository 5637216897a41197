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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// discard is a ResponseWriter that discards the response, on a connection with deadlines.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header             { return d.header }
func (d *discard) Write(p []byte) (int, error)     { return len(p), nil }
func (d *discard) WriteHeader(int)                 {}
func (d *discard) SetReadDeadline(time.Time) error { return nil }

// batch is how many events are sent to one receiver: enough to include the growth of its
// Memory, and few enough to be made in advance.
const batch = 8192

// BenchmarkHandler measures the cost of the middleware for a new event of about 600 bytes.
// Two handlers without it are for comparison: "bare" reads the body and decodes the event;
// "reference library" also verifies the signature with the library of Standard Webhooks.
// Neither deduplicates. The difference to "bare" is the cost of checking, claiming and
// settling.
//
//	go test -run '^$' -bench Handler -count 10 ./receiver
func BenchmarkHandler(b *testing.B) {
	requests := make([]*request, batch)
	for i := range requests {
		requests[i] = newRequest(fmt.Sprintf("evt_%032d", i))
	}
	reference := func() http.Handler {
		peer, err := standardwebhooks.NewWebhook(whsec())
		require.NoError(b, err)
		return bare(b, func(body []byte, h http.Header) error { return peer.Verify(body, h) })
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
		{"bare", func() http.Handler { return bare(b, nil) }},
		{"reference library", reference},
		{"secret", mounted(func(c *receiver.Config) { c.Dedupe = forgetful{} })},
		{"secret+dedupe", mounted(func(*receiver.Config) {})},
		{"signature", mounted(func(c *receiver.Config) {
			c.Secrets, c.Signature, c.Dedupe = nil, verifier(b, whsec()), forgetful{}
		})},
		{"signature+dedupe", mounted(func(c *receiver.Config) {
			c.Secrets, c.Signature = nil, verifier(b, whsec())
		})},
		{"both+dedupe", mounted(func(c *receiver.Config) { c.Signature = verifier(b, whsec()) })},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			h := bm.make()
			w := &discard{header: make(http.Header)}
			i := 0
			for b.Loop() {
				if i == batch {
					h, i = bm.make(), 0
				}
				requests[i].serve(h, w)
				i++
			}
		})
	}
}

// bare returns a handler that reads and decodes, and verifies unless verify is nil.
func bare(tb testing.TB, verify func([]byte, http.Header) error) http.Handler {
	handle := receiver.HandlerFunc(ok)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			tb.Error(err)
		}
		if verify != nil {
			if err := verify(body, r.Header); err != nil {
				tb.Error(err)
			}
		}
		e, err := event.Decode(body)
		if err != nil {
			tb.Error(err)
		}
		if err := handle(r.Context(), e); err != nil {
			tb.Error(err)
		}
		w.WriteHeader(http.StatusOK)
	})
}

// TestAllocations bounds what the middleware allocates for an event, compared with a bare
// handler. AllocsPerRun does not work in parallel tests.
func TestAllocations(t *testing.T) {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true, Dedupe: forgetful{},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	w, r := &discard{header: make(http.Header)}, newRequest("evt_1")
	allocations := func(h http.Handler) float64 {
		return testing.AllocsPerRun(100, func() { r.serve(h, w) })
	}
	router := receiver.NewRouter()
	router.On("object.*", ok)
	least := allocations(bare(t, nil))
	for _, tt := range []struct {
		next   http.Handler
		allocs float64
	}{
		{receiver.HandlerFunc(ok), 5}, // the attempt, and two each for its context and its timer
		{router, 5},
		{http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), 6}, // and a copy of the request
	} {
		assert.LessOrEqual(t, allocations(rcv.Handler(tt.next))-least, tt.allocs, "%T", tt.next)
	}
}

// request is a request that can be served repeatedly.
type request struct {
	header http.Header
	body   []byte
	reader bytes.Reader
}

// newRequest returns a request with a secret and a signature.
func newRequest(id string) *request {
	now := stamp(0)
	body := fmt.Sprintf(`{"event_id":%q,"event_type":"object.created","occurred_at":"2025-10-08T16:09:00Z","namespace":"acme","collection":"articles","actor":"system","subject":{"type":"object","id":"obj_abc123"},"version":"v1","index_signature":"sig_c1f9","cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},"metadata":{"object_id":"obj_abc123","bucket_id":"bkt_xyz","namespace_id":"ns_acme","content_type":"video/mp4","title":"The quick brown fox jumps over the lazy dog","size":48211733,"duration":93.4,"tags":["a","b","c"],"uploaded_by":"usr_0123456789abcdef"}}`, id)
	return &request{body: []byte(body), header: http.Header{
		"Content-Type":      {"application/json"},
		"Content-Length":    {strconv.Itoa(len(body))},
		"X-Mixpeek-Secret":  {secret},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {now},
		"Webhook-Signature": {mac(id, now, body)},
	}}
}

func (q *request) serve(h http.Handler, w *discard) {
	q.reader.Reset(q.body)
	clear(w.header)
	h.ServeHTTP(w, &http.Request{
		Method: http.MethodPost, ProtoMajor: 1, ProtoMinor: 1, Header: q.header,
		Body: io.NopCloser(&q.reader), ContentLength: int64(len(q.body)), RemoteAddr: "127.0.0.1:1",
	})
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
