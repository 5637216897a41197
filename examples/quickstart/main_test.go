package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestTheStoryIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, "", 0))
	assertInOrder(t, out.String(),
		"1. A consumer listens",
		"subscription  wh_",
		"object.*",
		"2. Events are emitted",
		"object.created", "succeeded", "attempt 1  200",
		"✓ object.created was handled once",
		"collection.updated", "attempt 1  200",
		"taxonomy.created", "attempt 1  503", "attempt 2  503", "attempt 3  200",
		"collection.documents.written", "attempt 1  200",
		"3. The first event is emitted again",
		"nothing was sent",
		"attempt 1  200", "attempt 2  200",
		"acknowledged it",
		"4. A stranger",
		"401",
		"5. The consumer dropped",
		"mixpeek:acme:articles:obj_abc123",
		"mixpeek:ns_prod:col_products:doc_1",
		"6. One event goes",
		"alert.triggered", "webhook", "attempt 1  200",
		"alert.triggered", "slack", "attempt 1  200",
		"alert.triggered", "email", "attempt 1  250",
		"alert.triggered", "sms", "attempt 1  —",
		"✓ slack: alert.triggered: alert alr_search_latency",
		"✓ email: to oncall@example.com: [critical] search takes 2.4 s",
		"✓ sms: to +14155550100: CRITICAL: search takes 2.4 s",
		"5 events emitted, 5 handled, 2 failed attempts, 1 duplicate. 24 of 24 checks passed.",
	)
	assert.NotContains(t, out.String(), "did not happen")
}

func TestTheStoryCanBeToldAgainOnTheSameDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	db := filepath.Join(t.TempDir(), "webhooks.db")
	require.NoError(t, run(t.Context(), io.Discard, db, 0))
	require.NoError(t, run(t.Context(), io.Discard, db, 0))
}

func TestADatabaseThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "no such folder", "webhooks.db")
	err := run(t.Context(), io.Discard, db, 0)
	require.ErrorContains(t, err, "no such folder")
}

func TestAnInterruptedStoryIsNoSuccess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out := &watcher{want: "taxonomy.created was handled once", found: cancel}
	require.ErrorIs(t, run(ctx, out, "", 0), context.Canceled)
}

func TestServingGoesOnUntilInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("tells the story once more, to serve after it")
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	seen := 0
	out := &watcher{want: event.CollectionDocumentsWritten + "  webhook", found: func() {
		if seen++; seen == 2 { // once in the story, and once while serving
			cancel()
		}
	}}
	require.NoError(t, run(ctx, out, "", 10*time.Millisecond))
	assert.ErrorIs(t, ctx.Err(), context.Canceled, "serving ended by itself")
	assertInOrder(t, out.String(), "checks passed", "Serving until interrupted", "taxonomy.created",
		"attempt 3  200")
}

func TestWhatDidNotHappenIsAnError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &report{out: &out}
	r.check(true, "the sun rose")
	require.NoError(t, r.err())
	r.check(false, "%s flew", "pigs")
	r.check(false, "hell froze")
	assert.EqualError(t, r.err(), "did not happen: pigs flew\ndid not happen: hell froze")
	assert.Contains(t, out.String(), "✓ the sun rose\n   ✗ did not happen: pigs flew\n")
}

func TestDocumentedEventsAreValid(t *testing.T) {
	t.Parallel()
	assert.NoError(t, alertTriggered().Validate())
	for _, e := range documentedEvents() {
		assert.NoError(t, e.Validate(), e.Type)
		assert.NotNil(t, e.CacheScope, e.Type)
	}
}

// assertInOrder asserts that the parts stand in s in this order.
func assertInOrder(t *testing.T, s string, parts ...string) {
	t.Helper()
	rest := s
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		require.True(t, found, "%q is missing, or not in its place, in:\n%s", part, s)
		rest = after
	}
}

// A watcher calls found whenever what is written at once contains want.
type watcher struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	want  string
	found func()
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(string(p), w.want) {
		w.found()
	}
	return w.buf.Write(p)
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// With -serve the console is there, for this machine only.
func TestTheConsoleIsServed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e, err := startEmitter(ctx, "", nil)
	require.NoError(t, err)
	url, stopped, err := serveConsole(ctx, e.dispatcher, "127.0.0.1:0")
	require.NoError(t, err)
	for host, want := range map[string]int{"": http.StatusOK, "evil.example": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, want, res.StatusCode)
	}
	cancel()
	require.NoError(t, <-stopped)
	require.NoError(t, e.close())
}
