package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// document is the part of an OpenAPI document that the tests need.
type document struct {
	Servers []struct {
		URL string `json:"url"`
	} `json:"servers"`
	Paths map[string]map[string]struct {
		Responses map[string]any `json:"responses"`
		Security  *[]any         `json:"security"`
	} `json:"paths"`
}

func (f *fixture) document() document {
	f.t.Helper()
	var d document
	a := f.do("GET", f.prefix+"/openapi.json", "", "Authorization", "")
	a.want(http.StatusOK)
	require.NoError(f.t, json.Unmarshal(a.Body, &d))
	return d
}

// The document has every route, and no other.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{api: func(c *api.Config) { c.Prefix = "/hooks" }})
	d := f.document()
	assert.Equal(t, "/hooks", d.Servers[0].URL)
	var documented []string
	for path, operations := range d.Paths {
		for method := range operations {
			documented = append(documented, strings.ToUpper(method)+" "+strings.TrimSuffix(path, "/"))
		}
	}
	assert.ElementsMatch(t, f.api.Routes(), documented)
}

// holdSubject makes a dead delivery that holds its subject.
func (f *fixture) holdSubject() webhook.Delivery {
	f.t.Helper()
	ctx := f.t.Context()
	sub := sinkSubscription("ordered", `{}`)
	sub.Ordering = &webhook.Ordering{}
	created, err := f.client(orgA).Create(ctx, sub)
	require.NoError(f.t, err)
	f.emit(orgA, 1)
	now := time.Now()
	tasks, err := f.store.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 100,
		PerEndpoint: 100})
	require.NoError(f.t, err)
	var settlements []webhook.Settlement
	for _, task := range tasks {
		s := webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: task.DueAt}
		if task.Endpoint.SubscriptionID == created.ID {
			s.Status, s.Attempt = webhook.StatusDead, &webhook.Attempt{StartedAt: now, Class: "rejected"}
		}
		settlements = append(settlements, s)
	}
	_, err = f.store.Settle(ctx, now, settlements)
	require.NoError(f.t, err)
	held, err := f.store.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: orgA, Holding: true})
	require.NoError(f.t, err)
	require.Len(f.t, held, 1)
	return held[0]
}

// statusCase is a request that ends with a status that not all operations have.
type statusCase struct {
	status int
	path   string
	body   string
	header []string
}

// Every operation answers with all statuses that the document has for it, and no others.
func TestOpenAPIStatuses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 6)
		for _, id := range []webhook.DeliveryID{1, 3} {
			require.NoError(t, f.dispatcher.Cancel(t.Context(), orgA, id))
		}
		signer := f.create(secretSubscription)
		held := f.holdSubject()

		seen := map[string][]int{}
		var refusal error
		plain := f.apiOn(f.store, &refusal)
		for _, route := range f.api.Routes() {
			seen[route] = f.usualStatuses(route, plain, &refusal)
		}
		replay, err := f.client(orgA).StartReplay(t.Context(), api.BackgroundReplayRequest{})
		require.NoError(t, err)

		for route, cases := range statusCases(sub.ID, signer, replay.ID, held) {
			method, _, _ := strings.Cut(route, " ")
			for _, c := range cases {
				a := f.do(method, prefix+c.path, c.body, c.header...)
				require.Equal(t, c.status, a.Status, "%s %s: %s", method, c.path, a.Body)
				seen[route] = append(seen[route], c.status)
			}
		}
		_, key, err := f.apiKeys.Create(t.Context(), apikey.Service(""),
			webhook.APIKey{OrganizationID: orgA, Name: "x"})
		require.NoError(t, err)
		f.do("DELETE", prefix+"/api-keys/"+key.ID, "").want(http.StatusOK)
		revoke := "DELETE /api-keys/{api_key_id}"
		seen[revoke] = append(seen[revoke], http.StatusOK)
		for route, status := range f.raceStatuses(signer) {
			seen[route] = append(seen[route], status)
		}
		for route, status := range f.pendingStatuses(sub.ID) {
			seen[route] = append(seen[route], status)
		}
		for path, operations := range f.document().Paths {
			for method, operation := range operations {
				route := strings.ToUpper(method) + " " + strings.TrimSuffix(path, "/")
				var got []string
				for _, status := range seen[route] {
					got = append(got, jsonString(status))
				}
				slices.Sort(got)
				assert.Equal(t, slices.Sorted(maps.Keys(operation.Responses)), slices.Compact(got), route)
			}
		}
	})
}

