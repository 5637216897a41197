package console_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// stalled is a store whose deliveries, subscriptions and totals do not come while the context lasts.
type stalled struct{ webhook.Store }

func (stalled) Deliveries(
	ctx context.Context, _ webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stalled) Subscriptions(
	ctx context.Context, _ webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stalled) Totals(
	ctx context.Context, _ time.Time, _ webhook.TotalsQuery,
) (webhook.Totals, error) {
	<-ctx.Done()
	return webhook.Totals{}, fmt.Errorf("%w: %w", webhook.ErrUnavailable, ctx.Err())
}

// A page does not wait for a store for ever, and says so. What it only counts it can do without.
func TestSlowStores(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		d, err := dispatch.New(stalled{memstore.New()},
			dispatch.Config{Channels: channel.NewRegistry()})
		require.NoError(t, err)
		c, err := console.New(d, func(r *http.Request) (console.Identity, error) {
			return console.Identity{Organizations: []string{mine}, Role: console.Operate,
				Operator: r.Header.Get("Operator") != ""}, nil
		}, console.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ask := func(method, path string, header ...string) (*httptest.ResponseRecorder, time.Duration) {
			r := httptest.NewRequest(method, "/console"+path, nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			for _, name := range header {
				r.Header.Set(name, "yes")
			}
			w := httptest.NewRecorder()
			began := time.Now()
			c.ServeHTTP(w, r)
			return w, time.Since(began)
		}
		late := func(path string, header ...string) {
			w, took := ask(http.MethodGet, path, header...)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
			assert.Contains(t, w.Body.String(), "This took too long. Try again in a moment.", path)
			assert.Equal(t, "2", w.Header().Get("Retry-After"), path)
			assert.Less(t, took, 30*time.Second, path)
		}
		for _, path := range []string{"/", "/subscriptions", "/deliveries", "/dead"} {
			late(path)
		}
		late("/", "Operator")

		w, took := ask(http.MethodGet, "/dead/replay-all")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Contains(t, w.Body.String(), "counting them took too long")
		assert.Contains(t, w.Body.String(), ">Replay all that fit</button>")
		assert.Less(t, took, 10*time.Second)
		r, err := d.StartReplay(t.Context(), webhook.DeliveryQuery{OrganizationID: mine},
			dispatch.ReplayOptions{PerSecond: 1}, "a program")
		require.NoError(t, err)
		w, took = ask(http.MethodGet, "/replays/"+r.ID)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Contains(t, w.Body.String(), `<dt>Left</dt><dd>–</dd><dd class="sub">counting took too long</dd>`)
		assert.Less(t, took, 10*time.Second)
	})
}

// Browsers that are slow, or only seem to be, do not keep the places of others.
func TestSlowBrowsersLeavePlaces(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, request := range map[string]string{
		"form": "POST /console/templates HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n" +
			"Content-Type: application/x-www-form-urlencoded\r\n",
		"page": "GET /console/templates HTTP/1.1\r\nHost: x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channel.NewRegistry()})
				require.NoError(t, err)
				c, err := console.New(d, func(r *http.Request) (console.Identity, error) {
					return console.Identity{Organizations: []string{r.Header.Get("Org")}}, nil
				}, console.Config{MaxRequests: 2, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				connections := make(pipes)
				server := &http.Server{Handler: c}
				go func() { _ = server.Serve(connections) }()
				defer func() {
					close(connections)
					_ = server.Close()
				}()
				for _, organization := range []string{"a", "b"} {
					client, conn := net.Pipe()
					defer func() { _ = client.Close() }()
					connections <- conn
					_, err := io.WriteString(client, request+"Org: "+organization+"\r\n\r\n")
					require.NoError(t, err)
				}
				get := func() int {
					synctest.Wait()
					w := httptest.NewRecorder()
					c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/console/templates", nil))
					return w.Code
				}
				assert.Equal(t, http.StatusServiceUnavailable, get())
				time.Sleep(21 * time.Second) // the form, and its answer
				assert.Equal(t, http.StatusOK, get())
			})
		})
	}
}
