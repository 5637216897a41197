package receiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

const secret = "correct-horse-battery-staple"

// bundle is a receiver under test, its log and its results.
type bundle struct {
	*receiver.Receiver
	log *bytes.Buffer

	mu       sync.Mutex
	results  []receiver.Result
	rejected []*receiver.Rejection
}

// setup returns a receiver that accepts plain HTTP and the static secret, unless the test
// changes that.
func setup(t *testing.T, change ...func(*receiver.Config)) *bundle {
	t.Helper()
	b := &bundle{log: new(bytes.Buffer)}
	cfg := receiver.Config{
		Secrets:   []receiver.Secret{{Value: secret}},
		AllowHTTP: true,
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: b.log},
			&slog.HandlerOptions{Level: slog.LevelDebug})),
		Hooks: receiver.Hooks{
			OnReject: func(_ *http.Request, why *receiver.Rejection) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.rejected = append(b.rejected, why)
			},
			OnResult: func(r receiver.Result) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.results = append(b.results, r)
			},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	b.Receiver, err = receiver.New(cfg)
	require.NoError(t, err)
	return b
}

// outcomes returns the outcomes of the requests that passed the checks.
func (b *bundle) outcomes() []receiver.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []receiver.Outcome
	for _, r := range b.results {
		all = append(all, r.Outcome)
	}
	return all
}

// reason returns why the last request was rejected.
func (b *bundle) reason(t *testing.T) error {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.rejected, "nothing was rejected")
	return b.rejected[len(b.rejected)-1].Err
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// post makes a request with the secret.
func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks", bytes.NewReader([]byte(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(receiver.DefaultSecretHeader, secret)
	return r
}

// envelope is a valid event in JSON.
func envelope(t *testing.T, id string) string {
	t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.ID, e.Namespace = id, "acme"
	data, err := json.Marshal(e)
	require.NoError(t, err)
	return string(data)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func newMemory(t testing.TB, config receiver.MemoryConfig) *receiver.Memory {
	t.Helper()
	m, err := receiver.NewMemory(config)
	require.NoError(t, err)
	return m
}

// spy records the calls of a Deduper, and fails those in fail.
type spy struct {
	receiver.Deduper
	mu    sync.Mutex
	calls []string
	fail  map[string]error
}

func newSpy(t testing.TB) *spy {
	t.Helper()
	return &spy{Deduper: newMemory(t, receiver.MemoryConfig{}), fail: make(map[string]error)}
}

func (s *spy) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	return s.fail[name]
}

func (s *spy) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *spy) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	if err := s.call("Claim"); err != nil {
		return receiver.Standing{}, err
	}
	return s.Deduper.Claim(ctx, c, lease)
}

func (s *spy) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	if err := s.call("Extend"); err != nil {
		return err
	}
	return s.Deduper.Extend(ctx, c, lease)
}

func (s *spy) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	if err := s.call("Done"); err != nil {
		return err
	}
	return s.Deduper.Done(ctx, c, keep)
}

func (s *spy) Dead(ctx context.Context, c receiver.Claim, reason string, keep time.Duration) error {
	if err := s.call("Dead"); err != nil {
		return err
	}
	return s.Deduper.Dead(ctx, c, reason, keep)
}

func (s *spy) Release(ctx context.Context, c receiver.Claim) error {
	if err := s.call("Release"); err != nil {
		return err
	}
	return s.Deduper.Release(ctx, c)
}

// set changes the error of a method.
func (s *spy) set(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[name] = err
}