func jsonString(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// statusCases returns, by operation, the requests for statuses that depend on their content. The
// order matters: webhooks are deleted last.
func statusCases(id, signer, replay string, held webhook.Delivery) map[string][]statusCase {
	const missing = "/wh_0123456789abcdef"
	hook, sign := "/"+id, "/"+signer
	stale := []string{"If-Match", `"0-0"`}
	badKey := []string{"Idempotency-Key", " "}
	taken := strings.Replace(plainSubscription, "{", `{"webhook_id": "`+id+`",`, 1)
	return map[string][]statusCase{
		"POST ": {{201, "", plainSubscription, nil}, {409, "", taken, nil},
			{422, "", "{}", nil}},
		"GET ":       {{200, "", "", nil}, {422, "?limit=0", "", nil}},
		"POST /list": {{200, "/list", "{}", nil}, {422, "/list?limit=0", "", nil}},
		"GET /{identifier}": {{200, hook, "", nil}, {404, missing, "", nil},
			{422, hook + "?reveal=x", "", nil}},
		"PUT /{identifier}": {{200, sign, secretSubscription, nil},
			{404, missing, plainSubscription, nil},
			{412, sign, plainSubscription, stale}, {422, sign, "{}", nil}},
		"PATCH /{identifier}": {{200, sign, `{"is_active": false}`, nil}, {404, missing, "{}", nil},
			{412, sign, "{}", stale}, {422, sign, "[]", nil}},
		"DELETE /{identifier}": {{412, missing, "", stale}, {204, missing, "", nil}},

		"GET /deliveries": {{200, "/deliveries", "", nil}, {422, "/deliveries?limit=0", "", nil}},
		"GET /{identifier}/deliveries": {{200, hook + "/deliveries", "", nil},
			{404, missing + "/deliveries", "", nil},
			{422, hook + "/deliveries?limit=0", "", nil}},
		"GET /{identifier}/deliveries/{delivery_id}": {{200, hook + "/deliveries/dlv_1", "", nil},
			{404, hook + "/deliveries/dlv_99", "", nil}},
		"GET /{identifier}/deliveries/{delivery_id}/event": {{200, hook + "/deliveries/dlv_1/event", "",
			nil},
			{404, hook + "/deliveries/dlv_99/event", "", nil}},
		"POST /{identifier}/deliveries/{delivery_id}/replay": {{202, hook + "/deliveries/dlv_1/replay",
			"", nil},
			{404, hook + "/deliveries/dlv_99/replay", "", nil},
			{409, hook + "/deliveries/dlv_2/replay", "", nil},
			{422, hook + "/deliveries/dlv_1/replay", "", badKey}},
		"POST /{identifier}/deliveries/{delivery_id}/cancel": {{200, hook + "/deliveries/dlv_4/cancel",
			"", nil},
			{404, hook + "/deliveries/dlv_99/cancel", "", nil},
			{409, hook + "/deliveries/dlv_3/cancel", "", nil}},
		"POST /{identifier}/deliveries/{delivery_id}/skip": {{200, "/" + held.SubscriptionID +
			"/deliveries/" + held.ID.String() + "/skip", "", nil},
			{404, hook + "/deliveries/dlv_99/skip", "", nil},
			{409, hook + "/deliveries/dlv_3/skip", "", nil}},
		"POST /{identifier}/replay": {{202, hook + "/replay", "", nil},
			{404, missing + "/replay", "", nil}, {422, hook + "/replay", "[]", nil}},
		"GET /deliveries/replays": {{200, "/deliveries/replays", "", nil}},
		"POST /deliveries/replays": {{202, "/deliveries/replays", "", nil},
			{404, "/deliveries/replays", `{"webhook_id": "wh_0123456789abcdef"}`, nil},
			{422, "/deliveries/replays", "", badKey}},
		"POST /deliveries/replays/count": {{200, "/deliveries/replays/count", "", nil},
			{404, "/deliveries/replays/count", `{"webhook_id": "wh_0123456789abcdef"}`, nil},
			{422, "/deliveries/replays/count", "[]", nil}},
		"GET /deliveries/replays/{replay_id}": {{200, "/deliveries/replays/" + replay, "", nil},
			{404, "/deliveries/replays/rpl_0", "", nil}},
		"POST /deliveries/replays/{replay_id}/stop": {
			{200, "/deliveries/replays/" + replay + "/stop", "", nil},
			{404, "/deliveries/replays/rpl_0/stop", "", nil}},
		"POST /events": {{202, "/events", `{"event_type": "a.b", "namespace": "n", "subject":
			{"type": "t", "id": "i"}}`, nil}, {422, "/events", "{}", nil}},
		"GET /events": {{200, "/events", "", nil}, {422, "/events?after=1", "", nil}},
		"GET /{identifier}/events": {{200, hook + "/events", "", nil},
			{404, missing + "/events", "", nil}, {422, hook + "/events?wait=31", "", nil}},
		"GET /deliveries/tail": {{200, "/deliveries/tail", "", nil},
			{422, "/deliveries/tail?after=pos_0000ffffffffffff", "", nil}},
		"GET /deliveries/results": {{200, "/deliveries/results", "", nil},
			{422, "/deliveries/results?after=pos_0000000000000001", "", nil}},
		"GET /{identifier}/positions": {{200, hook + "/positions", "", nil},
			{404, missing + "/positions", "", nil}},
		"PUT /{identifier}/positions/{name}": {
			{200, hook + "/positions/a", `{"position": "pos_0000000000000000"}`, nil},
			{404, missing + "/positions/a", `{"position": "pos_0000000000000000"}`, nil},
			{422, hook + "/positions/a", `{"position": "pos_0000ffffffffffff"}`, nil}},
		"DELETE /{identifier}/positions/{name}": {{204, hook + "/positions/a", "", nil}},
		"GET /totals":                           {{200, "/totals", "", nil}},
		"GET /totals/hourly":                    {{200, "/totals/hourly", "", nil}, {422, "/totals/hourly?since=x", "", nil}},
		"GET /about":                            {{200, "/about", "", nil}},
		"GET /endpoints":                        {{200, "/endpoints", "", nil}, {422, "/endpoints?health=ill", "", nil}},
		"GET /{identifier}/endpoints": {{200, hook + "/endpoints", "", nil},
			{404, missing + "/endpoints", "", nil}},
		"POST /{identifier}/endpoints/enable": {{200, hook + "/endpoints/enable", "", nil},
			{404, missing + "/endpoints/enable", "", nil},
			{422, hook + "/endpoints/enable", `{"channel": "fax"}`, nil}},
		"POST /{identifier}/endpoints/disable": {{200, sign + "/endpoints/disable", "", nil},
			{404, missing + "/endpoints/disable", "", nil},
			{422, hook + "/endpoints/disable", "[]", nil}},
		"GET /{identifier}/statistics": {{200, hook + "/statistics", "", nil},
			{404, missing + "/statistics", "", nil},
			{422, hook + "/statistics?since=x", "", nil}},
		"GET /{identifier}/refusals": {{200, hook + "/refusals", "", nil},
			{404, missing + "/refusals", "", nil}},

		"POST /{identifier}/test": {{200, hook + "/test", "", nil}, {404, missing + "/test", "", nil},
			{422, hook + "/test", "[]", nil}},
		"POST /{identifier}/signing-secret/rotate": {{200, sign + "/signing-secret/rotate", "", nil},
			{404, missing + "/signing-secret/rotate", "", nil},
			{412, sign + "/signing-secret/rotate", "", stale},
			{422, hook + "/signing-secret/rotate", "", nil}},
		"DELETE /{identifier}/signing-secret/previous": {{200, sign + "/signing-secret/previous", "",
			nil},
			{404, missing + "/signing-secret/previous", "", nil},
			{412, sign + "/signing-secret/previous", "", stale},
			{422, hook + "/signing-secret/previous", "", nil}},
		"POST /preview": {{200, "/preview", `{"template": ""}`, nil},
			{404, "/preview", `{"template": "", "event_id": "evt_99"}`, nil},
			{422, "/preview", "{}", nil}},
		"GET /api-keys": {{200, "/api-keys", "", nil}, {422, "/api-keys?limit=0", "", nil}},
		"POST /api-keys": {{201, "/api-keys", `{"name": "x"}`, nil},
			{403, "/api-keys", `{"name": "x", "operator": true}`, nil},
			{422, "/api-keys", "{}", nil}},
		"DELETE /api-keys/{api_key_id}": {{404, "/api-keys/key_0123456789abcdef", "", nil}},
		"GET /event-types":              {{200, "/event-types", "", nil}},
		"GET /health":                   {{200, "/health", "", nil}},
		"GET /openapi.json":             {{200, "/openapi.json", "", nil}},
	}
}

// usualStatuses makes the requests that end with the same status for every operation.
func (f *fixture) usualStatuses(route string, plain *api.API, refusal *error) (seen []int) {
	f.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	path = prefix + strings.NewReplacer("{identifier}", "wh_0123456789abcdef", "{delivery_id}",
		"dlv_1", "{name}", "reader", "{api_key_id}", "key_0123456789abcdef",
		"{replay_id}", "rpl_0123456789abcdef").Replace(path)
	switch route {
	case "GET /health":
		return []int{f.statusOf(brokenStore{f.store}, nil, httptest.NewRequest(method, path, nil))}
	case "GET /openapi.json":
		return nil
	}
	seen = append(seen, f.fullStatus(method, path))
	for _, err := range []error{api.ErrUnauthenticated, api.ErrForbidden, errors.New("down"),
		webhook.ErrUnavailable} {
		*refusal = err
		seen = append(seen, statusFrom(plain, httptest.NewRequest(method, path, nil)))
	}
	*refusal = nil
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		text := httptest.NewRequest(method, path, strings.NewReader("x"))
		text.Header.Set("Content-Type", "text/plain")
		for _, r := range []*http.Request{
			text,
			httptest.NewRequest(method, path, strings.NewReader(strings.Repeat("x", 2<<20))),
			httptest.NewRequest(method, path, io.MultiReader(strings.NewReader("{"), brokenReader{})),
		} {
			seen = append(seen, statusFrom(plain, r))
		}
	}
	return seen
}

