package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// ask asks a handler and returns what it answered.
func ask(t *testing.T, handler http.Handler) (int, dispatch.HealthReport) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/anything", http.NoBody))
	var report dispatch.HealthReport
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &report))
	return w.Code, report
}

func TestHealthHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		handler, err := dispatch.NewHealthHandler(b.Dispatcher, dispatch.HealthConfig{})
		require.NoError(t, err)
		check := func(status dispatch.HealthStatus, code int, reasons ...string) dispatch.HealthReport {
			t.Helper()
			time.Sleep(time.Second) // what was answered before is given again until then
			got, report := ask(t, handler)
			assert.Equal(t, code, got)
			assert.Equal(t, status, report.Status)
			assert.Equal(t, reasons, report.Reasons)
			return report
		}
		report := check(dispatch.HealthReady, 200)
		assert.Equal(t, dispatch.HealthReport{Status: dispatch.HealthReady, Store: true}, report,
			"a process that only emits")

		b.emit(t, event.ObjectCreated)
		elapse(15 * time.Minute)
		report = check(dispatch.HealthDegraded, 200, "a delivery has been due for 15m1s")
		assert.InDelta(t, 901, report.OldestDueSeconds, 0)

		stop := b.run(t)
		elapse(time.Second)
		report = check(dispatch.HealthReady, 200)
		assert.True(t, report.Running)
		require.NotNil(t, report.LastClaimSeconds)
		assert.LessOrEqual(t, *report.LastClaimSeconds, 1.0)

		store.down.Store(true)
		report = check(dispatch.HealthUnavailable, 503, "the store does not answer")
		assert.False(t, report.Store)
		time.Sleep(time.Minute)
		time.Sleep(time.Second)
		code, report := ask(t, handler)
		assert.Equal(t, 503, code)
		require.Len(t, report.Reasons, 2)
		assert.Contains(t, report.Reasons[0], "the store has not answered a claim for 1m")
		store.down.Store(false)
		code, report = ask(t, handler)
		assert.Equal(t, 503, code, "for a second the answer is that of before")
		assert.Equal(t, dispatch.HealthUnavailable, report.Status)
		time.Sleep(10 * time.Second)
		check(dispatch.HealthReady, 200)
		stop()
	})
}

// A service may have reasons of its own, and a panic there is one.
func TestHealthHandlerWithFurtherReasons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		reasons := func() []string { return nil }
		handler, err := dispatch.NewHealthHandler(b.Dispatcher, dispatch.HealthConfig{
			Reasons: func() []string { return reasons() }})
		require.NoError(t, err)
		_, report := ask(t, handler)
		assert.Equal(t, dispatch.HealthReady, report.Status)
		reasons = func() []string { return []string{"mails do not arrive"} }
		time.Sleep(time.Second)
		code, report := ask(t, handler)
		assert.Equal(t, 200, code)
		assert.Equal(t, dispatch.HealthDegraded, report.Status)
		assert.Equal(t, []string{"mails do not arrive"}, report.Reasons)
		reasons = func() []string { panic("s3cr3t") }
		time.Sleep(time.Second)
		_, report = ask(t, handler)
		assert.Equal(t, []string{"HealthConfig.Reasons panicked"}, report.Reasons)
	})
}

// claimsNothing is a store whose claims fail while all else works.
type claimsNothing struct{ webhook.Store }

func (claimsNothing) Claim(
	context.Context, time.Time, webhook.ClaimRequest,
) ([]webhook.Task, error) {
	return nil, errors.New("permission denied for user secret_name")
}

func TestHealthHandlerTellsOfClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := benchOn(t, claimsNothing{memstore.New()}, dispatch.Config{}, accept)
		handler, err := dispatch.NewHealthHandler(b.Dispatcher, dispatch.HealthConfig{
			MaxClaimAge: 10 * time.Second, MaxDueAge: dispatch.Forever,
		})
		require.NoError(t, err)
		stop := b.run(t)
		elapse(5 * time.Second)
		code, report := ask(t, handler)
		assert.Equal(t, 200, code)
		assert.Equal(t, dispatch.HealthReady, report.Status, "it has just begun")
		elapse(6 * time.Second)
		code, report = ask(t, handler)
		assert.Equal(t, 200, code)
		assert.Equal(t, dispatch.HealthReport{
			Status: dispatch.HealthDegraded, Store: true, Running: true,
			Reasons: []string{"the store has not answered a claim for 11s"},
		}, report, "and no error of the store, which may name what is not for strangers")
		stop()
		elapse(time.Second)
		_, report = ask(t, handler)
		assert.Equal(t, dispatch.HealthReady, report.Status, "who does not claim is not waited for")
	})
}

// hangingReads is a store that ignores the end of a context: calls of Ping, or of Totals, return when
// something is sent to release.
type hangingReads struct {
	webhook.Store
	ping, totals bool
	release      chan struct{}
	asked        atomic.Int64
}

func (s *hangingReads) Ping(ctx context.Context) error {
	s.asked.Add(1)
	if s.ping {
		<-s.release
	}
	return s.Store.Ping(context.WithoutCancel(ctx))
}

func (s *hangingReads) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	if s.totals {
		<-s.release
	}
	return s.Store.Totals(context.WithoutCancel(ctx), now, q)
}

