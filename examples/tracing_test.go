package examples_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	receiverhook "github.com/mixpeek/webhooks-go/receiver/otelhook"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/otelhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// spans is what the tracer of one process has exported.
type spans struct {
	*sdktrace.TracerProvider
	*tracetest.InMemoryExporter
}

func newSpans() spans {
	exporter := tracetest.NewInMemoryExporter()
	return spans{sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)), exporter}
}

func (s spans) only(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found tracetest.SpanStubs
	for _, span := range s.GetSpans() {
		if span.Name == name {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// One process emits, in a transaction and without one, and ends. Another one, with a tracer of its
// own, opens the file and delivers: its spans link to those of the first, and those of the consumer
// to its own.
func TestTracesThroughADatabase(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery-staple"
	first, second, consumer := newSpans(), newSpans(), newSpans()
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true,
		Logger: slog.New(slog.DiscardHandler),
		Hooks:  receiverhook.Hooks(consumer, receiverhook.Config{Messaging: true}),
	})
	require.NoError(t, err)
	server := httptest.NewServer(rcv.Handler(receiver.HandlerFunc(
		func(context.Context, *event.Event) error { return nil })))
	t.Cleanup(server.Close)

	path := filepath.Join(t.TempDir(), "webhooks.db")
	process := func(tracer spans, work func(*dispatch.Dispatcher, *sqlite.Store)) {
		t.Helper()
		store, err := sqlite.Open(t.Context(), path, sqlite.Config{})
		require.NoError(t, err)
		channels, err := standard.New(standard.Config{
			HTTP: channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true},
		})
		require.NoError(t, err)
		d, err := dispatch.New(store, dispatch.Config{
			Channels: channels, Logger: slog.New(slog.DiscardHandler),
			Hooks: otelhook.Hooks(tracer, otelhook.Config{Messaging: true}),
		})
		require.NoError(t, err)
		work(d, store)
		require.NoError(t, store.Close())
	}
	process(first, func(d *dispatch.Dispatcher, store *sqlite.Store) {
		require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
			Name: "test", EventTypes: []event.Pattern{"invoice.*"},
			Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
				URL: server.URL, Headers: map[string]string{receiver.DefaultSecretHeader: secret},
			})},
		}))
		paid := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
		_, err := d.Emit(t.Context(), paid)
		require.NoError(t, err)
		tx, err := store.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		sent := event.New("invoice.sent", event.Subject{Type: "invoice", ID: "inv_1"})
		_, err = d.EmitTx(t.Context(), sqlite.Tx(tx), sent)
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
	})
	process(second, func(d *dispatch.Dispatcher, _ *sqlite.Store) {
		require.NoError(t, d.Drain(t.Context()))
	})

	attempts := second.GetSpans()
	require.Len(t, attempts, 2)
	for _, attempt := range attempts {
		require.Equal(t, http.MethodPost, attempt.Name)
		for _, a := range attempt.Attributes {
			if a.Key != "webhook.event_type" {
				continue
			}
			emitted := first.only(t, "send "+a.Value.AsString())
			require.Len(t, attempt.Links, 1)
			assert.Equal(t, emitted.SpanContext.TraceID(), attempt.Links[0].SpanContext.TraceID())
			assert.Equal(t, emitted.SpanContext.SpanID(), attempt.Links[0].SpanContext.SpanID())
			processed := consumer.only(t, "process "+a.Value.AsString())
			require.Len(t, processed.Links, 1)
			assert.Equal(t, attempt.SpanContext.SpanID(), processed.Links[0].SpanContext.SpanID())
		}
	}
}