// fullStatus makes a request of an organization that has another one in progress and may have no
// more.
func (f *fixture) fullStatus(method, path string) int {
	f.t.Helper()
	var a *api.API
	second := httptest.NewRecorder()
	d := f.dispatcherOn(askingStore{f.store,
		func() { a.ServeHTTP(second, httptest.NewRequest(method, path, nil)) }})
	a, err := api.New(d, func(*http.Request) (string, error) { return orgA, nil },
		api.Config{Logger: f.logger, MaxRequestsPerOrganization: 1, APIKeys: f.apiKeys, Publish: true})
	require.NoError(f.t, err)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/event-types", nil))
	require.Equal(f.t, http.StatusOK, w.Code, "one request at a time has room")
	hooks, err := f.dispatcher.Subscriptions(f.t.Context(),
		webhook.SubscriptionQuery{OrganizationID: orgA, Limit: 1})
	require.NoError(f.t, err)
	a.ServeHTTP(httptest.NewRecorder(),
		httptest.NewRequest(http.MethodPost, prefix+"/"+hooks[0].ID+"/replay", nil))
	return second.Code
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// apiOn makes an API whose authenticator returns *refusal.
func (f *fixture) apiOn(store webhook.Store, refusal *error) *api.API {
	f.t.Helper()
	a, err := api.New(f.dispatcherOn(store),
		func(*http.Request) (string, error) { return orgA, *refusal },
		api.Config{Logger: f.logger, APIKeys: f.apiKeys, Publish: true})
	require.NoError(f.t, err)
	return a
}

func statusFrom(a *api.API, r *http.Request) int {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Code
}

// statusOf makes a request of an API of its own, whose authenticator returns err.
func (f *fixture) statusOf(store webhook.Store, err error, r *http.Request) int {
	f.t.Helper()
	return statusFrom(f.apiOn(store, &err), r)
}

// busyStore is a store in which another process is always faster.
type busyStore struct{ *memstore.Store }

func (busyStore) SetEndpointStates(
	_ context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	return slices.Repeat([]error{webhook.ErrConflict}, len(changes)), nil
}

func (busyStore) UpdateSubscription(context.Context, *webhook.Subscription, webhook.Quota) error {
	return webhook.ErrConflict
}

// raceStatuses returns the statuses of changes while another process is always faster.
func (f *fixture) raceStatuses(id string) map[string]int {
	f.t.Helper()
	status := func(method, path, body string) int {
		return f.statusOf(busyStore{f.store}, nil,
			httptest.NewRequest(method, prefix+"/"+id+path, strings.NewReader(body)))
	}
	// The endpoint is disabled by now, so that enabling it is a change.
	enable := status("POST", "/endpoints/enable", "")
	f.do("POST", prefix+"/"+id+"/endpoints/enable", "").want(http.StatusOK)
	return map[string]int{
		"PUT /{identifier}":                            status("PUT", "", plainSubscription),
		"PATCH /{identifier}":                          status("PATCH", "", `{"is_active": true}`),
		"POST /{identifier}/endpoints/enable":          enable,
		"POST /{identifier}/endpoints/disable":         status("POST", "/endpoints/disable", ""),
		"POST /{identifier}/signing-secret/rotate":     status("POST", "/signing-secret/rotate", ""),
		"DELETE /{identifier}/signing-secret/previous": status("DELETE", "/signing-secret/previous", ""),
	}
}

// askingStore asks the API again while it replays.
type askingStore struct {
	*memstore.Store
	meanwhile func()
}

// Capabilities has replays of which the API is asked again while one begins.
func (s askingStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Replays = askingReplays{c.Replays, s.meanwhile}
	return c
}

type askingReplays struct {
	webhook.ReplayStore
	meanwhile func()
}

func (s askingReplays) CreateReplay(ctx context.Context, r *webhook.Replay) error {
	s.meanwhile()
	return s.ReplayStore.CreateReplay(ctx, r)
}

func (s askingStore) Deliveries(
	context.Context, webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	s.meanwhile()
	return nil, nil
}

// pendingStatuses returns the statuses of requests that are repeated before they have ended.
func (f *fixture) pendingStatuses(id string) map[string]int {
	f.t.Helper()
	seen := map[string]int{}
	for route, path := range map[string]string{"POST /{identifier}/replay": "/" + id + "/replay",
		"POST /deliveries/replays": "/deliveries/replays"} {
		request := func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, prefix+path, nil)
			r.Header.Set("Idempotency-Key", "k")
			return r
		}
		var a *api.API
		second := httptest.NewRecorder()
		d := f.dispatcherOn(askingStore{f.store, func() { a.ServeHTTP(second, request()) }})
		a, err := api.New(d, func(*http.Request) (string, error) { return orgA, nil },
			api.Config{Logger: f.logger})
		require.NoError(f.t, err)
		first := httptest.NewRecorder()
		a.ServeHTTP(first, request())
		assert.Equal(f.t, http.StatusAccepted, first.Code)
		seen[route] = second.Code
	}
	return seen
}