// A probe is answered in its own time, however long the store takes, and asks it nothing while it
// still has not answered another one.
func TestHealthHandlerDoesNotWaitForAStoreThatHangs(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]struct {
		ping   bool // or else Totals
		code   int
		report dispatch.HealthReport
	}{
		"Ping": {true, 503, dispatch.HealthReport{
			Status: dispatch.HealthUnavailable, Reasons: []string{"the store does not answer"}}},
		"Totals": {false, 200, dispatch.HealthReport{Store: true,
			Status:  dispatch.HealthDegraded,
			Reasons: []string{"the store does not count deliveries in time"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &hangingReads{Store: memstore.New(), ping: hangs.ping,
					totals: !hangs.ping, release: make(chan struct{})}
				b := benchOn(t, store, dispatch.Config{}, accept)
				handler, err := dispatch.NewHealthHandler(b.Dispatcher, dispatch.HealthConfig{})
				require.NoError(t, err)
				answers := func(after time.Duration) {
					t.Helper()
					start := time.Now()
					code, report := ask(t, handler)
					assert.Equal(t, after, time.Since(start))
					assert.Equal(t, hangs.code, code)
					assert.Equal(t, hangs.report, report)
				}
				var probes sync.WaitGroup
				for range 3 {
					probes.Go(func() { answers(2 * time.Second) })
				}
				probes.Wait()
				answers(0)
				time.Sleep(time.Minute)
				answers(0)
				assert.EqualValues(t, 1, store.asked.Load(), "one question at a time")

				store.release <- struct{}{}
				synctest.Wait()
				answers(0) // an answer that came too late is none
				time.Sleep(time.Second)
				go func() {
					time.Sleep(time.Second)
					store.release <- struct{}{}
				}()
				start := time.Now()
				code, report := ask(t, handler)
				assert.Equal(t, time.Second, time.Since(start), "it answers as soon as the store does")
				assert.Equal(t, 200, code)
				assert.Equal(t, dispatch.HealthReport{Status: dispatch.HealthReady, Store: true}, report)
				assert.EqualValues(t, 2, store.asked.Load())
			})
		})
	}
}

// A store that panics does not end the process.
func TestHealthHandlerOutlivesAStoreThatPanics(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(panickingPing{memstore.New()}, dispatch.Config{})
	require.NoError(t, err)
	handler, err := dispatch.NewHealthHandler(d, dispatch.HealthConfig{})
	require.NoError(t, err)
	code, report := ask(t, handler)
	assert.Equal(t, 503, code)
	assert.Equal(t, []string{"the store does not answer"}, report.Reasons)
}

type panickingPing struct{ webhook.Store }

func (panickingPing) Ping(context.Context) error { panic("s3cr3t") }

// hangingClaims is a store whose claims never return.
type hangingClaims struct {
	webhook.Store
	release chan struct{}
}

func (s hangingClaims) Claim(
	context.Context, time.Time, webhook.ClaimRequest,
) ([]webhook.Task, error) {
	<-s.release
	return nil, nil
}

func TestLivenessHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		alive := func(d *dispatch.Dispatcher) int {
			t.Helper()
			w := httptest.NewRecorder()
			dispatch.NewLivenessHandler(d).ServeHTTP(w,
				httptest.NewRequest(http.MethodGet, "/livez", http.NoBody))
			return w.Code
		}
		store := &failingStore{Store: memstore.New()}
		store.down.Store(true)
		b := benchOn(t, store, dispatch.Config{}, accept)
		assert.Equal(t, 200, alive(b.Dispatcher))
		stop := b.run(t)
		elapse(time.Hour)
		assert.Equal(t, 200, alive(b.Dispatcher), "a database that is down is no reason to start again")
		stop()

		hanging := hangingClaims{memstore.New(), make(chan struct{})}
		b = benchOn(t, hanging, dispatch.Config{}, accept)
		stop = b.run(t)
		elapse(4 * time.Minute)
		assert.Equal(t, 200, alive(b.Dispatcher))
		elapse(2 * time.Minute)
		assert.Equal(t, 503, alive(b.Dispatcher), "the loop is stuck")
		close(hanging.release)
		elapse(time.Second)
		assert.Equal(t, 200, alive(b.Dispatcher))
		stop()
	})
}

func TestHealthHandlerOverHTTP(t *testing.T) {
	t.Parallel()
	store := &failingStore{Store: memstore.New()}
	d, err := dispatch.New(store, dispatch.Config{})
	require.NoError(t, err)
	handler, err := dispatch.NewHealthHandler(d,
		dispatch.HealthConfig{CacheFor: time.Nanosecond, Timeout: time.Minute})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	get := func(method string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/readyz", http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, string(body)
	}
	response, body := get(http.MethodGet)
	assert.Equal(t, 200, response.StatusCode)
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	assert.JSONEq(t, `{"status":"ready","store":true,"running":false,"oldest_due_seconds":0}`, body)
	store.down.Store(true)
	response, body = get(http.MethodGet)
	assert.Equal(t, 503, response.StatusCode)
	assert.JSONEq(t, `{"status":"unavailable","store":false,"running":false,"oldest_due_seconds":0,
		"reasons":["the store does not answer"]}`, body)
	response, body = get(http.MethodHead)
	assert.Equal(t, 503, response.StatusCode)
	assert.Empty(t, body)
	response, _ = get(http.MethodPost)
	assert.Equal(t, 405, response.StatusCode)
	assert.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
}

func TestHealthConfig(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	require.NoError(t, err)
	_, err = dispatch.NewHealthHandler(d, dispatch.HealthConfig{
		Timeout: -1, MaxDueAge: -1, MaxClaimAge: -1, CacheFor: -1,
	})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"Timeout", "MaxDueAge", "MaxClaimAge", "CacheFor"}, fields)
}
