package api_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// countingStore counts what lists of deliveries hand out.
type countingStore struct {
	webhook.Store
	lists, largest, attempts atomic.Int64
}

func (s *countingStore) Deliveries(ctx context.Context, q webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	found, err := s.Store.Deliveries(ctx, q)
	s.lists.Add(1)
	s.largest.Store(max(s.largest.Load(), int64(len(found))))
	for i := range found {
		s.attempts.Add(int64(len(found[i].Attempts)))
	}
	return found, err
}

// A replay of many deliveries reads them in pages, and none of their histories.
func TestReplayByFilterReadsNoHistories(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var counting *countingStore
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			counting = &countingStore{Store: s}
			return counting
		}})
		f.run()
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("bad", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 250)
		a := f.do("POST", prefix+"/"+sub.ID+"/replay", "").want(http.StatusAccepted)
		assert.InDelta(t, 250, a["replayed"], 0)
		assert.Equal(t, []int64{3, 100, 0},
			[]int64{counting.lists.Load(), counting.largest.Load(), counting.attempts.Load()}, "lists, the largest, attempts")
	})
}

// stuckStore replays nothing before its context ends, but for one organization.
type stuckStore struct {
	webhook.Store
	serves string
}

func (s stuckStore) Replay(ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID) error {
	if organizationID == s.serves || id%2 == 0 {
		return s.Store.Replay(ctx, due, organizationID, id)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Replays that take long leave most of the API to other requests, and end with a cursor
// when another organization has none.
func TestLongReplaysKeepNoRequestOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		var err error
		h.api, err = api.New(h.dispatcherOn(stuckStore{h.store, "quick"}), api.BearerToken, api.Config{Logger: h.logger})
		require.NoError(t, err)
		dead := func(organization string) (path string) {
			path = h.subscribe(organization, "sink")
			h.emit(organization, 2)
			for id := range webhook.DeliveryID(1000) {
				_ = h.store.Cancel(t.Context(), time.Now(), organization, id)
			}
			return path + "/replay"
		}
		cancelled := `{"status": "cancelled"}`
		cursors := map[string]int{}
		for n := range 20 {
			organization := fmt.Sprint("stuck", n)
			path := dead(organization)
			for range 16 {
				h.all.Go(func() {
					w := h.ask(organization, "POST", path, cancelled)
					h.mu.Lock()
					defer h.mu.Unlock()
					if w.Code == http.StatusAccepted {
						cursors[organization]++
						assert.Contains(t, w.Body.String(), `"next_cursor":"dlv_`)
					}
					h.answers[w.Code]++
				})
				synctest.Wait()
			}
		}
		for n := range 24 {
			w := h.ask(fmt.Sprint("stuck", n), "GET", prefix, "")
			assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		}
		path := dead("quick")
		time.Sleep(5 * time.Second)
		w := h.ask("quick", "POST", path, cancelled)
		assert.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
		assert.JSONEq(t, `{"replayed": 2, "next_cursor": null}`, w.Body.String())
		h.all.Wait()
		assert.NotEmpty(t, cursors)
		assert.Equal(t, 320, h.answers[202]+h.answers[429]+h.answers[503], "%v", h.answers)
	})
}
