package promhook_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/promhook"
)

// A scrape says how many connections were opened, which the server has counted too, and how many
// attempts went over one that was kept.
func TestConnections(t *testing.T) {
	t.Parallel()
	var accepted atomic.Int64
	var closing atomic.Bool
	endpoint := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			if closing.Load() {
				w.Header().Set("Connection", "close")
			}
			w.WriteHeader(http.StatusNoContent)
		}))
	endpoint.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	endpoint.Start()
	t.Cleanup(endpoint.Close)

	b := &bench{registry: prometheus.NewPedanticRegistry()}
	var err error
	b.metrics, err = promhook.New(b.registry, promhook.Config{})
	require.NoError(t, err)
	client, err := channelkit.NewHTTPClient(channelkit.HTTPConfig{
		AllowHTTP: true, AllowPrivate: true, Connected: b.metrics.Connected})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	channels, err := standard.New(standard.Config{Client: client})
	require.NoError(t, err)
	b.Dispatcher, err = dispatch.New(memstore.New(), dispatch.Config{
		Hooks: b.metrics.Hooks(), Channels: channels, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, b.CreateSubscription(t.Context(), &webhook.Subscription{
		Name: "test", EventTypes: []event.Pattern{event.MatchAll},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: endpoint.URL})},
	}))
	deliver := func(n int) {
		for range n { // one attempt at a time, so that one connection is enough
			b.emit(t, "", "object.created")
			require.NoError(t, b.Drain(t.Context()))
		}
	}
	counted := func(opened, reused int64) {
		t.Helper()
		assert.Equal(t, opened, accepted.Load(), "the server has counted them too")
		assert.Equal(t, []string{
			fmt.Sprintf(`webhooks_connections_total{kind="opened"} %d`, opened),
			fmt.Sprintf(`webhooks_connections_total{kind="reused"} %d`, reused),
		}, b.lines(t, "webhooks_connections_total"))
	}
	counted(0, 0) // the series are there from the start, so that the first increase shows
	deliver(10)
	counted(1, 9)
	closing.Store(true)
	deliver(3) // the first one ends the kept connection
	counted(3, 10)
	assert.Equal(t, []string{
		`webhooks_attempts_total{channel="webhook",result="succeeded",status_class="2xx"} 13`,
	}, b.lines(t, "webhooks_attempts_total"))
}

// lines returns those of a scrape that have the values of a metric.
func (b *bench) lines(t *testing.T, metric string) (found []string) {
	t.Helper()
	for line := range strings.Lines(b.scrape(t, "")) {
		if strings.HasPrefix(line, metric+"{") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
