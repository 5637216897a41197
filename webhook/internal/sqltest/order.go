package sqltest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// orderLease is short, so that what a killed process held is taken over soon.
const orderLease = time.Second

// DeliverInOrder delivers from the store until the process ends.
func DeliverInOrder(ctx context.Context, s webhook.Store) error {
	d, err := orderDispatcher(s)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

func orderDispatcher(s webhook.Store) (*dispatch.Dispatcher, error) {
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{AllowHTTP: true,
		AllowPrivate: true}})
	if err != nil {
		return nil, err
	}
	return dispatch.New(s, dispatch.Config{
		Channels: channels, Lease: orderLease, PollInterval: 50 * time.Millisecond,
		MaxLostAttempts: 1000,
		Retry: dispatch.ExponentialRetry{InitialInterval: 10 * time.Millisecond,
			MaxInterval: 50 * time.Millisecond, MaxAttempts: 240},
		Logger: slog.New(slog.DiscardHandler),
	})
}

// orderReceiver notes each event when it accepts it for the first time.
type orderReceiver struct {
	mu       sync.Mutex
	subjects map[string]string // by event id
	first    map[string][]string
	seen     map[string]bool
	repeated int
}

// ServeHTTP refuses one request of eight, and takes its time for some of the others.
func (r *orderReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if rand.IntN(8) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if rand.IntN(8) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	var envelope struct {
		EventID string `json:"event_id"`
	}
	_ = json.NewDecoder(request.Body).Decode(&envelope) // an empty id fails the test
	id := envelope.EventID
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		r.repeated++
		return
	}
	r.seen[id] = true
	r.first[r.subjects[id]] = append(r.first[r.subjects[id]], id)
}

// CheckOrderWhileProcessesDie kills processes that deliver, and starts others, while two stores of
// this process emit. For each subject, the receiver must accept each event for the first time in the
// order of the emits. start returns the command of a process that calls DeliverInOrder.
func CheckOrderWhileProcessesDie(
	t *testing.T, stores [2]webhook.Store, start func() *exec.Cmd, processes int,
) {
	t.Helper()
	const subjects, events, maxKills = 6, 30, 6
	r := &orderReceiver{subjects: make(map[string]string), first: make(map[string][]string),
		seen: make(map[string]bool)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	var emitters [2]*dispatch.Dispatcher
	for i := range stores {
		var err error
		emitters[i], err = orderDispatcher(stores[i])
		require.NoError(t, err)
	}
	require.NoError(t, emitters[0].CreateSubscription(t.Context(), &webhook.Subscription{
		Name: "ordered", EventTypes: []event.Pattern{event.MatchAll}, Ordering: &webhook.Ordering{},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: server.URL})},
	}))
	done := make(chan struct{})
	var running sync.WaitGroup
	kills := make([]int, processes)
	for i := range processes {
		running.Go(func() {
			for {
				c := start()
				c.Stderr = os.Stderr
				if !assert.NoError(t, c.Start()) {
					return
				}
				life := time.Duration(300+rand.IntN(1200)) * time.Millisecond
				if kills[i] == maxKills {
					life = time.Hour // the last one delivers what is left
				}
				ended := false
				select {
				case <-time.After(life):
					kills[i]++
				case <-done:
					ended = true
				}
				_ = c.Process.Kill()
				_ = c.Wait()
				if ended {
					return
				}
			}
		})
	}
	want := make(map[string][]string)
	var mu sync.Mutex
	var emits sync.WaitGroup
	for n := range subjects {
		emits.Go(func() {
			for i := range events {
				e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: fmt.Sprint("obj_", n)})
				e.Namespace = "acme"
				r.mu.Lock()
				r.subjects[e.ID] = e.Subject.ID
				r.mu.Unlock()
				if _, err := emitters[i%2].Emit(t.Context(), e); !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				want[e.Subject.ID] = append(want[e.Subject.ID], e.ID)
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			}
		})
	}
	emits.Wait()
	assert.Eventually(t, func() bool {
		totals, err := stores[0].Totals(t.Context(), time.Now(), webhook.TotalsQuery{AllOrganizations: true})
		return err == nil && totals.Unfinished() == 0
	}, 2*time.Minute, 100*time.Millisecond, "all deliveries must be settled")
	close(done)
	running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	assert.Equal(t, want, r.first)
	t.Logf("%v kills, %d events of %d subjects, %d repeated", kills, subjects*events, subjects, r.repeated)
}
