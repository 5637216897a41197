package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// listed is a channel of a service's own, whose driver lists its fields.
type listed struct{ channel.Func }

func (listed) Open(json.RawMessage) (channel.Channel, error) {
	return channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}), nil
}

func (listed) Schema() channel.Schema {
	return channel.Schema{Fields: []channel.Field{{Name: "later"}, {Name: "text"}, {Name: "n"},
		{Name: "lines", Secret: true}}}
}

const (
	mine   = "org_mine"
	theirs = "org_theirs"
	secret = "s3cr3t-of-header"
	// signing is a secret in the form of Standard Webhooks.
	signing = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQ29udGVudHM="
	// keyPrefix begins API keys.
	keyPrefix = "console-test-"
)

// fixture is a console of two organizations on a store in memory.
type fixture struct {
	t          *testing.T
	store      webhook.Store
	dispatcher *dispatch.Dispatcher
	console    *console.Console
	keys       *apikey.Keys
	keyID      string // of the API key that walk names
	// identity makes the requests.
	identity console.Identity
	target   *httptest.Server // of webhooks: 204, or what the path says

	mu      sync.Mutex
	changes []console.Change
	asked   []http.Header // what target got
}

func newFixture(t *testing.T, change ...func(*console.Config)) *fixture {
	return newFixtureOn(t, memstore.New(), change...)
}

func newFixtureOn(t *testing.T, store webhook.Store, change ...func(*console.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: store, identity: console.Identity{Name: "ada@example.com",
		Organizations: []string{mine}, Role: console.Administer, Reveal: true}}
	f.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Header.Clone())
		f.mu.Unlock()
		status := http.StatusNoContent
		if code := strings.TrimPrefix(r.URL.Path, "/status/"); code != r.URL.Path {
			_, _ = fmt.Sscan(code, &status)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, r.URL.Query().Get("say"))
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(f.target.Close)
	mail, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "a@example.com"})
	require.NoError(t, err)
	channels, err := standard.New(standard.Config{
		HTTP: channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}, SMTP: mail,
	})
	require.NoError(t, err)
	require.NoError(t, channels.Register("teams", channel.Func(
		func(context.Context, *channel.Message) (channel.Result, error) { return channel.Result{}, nil })))
	require.NoError(t, channels.Register("listed", listed{}))
	f.dispatcher, err = dispatch.New(store, dispatch.Config{Channels: channels,
		Logger: slog.New(slog.DiscardHandler), Retry: dispatch.RetrySchedule{time.Hour}})
	require.NoError(t, err)
	f.keys, err = apikey.New(store, apikey.Config{Prefix: keyPrefix})
	require.NoError(t, err)
	cfg := console.Config{APIKeys: f.keys, Logger: slog.New(slog.DiscardHandler),
		Audit: func(_ context.Context, c console.Change) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.changes = append(f.changes, c)
		}}
	for _, change := range change {
		change(&cfg)
	}
	f.console, err = console.New(f.dispatcher,
		func(*http.Request) (console.Identity, error) { return f.identity, nil }, cfg)
	require.NoError(t, err)
	return f
}

// subscribe creates a subscription to all events, with one webhook channel for each path of the
// target.
func (f *fixture) subscribe(organizationID, name string, paths ...string) *webhook.Subscription {
	f.t.Helper()
	sub := &webhook.Subscription{OrganizationID: organizationID, Name: name,
		EventTypes: []event.Pattern{"*"}}
	for _, path := range paths {
		configs, err := json.Marshal(map[string]any{"url": f.target.URL + path,
			"headers": map[string]string{"X-Secret": secret}, "signing_secret": signing})
		require.NoError(f.t, err)
		sub.Channels = append(sub.Channels, webhook.ChannelConfig{Channel: "webhook", Configs: configs})
	}
	require.NoError(f.t, f.dispatcher.CreateSubscription(f.t.Context(), sub))
	return sub
}

// emit emits an event, attempts its deliveries, and returns them.
func (f *fixture) emit(organizationID string, change ...func(*event.Event)) []webhook.Delivery {
	f.t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", organizationID
	for _, change := range change {
		change(e)
	}
	_, err := f.dispatcher.Emit(f.t.Context(), e)
	require.NoError(f.t, err)
	require.NoError(f.t, f.dispatcher.Drain(f.t.Context()))
	return f.deliveries(webhook.DeliveryQuery{OrganizationID: organizationID, EventID: e.ID})
}

