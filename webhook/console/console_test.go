package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// pathOf returns the path of a route about the subscription, the delivery, or the API key of keyID.
func (f *fixture) pathOf(
	route console.Route, sub *webhook.Subscription, d webhook.DeliveryID,
) string {
	id := sub.ID
	if strings.HasPrefix(route.Path, "/deliveries/") {
		id = d.String()
	}
	if strings.HasPrefix(route.Path, "/api-keys/") {
		id = f.keyID
	}
	return strings.NewReplacer("{id}", id, "{$}", "").Replace(route.Path)
}

// formOf is a form that any route takes.
func (f *fixture) formOf(
	route console.Route, sub *webhook.Subscription, d webhook.DeliveryID,
) *http.Request {
	return f.form(f.pathOf(route, sub, d), url.Values{"id": {d.String()}, "channel": {"webhook"},
		"subscription": {sub.ID}, "event": {`{"event_type": "object.created"}`}, "name": {"Stolen"},
		"event_types": {"*"}, "role": {"read"}, "rate": {"100"}, "kind": {"text"},
		"template": {"{{ event_type }}"}, "type": {"object.created"}})
}

// walk makes a request for each route, about the subscription and the delivery.
func (f *fixture) walk(sub *webhook.Subscription, d webhook.DeliveryID, query string,
	each func(route console.Route, a answer),
) {
	f.t.Helper()
	for _, route := range f.console.Routes() {
		if route.Method == http.MethodGet {
			separator := "?"
			if query != "" {
				separator = "&"
			}
			each(route, f.get(f.pathOf(route, sub, d)+query+separator+"channel=webhook&subscription="+
				sub.ID))
			continue
		}
		r := f.formOf(route, sub, d)
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		each(route, f.do(r))
	}
}

// A customer reaches nothing of another organization, whatever the route and the ids.
func TestNothingOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub, d := f.die(theirs, "Their subscription")
	f.subscribe(mine, "My subscription", "/")
	payload, err := f.dispatcher.EventPayload(t.Context(), theirs, d.EventID)
	require.NoError(t, err)
	hidden := []string{sub.ID, sub.Name, d.EventID, "/status/410", secret, signing, f.keyID,
		sub.Name + " key"}
	for _, query := range []string{"", "?organization=" + theirs, "?organization="} {
		f.walk(sub, d.ID, query, func(route console.Route, a answer) {
			name := route.Method + " " + route.Path + query
			if query != "" {
				assert.Equal(t, http.StatusNotFound, a.Status, name)
			}
			if strings.Contains(route.Path, "{id}") {
				assert.Equal(t, http.StatusNotFound, a.Status, name)
			}
			for _, text := range hidden {
				if text == sub.ID && strings.HasPrefix(route.Path, "/de") {
					continue // the filter of deliveries and dead letters repeats what was asked for
				}
				assert.NotContains(t, html.UnescapeString(a.Body), text, name)
			}
		})
	}
	assert.Equal(t, http.StatusUnprocessableEntity,
		f.post("/templates", "kind", "text", "template", "x", "event", d.EventID).Status)
	keys, err := f.keys.List(t.Context(), webhook.APIKeyQuery{OrganizationID: theirs})
	require.NoError(t, err)
	require.Len(t, keys, 1)
	assert.Zero(t, keys[0].RevokedAt)
	still, err := f.dispatcher.Subscription(t.Context(), theirs, sub.ID)
	require.NoError(t, err)
	assert.Equal(t, sub.Name, still.Name)
	assert.Equal(t, sub.Revision, still.Revision)
	after, err := f.dispatcher.Delivery(t.Context(), theirs, d.ID)
	require.NoError(t, err)
	assert.Equal(t, d, *after)
	again, err := f.dispatcher.EventPayload(t.Context(), theirs, d.EventID)
	require.NoError(t, err)
	assert.Equal(t, payload, again)
}

