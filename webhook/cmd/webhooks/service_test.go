package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const (
	webhookID = "wh_0123456789"
	otherID   = "wh_9876543210"
)

// service is a service with a management API, one webhook, and the endpoint of that.
type service struct {
	t   *testing.T
	env env
	d   *dispatch.Dispatcher
	// keys are the API keys of the service.
	keys *apikey.Keys
	// answers is the status with which the endpoint answers, and arrived counts its requests.
	answers, arrived atomic.Int64
}

func newService(t *testing.T) *service {
	t.Helper()
	return newServiceOn(t, memstore.New())
}

// newServiceOn is newService on a store.
func newServiceOn(t *testing.T, store webhook.Store) *service {
	t.Helper()
	s := &service{t: t}
	s.answers.Store(http.StatusOK)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.arrived.Add(1)
		w.WriteHeader(int(s.answers.Load()))
		_, _ = w.Write([]byte("it says \x1b[31m"))
	}))
	t.Cleanup(endpoint.Close)
	channels, err := standard.New(standard.Config{
		HTTP: channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}})
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	s.d, err = dispatch.New(store, dispatch.Config{Channels: channels, Logger: logger})
	require.NoError(t, err)
	s.keys, err = apikey.New(s.d, apikey.Config{Logger: logger})
	require.NoError(t, err)
	t.Cleanup(s.keys.Wait)
	a, err := api.New(s.d, nil, api.Config{Logger: logger, APIKeys: s.keys, Publish: true})
	require.NoError(t, err)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	s.env = env{envURL: server.URL, envAPIKey: s.key(webhook.APIKey{Name: "first",
		Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: true}})}
	require.NoError(t, s.d.PutSubscription(t.Context(), &webhook.Subscription{
		ID: webhookID, OrganizationID: "org", Name: "shop", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: endpoint.URL, SigningSecret: testSecret})},
		Retry: &webhook.Retry{MaxAttempts: 1},
	}))
	return s
}

// key makes an API key of the webhook's organization.
func (s *service) key(asked webhook.APIKey) string {
	s.t.Helper()
	asked.OrganizationID = "org"
	key, _, err := s.keys.Create(s.t.Context(), apikey.Service("test"), asked)
	require.NoError(s.t, err)
	return key
}

// run calls the program with the settings of the service.
func (s *service) run(args ...string) call {
	s.t.Helper()
	return runs(s.t, s.env, "", args...)
}

// deliver emits n events, and makes the attempts that are due. The endpoint answers with the
// status.
func (s *service) deliver(n, status int) {
	s.t.Helper()
	s.answers.Store(int64(status))
	s.emit(n)
	s.drain()
}

func (s *service) emit(n int) {
	s.t.Helper()
	for range n {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace, e.OrganizationID = "acme", "org"
		_, err := s.d.Emit(s.t.Context(), e)
		require.NoError(s.t, err)
	}
}

func (s *service) drain() {
	s.t.Helper()
	err := s.d.Drain(s.t.Context())
	require.NoError(s.t, err)
}
