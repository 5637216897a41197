// Package examples_test runs the example servers as the processes that they are.
package examples_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

const secret = "a secret for the tests"

func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	programs := build(t)
	t.Run("an event travels from the emitter to the receiver",
		func(t *testing.T) { testEmitterAndReceiver(t, programs) })
	t.Run("the emitter refuses what is no event", func(t *testing.T) { testRefusals(t, programs) })
	t.Run("the emitter is managed over its API", func(t *testing.T) { testManagement(t, programs) })
	t.Run("the emitter stops without loss", func(t *testing.T) { testStopWithoutLoss(t, programs) })
	t.Run("a wrong configuration is refused",
		func(t *testing.T) { testWrongConfiguration(t, programs) })
}

func testEmitterAndReceiver(t *testing.T, programs programs) {
	t.Parallel()
	receiver := programs.start(t, "receiver",
		[]string{"RECEIVER_SECRET=" + secret},
		"-dev", "-addr=127.0.0.1:0", "-keys=mixpeek:acme:articles:obj_1,mixpeek:acme:articles:obj_2")
	emitter := programs.start(t, "emitter",
		[]string{"EMITTER_SECRET=" + secret, "EMITTER_TYPES=object.*"},
		"-dev", "-addr=127.0.0.1:0", "-db="+filepath.Join(t.TempDir(), "emitter.db"),
		"-url="+receiver.url("/webhooks"))

	for _, p := range []*process{receiver, emitter} {
		resp, err := http.Get(p.url("/healthz"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}

	e := objectCreated("obj_1")
	for n := range 2 {
		status, answer := post(t, emitter.url("/events"), encode(t, e))
		require.Equal(t, http.StatusAccepted, status, answer)
		assert.Equal(t, map[string]any{
			"event_id": e.ID, "deliveries": float64(1 - n), "duplicate": n == 1,
		}, answer)
	}
	dropped := receiver.await("dropped", e.ID)
	assert.Equal(t, "mixpeek:acme:articles:obj_1", dropped["key"])
	attempted := emitter.await("attempted", e.ID)
	assert.EqualValues(t, http.StatusOK, attempted["status_code"])
	assert.Equal(t, "INFO", attempted["level"])
	assert.Regexp(t, `^dlv_\d+$`, attempted["delivery_id"])
	assert.Contains(t, attempted, "organization_id")

	emitter.stop()
	receiver.stop()
	assert.Len(t, receiver.logged("handled", ""), 1)
	assert.Len(t, receiver.logged("dropped", ""), 1)
	assert.Len(t, emitter.logged("attempted", ""), 1)
	assert.NotContains(t, receiver.said()+emitter.said(), secret)
}

func testRefusals(t *testing.T, programs programs) {
	t.Parallel()
	emitter := programs.start(t, "emitter", nil, "-addr=127.0.0.1:0",
		"-db="+filepath.Join(t.TempDir(), "emitter.db"))
	tests := map[string]struct {
		body   string
		status int
		fields []any
	}{
		"no JSON":    {`event_type=object.created`, http.StatusUnprocessableEntity, []any{"body"}},
		"wrong type": {`{"event_type":7}`, http.StatusUnprocessableEntity, []any{"event_type"}},
		"several faults": {`{"event_type":"Object Created","subject":{"id":"obj_1"}}`,
			http.StatusUnprocessableEntity, []any{"event_type", "namespace", "subject.type"}},
		"too large": {`{"event_type":"` + string(bytes.Repeat([]byte("x"), 1<<20)) + `"}`,
			http.StatusRequestEntityTooLarge, nil},
	}
	for name, tt := range tests { // not parallel: they share the process
		status, answer := post(t, emitter.url("/events"), []byte(tt.body))
		assert.Equal(t, tt.status, status, name)
		assert.NotEmpty(t, answer["error"], name)
		var fields []any
		problems, _ := answer["problems"].([]any)
		for _, p := range problems {
			fields = append(fields, p.(map[string]any)["field"])
		}
		assert.Equal(t, tt.fields, fields, name)
	}
	emitter.stop()
}

// testStopWithoutLoss stops the emitter while more is waiting than an
// endpoint is given at a time: what is under way ends, and the rest is delivered
// by the next process on the same file.
func testStopWithoutLoss(t *testing.T, programs programs) {
	t.Parallel()
	endpoint := newSlowEndpoint(t)
	db := "-db=" + filepath.Join(t.TempDir(), "emitter.db")
	env := []string{"EMITTER_SECRET=" + secret}
	first := programs.start(t, "emitter", env, "-dev", "-addr=127.0.0.1:0", db,
		"-url="+endpoint.server.URL)

	var emitted []string
	for i := range 100 { // an endpoint is given 16 at a time
		e := objectCreated(fmt.Sprintf("obj_%d", i))
		status, answer := post(t, first.url("/events"), encode(t, e))
		require.Equal(t, http.StatusAccepted, status, answer)
		emitted = append(emitted, e.ID)
	}
	close(endpoint.open)
	<-endpoint.busy
	first.signal()
	first.await("draining", "")
	close(endpoint.release)
	first.wait()

	delivered := endpoint.ids()
	require.Positive(t, endpoint.drained.Load(), "what was under way was given up")
	require.Less(t, len(delivered), len(emitted),
		"nothing was left for the second process: the test shows nothing")

	second := programs.start(t, "emitter", env, "-dev", "-addr=127.0.0.1:0", db,
		"-url="+endpoint.server.URL)
	require.Eventually(t, func() bool { return len(endpoint.ids()) >= len(emitted) }, patience,
		5*time.Millisecond)
	second.stop()
	slices.Sort(emitted)
	assert.Equal(t, emitted, endpoint.ids(), "each event once")
}

func testWrongConfiguration(t *testing.T, programs programs) {
	t.Parallel()
	tests := map[string]struct {
		program string
		env     []string
		args    []string
		want    string
	}{
		"receiver without secret": {"receiver", nil, []string{"-dev"}, "RECEIVER_SECRET"},
		"receiver with wrong URL": {"receiver", []string{"RECEIVER_SECRET=" + secret},
			[]string{"-dev", "-notify=localhost"}, "-notify"},
		"receiver that takes none": {"receiver", []string{"RECEIVER_SECRET=" + secret}, nil,
			"-trusted-proxies"},
		"receiver with no network": {"receiver", []string{"RECEIVER_SECRET=" + secret},
			[]string{"-trusted-proxies=10.0.0.1"}, "must be a network such as 10.0.0.0/8"},
		"emitter without secret": {"emitter", nil, []string{"-url=https://example.com"},
			"EMITTER_SECRET"},
		"emitter with wrong flag": {"emitter", []string{"EMITTER_DEV=perhaps"}, nil, "EMITTER_DEV"},
		"emitter with private URL": {"emitter", []string{"EMITTER_SECRET=" + secret},
			[]string{"-url=http://127.0.0.1/"},
			"(-dev allows plain HTTP and private addresses, for development)"},
		"emitter with wrong types": {"emitter", []string{"EMITTER_SECRET=" + secret},
			[]string{"-url=https://example.com", "-types=Object Created"}, "event_types[0]"},
		"emitter with wrong folder": {"emitter", nil, []string{"-db=no such folder/emitter.db"},
			"no such folder"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := programs.run(t, tt.program, tt.env, tt.args...)
			require.Error(t, err)
			assert.Contains(t, output, tt.want)
			assert.NotContains(t, output, secret)
		})
	}
}

func objectCreated(id string) *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: id})
	e.Namespace, e.Collection = "acme", "articles"
	e.CacheScope = e.DefaultScope()
	return e
}