// Generators of clients do not support lists of types, lists without items, and schemas with the
// name of a parameter, of an answer, or one that the generator makes for an answer, and linters none
// that are not used. Package conformance generates clients and runs them.
func TestOpenAPISuitsGenerators(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, keeps := range map[string]bool{"with API keys": true, "without": false} {
		if testing.Short() && !keeps {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, options{api: func(cfg *api.Config) {
				if !keeps {
					cfg.APIKeys = nil
				}
			}})
			checkDocument(t, f.do("GET", prefix+"/openapi.json", "").Body, keeps)
		})
	}
}

func checkDocument(t *testing.T, raw []byte, apiKeys bool) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
		Components struct {
			Schemas    map[string]any `json:"schemas"`
			Parameters map[string]any `json:"parameters"`
			Responses  map[string]any `json:"responses"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal(raw, &document))
	assert.Equal(t, apiKeys, document.Paths["/api-keys"] != nil)
	for kind, named := range map[string]map[string]any{"schemas": document.Components.Schemas,
		"parameters": document.Components.Parameters, "responses": document.Components.Responses} {
		for name := range named {
			assert.Contains(t, string(raw), `"#/components/`+kind+"/"+name+`"`)
		}
	}
	ids := map[string]bool{}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			id := operation.OperationID
			require.NotEmpty(t, id, "%s %s", method, path)
			assert.False(t, ids[id], "%s is there twice", id)
			ids[id] = true
			for _, suffix := range []string{"Response", "Request", "Params"} {
				assert.NotContains(t, document.Components.Schemas, strings.ToUpper(id[:1])+id[1:]+suffix)
			}
		}
	}
	for name := range document.Components.Schemas {
		assert.NotContains(t, document.Components.Parameters, name, "one name has two types")
		assert.NotContains(t, document.Components.Responses, name, "one name has two types")
	}
	var whole any
	require.NoError(t, json.Unmarshal(raw, &whole))
	checkSchemas(t, "", whole)
}

func checkSchemas(t *testing.T, path string, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if _, isList := value["type"].([]any); isList {
			t.Errorf("%s: has a list of types", path)
		}
		if _, hasItems := value["items"]; value["type"] == "array" && !hasItems {
			t.Errorf("%s: is a list without items", path)
		}
		for name, member := range value {
			checkSchemas(t, path+"/"+name, member)
		}
	case []any:
		for _, item := range value {
			checkSchemas(t, path, item)
		}
	}
}

// The commands of the contract's documentation, and those of this package's, work as they
// are printed.
func TestCurl(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a shell and curl for each command")
	}
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is not installed")
		}
		t.Skip("curl is not installed")
	}
	f := newFixture(t, options{http: channelkit.HTTPConfig{
		Middleware: []func(http.RoundTripper) http.RoundTripper{noContent},
	}})
	server := httptest.NewServer(f.api.Before(http.NotFoundHandler()))
	t.Cleanup(server.Close)

	text, err := os.ReadFile("testdata/curl.txt")
	require.NoError(t, err)
	replace := strings.NewReplacer(
		"https://api.mixpeek.com", server.URL, "http://localhost:8080", server.URL,
		"<token>", f.keys[orgA], "{identifier}", "wh_abc123def4",
		"curl ", "curl --silent --show-error --write-out '%{http_code}' ")
	run := func(status, command string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "sh", "-c",
			replace.Replace(command)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, status, string(out[max(0, len(out)-3):]), "%s\n%s", command, out)
	}
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")[1:]
	require.Len(t, blocks, 8)
	for _, block := range blocks {
		status, command, _ := strings.Cut(block, "\n")
		run(status, command)
	}

	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	commands := regexp.MustCompile(`(?m)^//\tcurl (.*\n//\t +)*.*\n`).FindAllString(string(doc), -1)
	require.Len(t, commands, 4)
	for i, command := range commands {
		run([]string{"201", "200", "200", "200"}[i], strings.ReplaceAll(command, "//\t", ""))
	}
}

// noContent is a middleware that answers in place of all endpoints, so that nothing is sent.
func noContent(http.RoundTripper) http.RoundTripper { return answersNoContent{} }

type answersNoContent struct{}

func (answersNoContent) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}
