package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const (
	orgA   = "org_a"
	orgB   = "org_b"
	prefix = api.DefaultPrefix
)

// fixture is an API on a store in memory, for two organizations.
type fixture struct {
	t          *testing.T
	store      *memstore.Store
	dispatcher *dispatch.Dispatcher
	registry   *channel.Registry
	keys       map[string]string // by organization
	accepts    api.Authenticator
	apiKeys    *apikey.Keys
	api        *api.API
	prefix     string
	logger     *slog.Logger
}

type options struct {
	api     func(*api.Config)
	store   func(webhook.Store) webhook.Store
	http    channelkit.HTTPConfig
	library *template.Library
	// dispatcher changes its configuration.
	dispatcher func(*dispatch.Config)
}

func newFixture(t *testing.T, o options) *fixture {
	t.Helper()
	f := &fixture{t: t, store: memstore.New(), keys: map[string]string{}}
	registry, err := standard.New(standard.Config{HTTP: o.http, Library: o.library})
	require.NoError(t, err)
	f.registry = registry
	var store webhook.Store = f.store
	require.NoError(t, registry.Register("sink", channel.DriverFunc(openSink)))
	if o.store != nil {
		store = o.store(store)
	}
	f.logger = slog.New(slog.DiscardHandler)
	config := dispatch.Config{Channels: registry, Logger: f.logger}
	if o.dispatcher != nil {
		o.dispatcher(&config)
	}
	f.dispatcher, err = dispatch.New(store, config)
	require.NoError(t, err)

	keys := api.NewKeys()
	for _, organization := range []string{orgA, orgB} {
		key, hash := api.NewKey()
		require.NoError(t, keys.Add(organization, hash))
		f.keys[organization] = key
	}
	f.apiKeys, err = apikey.New(f.store, apikey.Config{Logger: f.logger})
	require.NoError(t, err)
	t.Cleanup(f.apiKeys.Wait)
	cfg := api.Config{Logger: f.logger, Library: o.library, APIKeys: f.apiKeys, Publish: true}
	if o.api != nil {
		o.api(&cfg)
	}
	f.prefix = cmp.Or(cfg.Prefix, prefix)
	f.accepts = keys.Authenticate
	f.api, err = api.New(f.dispatcher, f.accepts, cfg)
	require.NoError(t, err)
	return f
}

// dispatcherOn is a Dispatcher on a store of its own, with the fixture's channels.
func (f *fixture) dispatcherOn(store webhook.Store) *dispatch.Dispatcher {
	f.t.Helper()
	d, err := dispatch.New(store, dispatch.Config{Channels: f.registry, Logger: f.logger})
	require.NoError(f.t, err)
	return d
}

// peer is another process on the same store, which delivers nothing.
func (f *fixture) peer() *fixture {
	f.t.Helper()
	p := *f
	var err error
	p.dispatcher = f.dispatcherOn(f.store)
	p.api, err = api.New(p.dispatcher, f.accepts, api.Config{Logger: f.logger, APIKeys: f.apiKeys})
	require.NoError(f.t, err)
	return &p
}

// answer is an answer of the API.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   []byte
}

// do makes a request for organization A, unless header says otherwise; header
// is names and values in turn.
func (f *fixture) do(method, path, body string, header ...string) *answer {
	f.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+f.keys[orgA])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	return &answer{f.t, w.Code, w.Header(), w.Body.Bytes()}
}

// as returns the header of a request of another organization than A.
func (f *fixture) as(organization string) []string {
	return []string{"Authorization", "Bearer " + f.keys[organization]}
}

// want checks the status and returns the body.
func (a *answer) want(status int) map[string]any {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, "%s", a.Body)
	if len(a.Body) == 0 {
		return nil
	}
	var m map[string]any
	require.NoError(a.t, json.Unmarshal(a.Body, &m), "%s", a.Body)
	return m
}

// problems checks that the answer is a 422 and returns "location: type" of each.
func (a *answer) problems() []string {
	a.t.Helper()
	require.Equal(a.t, http.StatusUnprocessableEntity, a.Status, "%s", a.Body)
	var v api.ValidationResponse
	require.NoError(a.t, json.Unmarshal(a.Body, &v))
	require.NotEmpty(a.t, v.Detail)
	list := make([]string, len(v.Detail))
	for i, p := range v.Detail {
		require.NotEmpty(a.t, p.Message)
		location, err := json.Marshal(p.Location)
		require.NoError(a.t, err)
		list[i] = strings.NewReplacer(`"`, "", ",",
			".").Replace(strings.Trim(string(location), "[]")) + ": " + p.Type
	}
	return list
}