func encode(t *testing.T, e *event.Event) []byte {
	t.Helper()
	body, err := json.Marshal(e)
	require.NoError(t, err)
	return body
}

func post(t *testing.T, url string, body []byte) (status int, answer map[string]any) {
	t.Helper()
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	return resp.StatusCode, answer
}

// A slowEndpoint answers no request before it is open, and those that come later when it is
// released: however long the test takes to emit, they have only just begun to wait.
type slowEndpoint struct {
	server  *httptest.Server
	open    chan struct{} // to be closed
	busy    chan struct{} // closed once a request is waiting that came later
	release chan struct{} // to be closed

	once     sync.Once
	mu       sync.Mutex
	received []string
	drained  atomic.Int32 // how many of them had to wait for the release
}

func newSlowEndpoint(t *testing.T) *slowEndpoint {
	s := &slowEndpoint{open: make(chan struct{}), busy: make(chan struct{}),
		release: make(chan struct{})}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *slowEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event.Event
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil ||
		r.Header.Get("X-Mixpeek-Secret") != secret {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer := s.open
	select {
	case <-s.open:
		s.once.Do(func() { close(s.busy) })
		answer = s.release
	default:
	}
	select {
	case <-answer:
	case <-r.Context().Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, e.ID)
	if answer == s.release {
		s.drained.Add(1)
	}
}

// ids lists the events that were acknowledged, sorted.
func (s *slowEndpoint) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.received))
}