// needs are the rights of all routes, written down once more: a route that asks for too little would
// otherwise be taken at its word.
var needs = map[string]string{
	"GET /{$}":                               "read",
	"GET /subscriptions":                     "read",
	"GET /subscriptions/new":                 "administer",
	"POST /subscriptions/new":                "administer",
	"GET /subscriptions/{id}":                "read",
	"POST /subscriptions/{id}/reveal":        "reveal",
	"GET /subscriptions/{id}/edit":           "administer",
	"POST /subscriptions/{id}/edit":          "administer",
	"POST /subscriptions/{id}/pause":         "operate",
	"POST /subscriptions/{id}/resume":        "operate",
	"POST /subscriptions/{id}/enable":        "operate",
	"POST /subscriptions/{id}/disable":       "operate",
	"GET /subscriptions/{id}/rotate":         "administer",
	"POST /subscriptions/{id}/rotate":        "administer",
	"POST /subscriptions/{id}/drop-previous": "administer",
	"GET /subscriptions/{id}/delete":         "administer",
	"POST /subscriptions/{id}/delete":        "administer",
	"GET /subscriptions/{id}/test":           "operate",
	"POST /subscriptions/{id}/test":          "operate",
	"GET /deliveries":                        "read",
	"GET /deliveries/{id}":                   "read",
	"POST /deliveries/{id}/replay":           "operate",
	"POST /deliveries/{id}/cancel":           "operate",
	"POST /deliveries/{id}/skip":             "operate",
	"GET /dead":                              "read",
	"POST /dead/replay":                      "operate",
	"GET /dead/replay-all":                   "operate",
	"POST /dead/replay-all":                  "operate",
	"GET /replays":                           "read",
	"GET /replays/{id}":                      "read",
	"POST /replays/{id}/stop":                "operate",
	"GET /events":                            "read",
	"GET /templates":                         "read",
	"POST /templates":                        "read",
	"GET /api-keys":                          "administer",
	"GET /api-keys/new":                      "administer",
	"POST /api-keys/new":                     "administer",
	"GET /api-keys/{id}/revoke":              "administer",
	"POST /api-keys/{id}/revoke":             "administer",
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, route := range newFixture(t).console.Routes() {
		got[route.Method+" "+route.Path] = route.Need
	}
	assert.Equal(t, needs, got)
}

// A request needs the right that its route asks for.
func TestRoles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	for name, identity := range map[string]console.Identity{
		"read":       {},
		"operate":    {Role: console.Operate},
		"administer": {Role: console.Administer},
		"reveal":     {Reveal: true},
	} {
		f := newFixture(t)
		sub, d := f.die(mine, "Mine")
		identity.Organizations = []string{mine}
		f.identity = identity
		may := map[string]bool{"read": true, "operate": identity.Role >= console.Operate,
			"administer": identity.Role >= console.Administer, "reveal": identity.Reveal}
		f.walk(sub, d.ID, "", func(route console.Route, a answer) {
			if may[route.Need] {
				assert.NotEqual(t, http.StatusForbidden, a.Status, "%s: %s %s", name, route.Method, route.Path)
			} else {
				assert.Equal(t, http.StatusForbidden, a.Status, "%s: %s %s", name, route.Method, route.Path)
			}
		})
	}
}

// Pages offer only what the role allows.
func TestPagesOfferWhatTheRoleAllows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub, d := f.die(mine, "Mine")
	for _, path := range []string{"/subscriptions/" + sub.ID, "/deliveries/" + d.ID.String(), "/dead"} {
		f.identity.Role, f.identity.Reveal = console.Administer, true
		assert.Contains(t, f.page(path), `method="post"`, path)
		f.identity.Role, f.identity.Reveal = console.Read, false
		assert.NotContains(t, f.page(path), `method="post"`, path)
	}
	assert.NotContains(t, f.page("/subscriptions"), "/subscriptions/new")
}

func TestErrorsOfAuthorize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct {
		err    error
		status int
	}{{console.ErrUnauthenticated, 401}, {console.ErrForbidden, 403}, {http.ErrBodyNotAllowed, 500}} {
		h, err := console.New(f.dispatcher,
			func(*http.Request) (console.Identity, error) { return f.identity, c.err },
			console.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		for _, path := range []string{"/", "/subscriptions", "/nowhere"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, console.DefaultPrefix+path, nil))
			assert.Equal(t, c.status, w.Code, path)
			assert.NotContains(t, w.Body.String(), c.err.Error())
			assert.NotContains(t, w.Body.String(), mine)
		}
	}
}

