package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// proxyOf serves what the API serves, unless before has answered, with a Date that is ahead.
func proxyOf(
	t *testing.T, to string, ahead time.Duration, before func(http.ResponseWriter, *http.Request) bool,
) *httptest.Server {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval, proxy.ErrorLog = -1, log.New(io.Discard, "", 0)
	proxy.ModifyResponse = func(res *http.Response) error {
		res.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		return nil
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !before(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// Replays are read from the time of the server on, also if --after says where events begin.
func TestListenGoesByTheServersClock(t *testing.T) {
	t.Parallel()
	s := newService(t)
	since := make(chan string, 8)
	const ahead = time.Hour
	server := proxyOf(t, s.env[envURL], ahead, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/deliveries/results") {
			since <- r.URL.Query().Get("since")
		}
		return false
	})
	s.env[envURL] = server.URL
	s.emitOne()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan call, 1)
	go func() {
		ended <- runsWith(ctx, s.env, "", "listen", "--after", webhook.Position(1).String(), webhookID,
			"http://127.0.0.1:1")
	}()
	select {
	case text := <-since:
		begins, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(ahead), begins, time.Minute)
	case out := <-ended:
		require.Fail(t, "listen ended", "%+v", out)
	}
	cancel()
	<-ended
}

// Whatever ends it, it says from where to go on.
func TestListenSaysWhereToGoOnAfterAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	t.Parallel()
	s := newService(t)
	// When the event has arrived, the stream of events is cut, and the API key is refused.
	arrived, arrives := context.WithCancel(t.Context())
	server := proxyOf(t, s.env[envURL], 0, func(w http.ResponseWriter, r *http.Request) bool {
		if arrived.Err() != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if strings.HasSuffix(r.URL.Path, "/events") {
			*r = *r.WithContext(arrived)
		}
		return false
	})
	s.emitOne()
	local := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrives()
	}))
	t.Cleanup(local.Close)
	s.env[envURL] = server.URL
	got := s.run("listen", "--since", "1h", webhookID, local.URL)
	assert.Equal(t, exitForbidden, got.code, got.stderr)
	assert.Contains(t, got.stderr, "1 event forwarded, 0 failed.\n")
	assert.Contains(t, got.stderr, "To go on from here: --after "+webhook.Position(1).String())
}

// What is no stream has to be answered within --timeout, also if the header comes at once.
func TestTailsWaitForOrdinaryAnswersNoLonger(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	t.Parallel()
	s := newService(t)
	released := make(chan struct{})
	server := proxyOf(t, s.env[envURL], 0, func(w http.ResponseWriter, r *http.Request) bool {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-released:
		case <-r.Context().Done():
		}
		return true
	})
	t.Cleanup(func() { close(released) })
	s.env[envURL] = server.URL
	for _, command := range []string{"deliveries tail", "listen " + webhookID + " http://127.0.0.1:1"} {
		got := s.run(append(strings.Fields(command), "--timeout", "100ms")...)
		assert.Equal(t, exitUnreachable, got.code, "%s: %s", command, got.stderr)
	}
}
