package conformance_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const prefix = api.DefaultPrefix

// fixture is an API with all of the contract's channels, whose exchanges are
// checked against documents.
type fixture struct {
	t          *testing.T
	dispatcher *dispatch.Dispatcher
	api        *api.API
	own        *document
	failure    error // of the authenticator
	keys       *apikey.Keys
	diagnosis  webhook.Diagnosis // what the store says of itself
}

type texts struct{}

func (texts) SendSMS(context.Context, string, string) (string, error) { return "", nil }

func (texts) Host() string { return "" }

func newFixture(t *testing.T) *fixture {
	t.Helper()
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	registry, err := standard.New(standard.Config{SMTP: smtp, SMS: texts{}})
	require.NoError(t, err)
	require.NoError(t, registry.Register("sink",
		channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{StatusCode: 200}, nil
		})))
	f := &fixture{t: t}
	logger := slog.New(slog.DiscardHandler)
	store := diagnosing{memstore.New(), &f.diagnosis}
	f.dispatcher, err = dispatch.New(store,
		dispatch.Config{Channels: registry, Logger: logger})
	require.NoError(t, err)
	authenticate := func(*http.Request) (string, error) { return "org_1", f.failure }
	f.keys, err = apikey.New(store, apikey.Config{Logger: logger})
	require.NoError(t, err)
	f.api, err = api.New(f.dispatcher, authenticate, api.Config{Logger: logger, APIKeys: f.keys,
		Publish: true})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/openapi.json", nil))
	f.own = parse(t, "own", prefix, w.Body.Bytes())
	return f
}

// do makes a request and checks it, and its answer, against documents. The request must be valid
// in all of them, unless the answer is 422.
func (f *fixture) do(
	method, path, body string, documents ...*document,
) (status int, answer string) {
	f.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	for _, d := range append(documents, f.own) {
		if w.Code != http.StatusUnprocessableEntity {
			require.NoError(f.t, d.checkRequest(method, r.URL.Path, []byte(body)))
		}
		d.checkResponse(method, r.URL.Path, w.Code, w.Header(), w.Body.Bytes())
	}
	return w.Code, w.Body.String()
}

// emit publishes an event of the organization.
func (f *fixture) emit() {
	f.t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", "org_1"
	require.NoError(f.t, errorOf(f.dispatcher.Emit(f.t.Context(), e)))
}

// webhooks returns all webhooks of the organization as they are stored.
func (f *fixture) webhooks() []*webhook.Subscription {
	f.t.Helper()
	list, err := f.dispatcher.Subscriptions(f.t.Context(),
		webhook.SubscriptionQuery{OrganizationID: "org_1"})
	require.NoError(f.t, err)
	return list
}

// errorOf returns the error of a call that returns something else too.
func errorOf[T any](_ T, err error) error { return err }