// An identity without organizations sees nothing, and an operator all.
func TestOperator(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *console.Config) { c.MaxRequestsPerOrganization = 2 })
	f.subscribe(theirs, "Their subscription", "/")
	f.identity = console.Identity{Name: "nobody"}
	assert.Equal(t, http.StatusNotFound, f.get("/").Status)
	assert.Equal(t, http.StatusNotFound, f.get("/subscriptions").Status)
	f.identity = console.Identity{Name: "op", Operator: true, Organizations: []string{mine, theirs}}
	page := f.page("/")
	assert.Contains(t, page, "This process")
	assert.Contains(t, page, "?organization="+theirs)
	page = f.page("/subscriptions?organization=" + theirs)
	assert.Contains(t, page, "Their subscription")
	for _, link := range regexp.MustCompile(`href="(/console/[a-z][^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(link[1], "/console/static/") {
			assert.Contains(t, link[1], "organization="+theirs, "links stay with the organization")
		}
	}
}

// spreading is a store that has events left to FanOut.
type spreading struct{ webhook.Store }

func (s spreading) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	t, err := s.Store.Totals(ctx, now, q)
	t.FanOuts, t.OldestFanOut = 3, now.Add(-2*time.Minute)
	return t, err
}

// The page of operators has what is in trouble in all organizations, with the cause, in pages.
func TestOperatorSeesTrouble(t *testing.T) {
	t.Parallel()
	f := newFixtureOn(t, spreading{memstore.New()})
	gone, d := f.die(theirs, "Gone")
	for i := range 29 {
		sub := f.subscribe(mine, fmt.Sprintf("Off %d", i), "/")
		require.NoError(t, f.dispatcher.DisableEndpoint(t.Context(), mine,
			webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}, "bob"))
	}
	f.identity = console.Identity{Name: "op", Operator: true}
	page := f.page("/")
	assert.Contains(t, page, "<dd>3</dd><dd class=\"sub\">the oldest emitted <time")
	assert.Contains(t, page, "2 min ago")
	seen := map[string]bool{}
	var every strings.Builder
	pages := 0
	for next := "/"; next != ""; pages++ {
		page = f.page(next)
		every.WriteString(page)
		next = ""
		for _, a := range elements(parse(t, page), "a") {
			href := attribute(a, "href")
			if strings.HasPrefix(href, "/console/subscriptions/") {
				assert.False(t, seen[href])
				seen[href] = true
			}
			if attribute(a, "rel") == "next" {
				next = strings.TrimPrefix(href, "/console")
			}
		}
	}
	all := every.String()
	assert.Equal(t, 2, pages)
	assert.Len(t, seen, 30)
	assert.Contains(t, all, "/console/subscriptions/"+gone.ID+"?organization="+theirs)
	assert.Contains(t, all, "/console/deliveries/"+d.ID.String()+"?organization="+theirs)
	assert.Contains(t, all, "the endpoint answered 410 Gone")
	assert.Contains(t, all, "by bob")
	last := f.page("/?after_organization=" + mine + "&after_webhook=~")
	require.Contains(t, last, gone.ID)
	f.identity = console.Identity{Organizations: []string{mine}}
	page = f.page("/?after_organization=" + mine + "&after_webhook=~")
	assert.NotContains(t, page, gone.ID)
	assert.NotContains(t, page, "All organizations")
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"", "/", "/subscriptions", "/api-keys", "/nowhere", "/static/nothing.css"} {
		h := f.get(path).Header
		assert.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		assert.NotContains(t, h.Get("Content-Security-Policy"), "unsafe", path)
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
	}
	files := regexp.MustCompile(`/console(/static/[^"]+)`).FindAllStringSubmatch(f.page("/"), -1)
	require.Len(t, files, 3)
	for _, file := range files {
		a := f.get(file[1])
		assert.Equal(t, 200, a.Status)
		assert.Regexp(t, `-[0-9a-f]{12}\.(css|js|svg)$`, file[1])
		assert.Contains(t, a.Header.Get("Cache-Control"), "immutable")
	}
	assert.Equal(t, http.StatusSeeOther, f.get("").Status, "the prefix leads to the overview")
}

// A service with a policy of its own gets nonces, and no second policy.
func TestNonce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *console.Config) {
		c.Nonce = func(*http.Request) string { return "abc123" }
	})
	a := f.get("/")
	assert.Empty(t, a.Header.Get("Content-Security-Policy"))
	assert.Equal(t, 2, strings.Count(a.Body, `nonce="abc123"`))
}

