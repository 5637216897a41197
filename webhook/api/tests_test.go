package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// hanging is a fixture whose API takes any token for the name of an organization, and
// knows a channel "hang" that does not answer before its context ends.
type hanging struct {
	*fixture
	all     sync.WaitGroup
	mu      sync.Mutex
	answers map[int]int // by status
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{fixture: newFixture(t, options{}), answers: map[int]int{}}
	require.NoError(t, h.registry.Register("hang", channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
		return channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			<-ctx.Done()
			return channel.Result{}, ctx.Err()
		}), nil
	})))
	var err error
	h.api, err = api.New(h.dispatcher, api.BearerToken, api.Config{Logger: h.logger})
	require.NoError(t, err)
	return h
}

func (h *hanging) ask(organization, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+organization)
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	return w
}

// subscribe makes a webhook with one channel.
func (h *hanging) subscribe(organization, channel string) (path string) {
	h.t.Helper()
	sub := &webhook.Subscription{OrganizationID: organization, Name: "one", EventTypes: sinkSubscription("").EventTypes,
		Channels: []webhook.ChannelConfig{{Channel: channel, Configs: json.RawMessage(`{}`)}}}
	require.NoError(h.t, h.dispatcher.CreateSubscription(h.t.Context(), sub))
	return prefix + "/" + sub.ID
}

// hang begins tests that do not end by themselves, n for each of so many organizations.
func (h *hanging) hang(organizations, n int) {
	h.t.Helper()
	for i := range organizations {
		organization := fmt.Sprint("hangs", i)
		path := h.subscribe(organization, "hang")
		for range n {
			h.all.Go(func() {
				w := h.ask(organization, "POST", path+"/test", "")
				h.mu.Lock()
				defer h.mu.Unlock()
				h.answers[w.Code]++
			})
			synctest.Wait()
		}
	}
}

// Endpoints that do not answer tests leave most of the API to other requests, however
// many organizations have such endpoints.
func TestHangingTestsKeepNoRequestOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		began := time.Now()
		h.hang(20, 16)
		for n := range 24 { // of an organization that tests, too
			organization := fmt.Sprint("hangs", n)
			w := h.ask(organization, "GET", prefix, "")
			assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
			w = h.ask(organization, "POST", prefix, plainSubscription)
			assert.Equal(t, http.StatusCreated, w.Code, "%s", w.Body)
		}
		assert.Zero(t, time.Since(began))
		h.all.Wait()
		assert.Equal(t, 30*time.Second, time.Since(began))
		assert.Equal(t, 320, h.answers[200]+h.answers[429]+h.answers[503], "%v", h.answers)
		assert.GreaterOrEqual(t, h.answers[200], 16, "the answer is that the attempt failed: %v", h.answers)
	})
}

// A test that goes on for long ends when another organization has none.
func TestHangingTestsKeepNoTestOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		h.hang(40, 4)
		path := h.subscribe("answers", "sink")
		time.Sleep(5 * time.Second)
		w := h.ask("answers", "POST", path+"/test", "")
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		assert.Contains(t, w.Body.String(), `"succeeded":true`)
		h.all.Wait()
		assert.GreaterOrEqual(t, h.answers[200], 15, "all others had their 30 s: %v", h.answers)
	})
}

// One organization has a few tests at a time, and other requests beside them.
func TestHangingTestsOfOneOrganization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		h.hang(1, 20)
		w := h.ask("hangs0", "GET", prefix, "")
		assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		h.all.Wait()
		assert.Equal(t, map[int]int{200: 4, 429: 16}, h.answers)
	})
}