// errorType checks the shape of an error and returns its type.
func (a *answer) errorType(status int) string {
	a.t.Helper()
	m := a.want(status)
	require.Equal(a.t, false, m["success"])
	require.InDelta(a.t, status, m["status"], 0)
	detail, ok := m["error"].(map[string]any)
	require.True(a.t, ok)
	require.NotEmpty(a.t, detail["message"])
	require.Contains(a.t, detail, "details")
	kind, _ := detail["type"].(string)
	return kind
}

const plainSubscription = `{"webhook_name": "plain", "event_types": ["object.*"], "channels": [
	{"channel": "webhook", "configs": {"url": "https://example.com/hook"}}]}`

const secretSubscription = `{"webhook_name": "secret", "event_types": ["object.created"],
	"channels": [
	{"channel": "webhook", "configs": {"url": "https://example.com/hook", "timeout": 2.50,
		"headers": {"X-Mixpeek-Secret": "s3cr3t-one", "X-Other": "s3cr3t-two"},
		"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}]}`

// create makes a webhook of organization A and returns its id.
func (f *fixture) create(body string, header ...string) string {
	f.t.Helper()
	id, _ := f.do("POST", prefix+"/", body, header...).want(http.StatusCreated)["webhook_id"].(string)
	require.NotEmpty(f.t, id)
	return id
}

// client calls the API as an organization, without a network.
func (f *fixture) client(organization string) *client.Client {
	f.t.Helper()
	c, err := client.New("http://api.test"+prefix, f.keys[organization], client.Config{
		HTTPClient: &http.Client{Transport: handlerTransport{f.api}},
	})
	require.NoError(f.t, err)
	return c
}

type handlerTransport struct{ http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.ServeHTTP(w, r)
	return w.Result(), nil
}

// openSink opens a channel that does what its config says: nothing, fail, or answer with the
// event's type.
func openSink(config json.RawMessage) (channel.Channel, error) {
	var sink struct {
		Fail  channel.Class `json:"fail"`
		Panic bool          `json:"panic"`
		Echo  bool          `json:"echo"`
	}
	if err := json.Unmarshal(config, &sink); err != nil {
		return nil, err
	}
	return channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		switch {
		case sink.Echo:
			return channel.Result{StatusCode: 200, Response: m.EventType}, nil
		case sink.Panic:
			panic("s3cr3t")
		case sink.Fail != "":
			return channel.Result{StatusCode: 500, Response: "no"},
				&channel.Error{Action: channel.Permanent, Class: sink.Fail, StatusCode: 500,
					Err: errors.New("it failed")}
		}
		return channel.Result{StatusCode: 200, Response: "yes"}, nil
	}), nil
}

// sinkSubscription returns a webhook with one channel "sink" for each config.
func sinkSubscription(name string, configs ...string) *webhook.Subscription {
	sub := &webhook.Subscription{Name: name, EventTypes: []event.Pattern{"*"}}
	for _, config := range configs {
		sub.Channels = append(sub.Channels,
			webhook.ChannelConfig{Channel: "sink", Configs: json.RawMessage(config)})
	}
	return sub
}

// run delivers until the test's bubble ends.
func (f *fixture) run() {
	ctx, cancel := context.WithCancel(f.t.Context())
	stopped := make(chan error)
	go func() { stopped <- f.dispatcher.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		require.NoError(f.t, <-stopped)
	})
}

// emit publishes n events of an organization and waits until all goroutines wait.
func (f *fixture) emit(organization string, n int) {
	f.t.Helper()
	synctest.Wait() // so that Run, if it has just been called, takes all of them
	for range n {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace, e.OrganizationID = "acme", organization
		require.NoError(f.t, errorOf(f.dispatcher.Emit(f.t.Context(), e)))
	}
	synctest.Wait()
}

// errorOf returns the error of a call that returns something else too.
func errorOf[T any](_ T, err error) error { return err }