// A page of another origin can send no form of the console.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub, d := f.die(mine, "Mine")
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site",
		"Origin": "https://evil.example"} {
		posts := 0
		for _, route := range f.console.Routes() {
			if route.Method != http.MethodPost {
				continue
			}
			posts++
			r := f.formOf(route, sub, d.ID)
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set(name, value)
			assert.Equal(t, http.StatusForbidden, f.do(r).Status, "%s: %s", name, route.Path)
		}
		assert.Greater(t, posts, 15)
	}
	assert.Empty(t, f.changes)
	assert.Len(t, f.apiKeys(mine), 1)
	_, err := f.dispatcher.Subscription(t.Context(), mine, sub.ID)
	assert.NoError(t, err)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	authorize := func(*http.Request) (console.Identity, error) { return f.identity, nil }
	_, err := console.New(nil, authorize, console.Config{})
	require.Error(t, err)
	_, err = console.New(f.dispatcher, nil, console.Config{})
	require.Error(t, err)
	_, err = console.New(f.dispatcher, authorize, console.Config{Prefix: "a/", MaxRequests: -1,
		MaxRequestsPerOrganization: -1})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"Prefix", "MaxRequests", "MaxRequestsPerOrganization"}, fields)
	h, err := console.New(f.dispatcher, authorize, console.Config{Prefix: "/a/b"})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a/b/subscriptions", nil))
	assert.Equal(t, 200, w.Code)
	assert.NotContains(t, w.Body.String(), "/console/")
}

// One organization cannot take all places.
func TestRequestsInProgressAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	block, entered := make(chan struct{}), make(chan struct{}, 4)
	f := newFixture(t, func(c *console.Config) {
		c.MaxRequests, c.MaxRequestsPerOrganization = 4, 3 // and then two places are free
		c.Audit = func(ctx context.Context, _ console.Change) {
			entered <- struct{}{}
			<-block
		}
	})
	sub := f.subscribe(mine, "Mine", "/")
	done := make(chan struct{}, 2)
	reveal := f.form("/subscriptions/"+sub.ID+"/reveal", url.Values{})
	for range 2 {
		go func() {
			f.console.ServeHTTP(httptest.NewRecorder(), reveal.Clone(t.Context()))
			done <- struct{}{}
		}()
		<-entered
	}
	a := f.get("/subscriptions")
	assert.Equal(t, http.StatusTooManyRequests, a.Status)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
	f.identity = console.Identity{Name: "op", Operator: true}
	assert.Equal(t, 200, f.get("/subscriptions?organization="+theirs).Status)
	close(block)
	<-done
	<-done
	assert.Equal(t, 200, f.get("/subscriptions?organization="+mine).Status)
}

// hostile is text that breaks out of HTML, attributes, scripts and URLs where it is not escaped.
const hostile = `</textarea></title></pre><script>alert(1)</script>"'><img src=x onerror=alert(1)>javascript:alert(1)`

