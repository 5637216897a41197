package inbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

const secret = "correct-horse-battery-staple"

var quiet = slog.New(slog.DiscardHandler)

// handled is a handler that records its events, and fails as fail says.
type handled struct {
	fail func(call int, e *event.Event) error // nil: never

	mu     sync.Mutex
	events []*event.Event
}

func (h *handled) HandleEvent(_ context.Context, e *event.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	if h.fail != nil {
		return h.fail(len(h.events), e)
	}
	return nil
}

// ids lists the calls, in order.
func (h *handled) ids() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := []string{}
	for _, e := range h.events {
		ids = append(ids, e.ID)
	}
	return ids
}

func newInbox(
	t testing.TB, store webhook.Store, h receiver.HandlerFunc, change ...func(*inbox.Config),
) *inbox.Inbox {
	t.Helper()
	cfg := inbox.Config{Dispatcher: dispatch.Config{Logger: quiet,
		Retry: dispatch.ExponentialRetry{Jitter: dispatch.NoJitter}}}
	for _, f := range change {
		f(&cfg)
	}
	in, err := inbox.New(store, h, cfg)
	require.NoError(t, err)
	return in
}

type runner interface{ Run(context.Context) error }

// run starts Run. The returned function stops it and checks that it returned nil.
func run(t *testing.T, r runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return stop
}

// mount puts an inbox behind a receiver, as a program does.
func mount(t *testing.T, in *inbox.Inbox, change ...func(*receiver.Config)) http.Handler {
	t.Helper()
	cfg := receiver.Config{Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true,
		Logger: quiet}
	for _, f := range change {
		f(&cfg)
	}
	rcv, err := receiver.New(cfg)
	require.NoError(t, err)
	return rcv.Handler(receiver.HandlerFunc(in.HandleEvent))
}

// post sends a body and returns the status of the answer.
func post(h http.Handler, body string) int {
	r := httptest.NewRequest(http.MethodPost, "/webhooks", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(receiver.DefaultSecretHeader, secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// deliveries returns the deliveries of the inbox, the newest first.
func deliveries(t *testing.T, in *inbox.Inbox) []webhook.Delivery {
	t.Helper()
	list, err := in.Dispatcher().Deliveries(t.Context(),
		webhook.DeliveryQuery{OrganizationID: in.OrganizationID()})
	require.NoError(t, err)
	return list
}

func newEvent(id string) *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.ID, e.Namespace = id, "acme"
	return e
}

// envelope is a complete event in JSON.
func envelope(t *testing.T, id string) string {
	t.Helper()
	data, err := json.Marshal(newEvent(id))
	require.NoError(t, err)
	return string(data)
}

var errDown = errors.New("down")

// failingStore fails the calls of the methods in down.
type failingStore struct {
	webhook.Store
	mu   sync.Mutex
	down map[string]bool
}

func (s *failingStore) set(method string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = make(map[string]bool)
	}
	s.down[method] = down
}

func (s *failingStore) check(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down[method] {
		return errDown
	}
	return nil
}

func (s *failingStore) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	if err := s.check("Webhook"); err != nil {
		return nil, err
	}
	return s.Store.Subscription(ctx, organizationID, id)
}

func (s *failingStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	if err := s.check("Enqueue"); err != nil {
		return webhook.Enqueued{}, err
	}
	return s.Store.Enqueue(ctx, now, events, prefetch)
}

// logBuffer is a logger's output that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// errorOf is the error of a call that returns something else too.
func errorOf[T any](_ T, err error) error { return err }