func (f *fixture) deliveries(q webhook.DeliveryQuery) []webhook.Delivery {
	f.t.Helper()
	found, err := f.dispatcher.Deliveries(f.t.Context(), q)
	require.NoError(f.t, err)
	return found
}

// settle emits an event for a new subscription, whose delivery dies of the attempt.
func (f *fixture) settle(organizationID string, a *webhook.Attempt) webhook.Delivery {
	f.t.Helper()
	ctx, now := f.t.Context(), time.Now()
	sub := f.subscribe(organizationID, "Settled", "/")
	enqueued, err := f.store.Enqueue(ctx, now, []webhook.NewEvent{{OrganizationID: organizationID,
		ID: "evt_" + sub.ID, Type: event.ObjectCreated, Payload: []byte(`{}`)}},
		&webhook.Prefetch{Until: now.Add(time.Minute),
			Take: func(_ string, e webhook.Endpoint) bool { return e.SubscriptionID == sub.ID }})
	require.NoError(f.t, err)
	require.Len(f.t, enqueued.Tasks, 1)
	_, err = f.store.Settle(ctx, now, []webhook.Settlement{{Lease: enqueued.Tasks[0].Lease,
		Status: webhook.StatusDead, Attempt: a}})
	require.NoError(f.t, err)
	return f.deliveries(webhook.DeliveryQuery{OrganizationID: organizationID,
		SubscriptionID: sub.ID})[0]
}

// die makes a subscription with a dead delivery, and returns both.
func (f *fixture) die(organizationID, name string) (*webhook.Subscription, webhook.Delivery) {
	f.t.Helper()
	sub := f.subscribe(organizationID, name, "/status/410?say=gone")
	f.newKey(organizationID, name+" key")
	return sub, f.emit(organizationID)[0]
}

// newKey creates an API key, which walk names from then on.
func (f *fixture) newKey(organizationID, name string) (token string) {
	f.t.Helper()
	token, key, err := f.keys.Create(f.t.Context(), apikey.Service("setup"),
		webhook.APIKey{OrganizationID: organizationID, Name: name})
	require.NoError(f.t, err)
	f.keyID = key.ID
	return token
}

// answer is the answer to a request.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (f *fixture) do(r *http.Request) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.console.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// get asks for a page; the path is relative to the prefix.
func (f *fixture) get(path string) answer {
	f.t.Helper()
	return f.do(httptest.NewRequest(http.MethodGet, console.DefaultPrefix+path, nil))
}

// page asks for a page that must be there.
func (f *fixture) page(path string) string {
	f.t.Helper()
	a := f.get(path)
	require.Equal(f.t, http.StatusOK, a.Status, "%s\n%s", path, a.Body)
	return a.Body
}

// post sends a form, as pairs of names and values.
func (f *fixture) post(path string, pairs ...string) answer {
	f.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return f.do(f.form(path, form))
}

func (f *fixture) form(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, console.DefaultPrefix+path,
		strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// inputs returns the values of the form on the page that has a field "revision" or the given one.
func inputs(t *testing.T, page, marker string) url.Values {
	t.Helper()
	var found url.Values
	var walk func(n *html.Node, form url.Values)
	walk = func(n *html.Node, form url.Values) {
		if n.Type == html.ElementNode {
			switch n.Data {
			case "form":
				form = url.Values{}
				defer func() {
					if form.Has(marker) {
						found = form
					}
				}()
			case "input":
				if attribute(n, "name") != "" && attribute(n, "type") != "checkbox" {
					form.Add(attribute(n, "name"), attribute(n, "value"))
				}
			case "textarea":
				form.Add(attribute(n, "name"), text(n))
			case "select":
				form.Add(attribute(n, "name"), chosen(n))
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, form)
		}
	}
	walk(parse(t, page), url.Values{})
	require.NotNil(t, found, "the page has no form with %s", marker)
	return found
}

func chosen(n *html.Node) (value string) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode && hasAttribute(c, "selected") {
			return attribute(c, "value")
		}
	}
	return ""
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	return root
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(text(c))
	}
	return b.String()
}

// elements returns the elements of the name at or below n.
func elements(n *html.Node, name string) (list []*html.Node) {
	if n.Type == html.ElementNode && n.Data == name {
		list = append(list, n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		list = append(list, elements(c, name)...)
	}
	return list
}