// Whatever events, names, configs, answers and queries say, nothing of it becomes markup.
func TestHostileTextIsEscaped(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	f := newFixture(t, func(c *console.Config) {
		c.Title = hostile
		c.Catalogue = event.Catalogue{{Type: event.ObjectCreated, Category: hostile, Description: hostile,
			Example: `{"subject": {"type": "object", "id": "o"}, "metadata": {"a": "` +
				strings.ReplaceAll(hostile, `"`, `\"`) + `"}}`}}
	})
	f.identity.Name = hostile
	sub := f.subscribe(mine, hostile, "/status/410?say="+url.QueryEscape(hostile))
	f.newKey(mine, hostile)
	sub.Channels[0].Configs = []byte(strings.Replace(string(sub.Channels[0].Configs), "{",
		`{"payload_template": {"x": "</script><script>alert(1)</script>{{ metadata }}"},`, 1))
	require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), sub))
	d := f.emit(mine, func(e *event.Event) {
		e.Subject.ID, e.ID = "obj'><script>", "evt_hostile"
		e.Metadata = map[string]any{hostile: hostile}
		e.Actor = hostile
	})[0]
	failed := f.settle(mine, &webhook.Attempt{StartedAt: time.Now(), Class: hostile, Error: hostile,
		Response: hostile})
	state, err := f.store.EndpointState(t.Context(), mine, failed.Endpoint)
	require.NoError(t, err)
	state.Health, state.Since = webhook.Degraded, time.Now()
	state.Cause = &webhook.EndpointCause{DeliveryID: failed.ID, Class: hostile, Error: hostile}
	require.NoError(t, webhook.SetEndpointState(t.Context(), f.store, &state, 0))
	check := func(name string, a answer) {
		t.Helper()
		if a.Body == "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			return
		}
		var walk func(n *html.Node)
		scripts := 0
		walk = func(n *html.Node) {
			if n.Type == html.ElementNode {
				if n.Data == "script" {
					scripts++
				}
				assert.NotEqual(t, "img", n.Data, name)
				for _, attr := range n.Attr {
					assert.False(t, strings.HasPrefix(attr.Key, "on"), "%s: %s", name, attr.Key)
					assert.NotEqual(t, "style", attr.Key, name)
					if attr.Key == "href" || attr.Key == "action" || attr.Key == "src" {
						assert.True(t, strings.HasPrefix(attr.Val, "/console/") || attr.Val == "#main", "%s: %s", name,
							attr.Val)
					}
				}
			}
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				walk(c)
			}
		}
		walk(parse(t, a.Body))
		assert.Equal(t, 1, scripts, "%s: only the console's own script", name)
	}
	for _, route := range f.console.Routes() { // before the walk deletes the subscription
		if route.Method == http.MethodGet {
			check(route.Path, f.get(f.pathOf(route, sub, d.ID)))
		}
	}
	f.walk(sub, d.ID, "", func(route console.Route, a answer) {
		if !strings.HasSuffix(route.Path, "/delete") {
			check(route.Method+" "+route.Path, a)
		}
	})
	timeline := "/deliveries/" + failed.ID.String()
	for _, n := range elements(parse(t, f.page(timeline)), "ol") {
		assert.Equal(t, 3, strings.Count(text(n), hostile), "the class, the error and the answer")
	}
	f.identity.Operator = true
	check("operator", f.get("/"))
	f.identity.Operator = false
	q := url.QueryEscape(hostile)
	for _, path := range []string{timeline, "/", "/subscriptions/" + failed.SubscriptionID,
		"/deliveries?status=" + q + "&type=" + q + "&subscription=" + q +
			"&event=" + q + "&since=" + q, "/dead?type=" + q, "/subscriptions?type=" + q + "&state=" + q,
		"/subscriptions?after=" + q, "/?range=" + q, "/?done=" + q, "/templates?kind=" + q + "&event=" + q,
		"/dead/replay-all?subscription=" + q + "&rate=" + q, "/api-keys?after=" + q,
		"/api-keys/" + url.PathEscape(hostile) + "/revoke", "/" + q} {
		check(path, f.get(path))
	}
	fresh := f.subscribe(mine, "New", "/")
	for _, a := range []answer{
		f.post("/subscriptions/new", "name", hostile+hostile, "event_types", hostile, "c0.*channel",
			"webhook", "c0.url", hostile, "c0.headers", hostile, "c0."+hostile, hostile, "max_age", hostile),
		f.post("/subscriptions/"+fresh.ID+"/edit", "name", hostile, "event_types", hostile, "c0.*channel",
			hostile, "c0.url", hostile),
		f.post("/templates", "kind", hostile, "template", "{{ "+hostile, "type", hostile),
		f.post("/templates", "kind", "text", "template", hostile, "type", "object.created"),
		f.post("/subscriptions/"+fresh.ID+"/test", "event", hostile),
		f.post("/dead/replay-all", "rate", hostile),
		f.post("/dead/replay", "id", hostile),
		f.post("/api-keys/new", "name", hostile+hostile, "role", hostile, "expires_at", hostile),
		f.post("/api-keys/new", "name", hostile, "role", "read"),
	} {
		assert.Contains(t, a.Header.Get("Content-Type"), "text/html")
		check("form", a)
	}
}

func TestEmptyPagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	assert.Contains(t, f.page("/"), "Create the first subscription")
	assert.Contains(t, f.page("/subscriptions"), "Create the first subscription")
	assert.Contains(t, f.page("/deliveries"), "No deliveries yet")
	assert.Contains(t, f.page("/dead"), "No dead letters")
	assert.Contains(t, f.page("/api-keys"), "Create the first API key")
	assert.Equal(t, http.StatusNotFound, f.get("/nowhere").Status)
}
