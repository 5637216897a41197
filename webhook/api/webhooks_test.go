package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestCreateGetUpdateDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})

	created := f.do("POST", prefix+"/", plainSubscription)
	w := created.want(http.StatusCreated)
	id, _ := w["webhook_id"].(string)
	assert.Regexp(t, `^wh_[0-9a-f]{16}$`, id)
	assert.Equal(t, prefix+"/"+id, created.Header.Get("Location"))
	assert.Equal(t, "plain", w["webhook_name"])
	assert.Equal(t, true, w["is_active"])
	assert.NotEmpty(t, w["created_at"])
	assert.Equal(t, w["created_at"], w["updated_at"])

	for _, path := range []string{"/" + id, "/" + id + "/"} {
		got := f.do("GET", prefix+path, "")
		assert.Equal(t, got.want(http.StatusOK), w)
		assert.Equal(t, created.Header.Get("ETag"), got.Header.Get("ETag"))
	}

	changed := f.do("PUT", prefix+"/"+id,
		strings.Replace(plainSubscription, `"plain"`, `"renamed", "is_active": false`, 1))
	w2 := changed.want(http.StatusOK)
	assert.Equal(t, "renamed", w2["webhook_name"])
	assert.Equal(t, false, w2["is_active"])
	assert.Equal(t, w["created_at"], w2["created_at"])
	assert.NotEqual(t, created.Header.Get("ETag"), changed.Header.Get("ETag"))
	assert.Equal(t, f.do("GET", prefix+"/"+id, "").want(http.StatusOK), w2)

	for range 2 { // what is gone is gone
		f.do("DELETE", prefix+"/"+id, "").want(http.StatusNoContent)
	}
	assert.Equal(t, "NotFoundError", f.do("GET", prefix+"/"+id, "").errorType(http.StatusNotFound))
	assert.Equal(t, "NotFoundError", f.do("PUT",
		prefix+"/"+id, plainSubscription).errorType(http.StatusNotFound))
}

// A client can send back what it has read, without changing it.
func TestUpdateTakesWhatGetGave(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	got := f.do("GET", prefix+"/"+id, "")
	f.do("PUT", prefix+"/"+id, string(got.Body)).want(http.StatusOK)
	stored, err := f.store.Subscription(t.Context(), orgA, id)
	require.NoError(t, err)
	assert.Contains(t, string(stored.Channels[0].Configs), "s3cr3t-one")
	assert.Contains(t, string(stored.Channels[0].Configs), "2.50")
}

func TestTrailingSlash(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, slash := range []string{"", "/"} {
		f.do("POST", prefix+slash, plainSubscription).want(http.StatusCreated)
		assert.Equal(t, http.StatusOK, f.do("GET", prefix+slash, "").Status)
		assert.Equal(t, http.StatusOK, f.do("POST", prefix+"/list"+slash, "").Status)
	}
}

func TestMountedAnywhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{api: func(c *api.Config) { c.Prefix = "/hooks/admin" }})
	created := f.do("POST", "/hooks/admin", plainSubscription)
	created.want(http.StatusCreated)
	f.do("GET", created.Header.Get("Location"), "").want(http.StatusOK)
	assert.Equal(t, "NotFoundError", f.do("GET", prefix, "").errorType(http.StatusNotFound))
	handler := f.api.Before(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	for path, status := range map[string]int{
		"/hooks/admin":         http.StatusUnauthorized,
		"/hooks/admin/":        http.StatusUnauthorized,
		"/hooks/admin/wh_1":    http.StatusUnauthorized,
		"/hooks/admin//test":   http.StatusNotFound,
		"/hooks/admin/none/at": http.StatusNotFound,
		"/hooks/administrator": http.StatusTeapot,
		"/hooks":               http.StatusTeapot,
		"/":                    http.StatusTeapot,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		assert.Equal(t, status, w.Code, path)
	}
}

func mustRequest(t *testing.T, method, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	require.NoError(t, err)
	return r
}

// A path with an empty segment, as a client sends it for an empty id, and one with dots are not
// redirected to the path of something else.
func TestPathsThatAreNotClean(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.do("POST", prefix, plainSubscription).want(http.StatusCreated)
	for _, path := range []string{
		"//", "//test", "//deliveries", "//deliveries/dlv_1/replay", "/list//", "/wh_1//test",
		"/wh_1/deliveries//event", "/.", "/..", "/../webhooks/list", "/./list", "/wh_1/../list",
		"/wh_1/deliveries/../test",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			a := f.do(method, prefix+path, "")
			assert.Equal(t, "NotFoundError", a.errorType(http.StatusNotFound), "%s %s", method, path)
			assert.Empty(t, a.Header.Get("Location"))
		}
	}
}

func TestBodiesThatDoNotFit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	channels := func(configs string) string {
		return `{"webhook_name": "n", "event_types": ["object.created"],
			"channels": [{"channel": "webhook", "configs": ` + configs + `}]}`
	}
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"none":      {"", []string{"body: missing"}},
		"no JSON":   {`{"webhook_name": }`, []string{"body.18: json_invalid"}},
		"a list":    {`[]`, []string{"body: object_type"}},
		"null":      {`null`, []string{"body: object_type"}},
		"not UTF-8": {"{\"webhook_name\": \"\xff\"}", []string{"body: json_invalid"}},
		"empty": {`{}`, []string{
			"body.webhook_name: missing", "body.event_types: value_error", "body.channels: value_error"}},
		"wrong types": {`{"webhook_name": 1, "event_types": "*", "channels": {}, "is_active": "yes",
			"created_at": "today",
				"internal_id": 5, "webhook_id": 7}`, []string{
			"body.webhook_id: string_type", "body.webhook_name: string_type", "body.event_types: array_type",
			"body.channels: array_type", "body.is_active: boolean_type", "body.internal_id: string_type",
			"body.created_at: datetime_parsing"}},
		"unknown": {`{"webhook_name": "", "colour": 1, "event_types": ["object.created"],
			"channels": [{"chanel": "x"}]}`, []string{
			"body.channels.0.chanel: extra_forbidden", "body.colour: extra_forbidden",
			"body.webhook_name: missing",
			"body.channels.0.channel: missing", "body.channels.0.configs: value_error"}},
		"event types": {strings.Replace(plainSubscription, `"object.*"`,
			`"object.created", "Object", 5, null, "*.created"`, 1), []string{
			"body.event_types.2: string_type", "body.event_types.3: string_type",
			"body.event_types.1: value_error", "body.event_types.4: value_error"}},
		"channel": {strings.Replace(plainSubscription, `"webhook"`, `"pigeon"`, 1),
			[]string{"body.channels.0.channel: value_error"}},
		"plain http": {channels(`{"url": "http://example.com/"}`),
			[]string{"body.channels.0.configs.url: value_error"}},
		"credentials": {channels(`{"url": "https://a:b@example.com/"}`),
			[]string{"body.channels.0.configs.url: value_error"}},
		"private address": {channels(`{"url": "https://192.168.0.1/"}`),
			[]string{"body.channels.0.configs.url: value_error"}},
		"metadata": {channels(`{"url": "https://169.254.169.254/"}`),
			[]string{"body.channels.0.configs.url: value_error"}},
		"localhost": {channels(`{"url": "https://localhost/"}`),
			[]string{"body.channels.0.configs.url: value_error"}},
		"header": {channels(`{"url": "https://example.com/", "headers": {"a b": "x", "Host": "y"}}`),
			[]string{
				"body.channels.0.configs.headers.Host: value_error",
				"body.channels.0.configs.headers.a b: value_error"}},
		"unknown configs": {channels(`{"url": "https://example.com/", "header": {}, "Timeout": 5}`),
			[]string{
				"body.channels.0.configs.Timeout: extra_forbidden",
				"body.channels.0.configs.header: extra_forbidden"}},
		"repeated": {strings.Replace(plainSubscription, `"url"`, `"url": 1, "url"`, 1),
			[]string{"body.channels.0.configs.url: value_error"}},
		"id": {strings.Replace(plainSubscription, `{`, `{"webhook_id": "nope",`, 1),
			[]string{"body.webhook_id: value_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, f.do("POST", prefix, test.body).problems())
		})
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, types := range []string{`"*"`, `"object.*"`, `"invoice.paid"`,
		`"cluster.execution.failed", "invoice.*"`} {
		f.create(strings.Replace(plainSubscription, `"object.*"`, types, 1))
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	with := func(id string) string {
		return strings.Replace(plainSubscription, `{`,
			`{"webhook_id": "`+id+`",`, 1)
	}
	assert.Equal(t, "wh_abc123def4", f.create(with("wh_abc123def4")), "older ids are accepted")
	assert.Equal(t, api.TypeExists, f.do("POST",
		prefix, with("wh_abc123def4")).errorType(http.StatusConflict))
	assert.Equal(t, api.TypeExists, f.do("POST",
		prefix, with("wh_abc123def4"), f.as(orgB)...).errorType(http.StatusConflict))
	f.do("PUT", prefix+"/wh_abc123def4", with("wh_abc123def4")).want(http.StatusOK)
	assert.Equal(t, []string{"body.webhook_id: value_error"},
		f.do("PUT", prefix+"/wh_abc123def4", with("wh_0123456789abcdef")).problems())
}

// The key decides which organization owns a webhook, and answers do not tell.
func TestInternalID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	body := strings.Replace(plainSubscription, `{`, `{"internal_id": "org_b", "description": "d",`, 1)
	created := f.do("POST", prefix, body)
	id, _ := created.want(http.StatusCreated)["webhook_id"].(string)
	for _, a := range []*answer{created, f.do("GET", prefix+"/"+id, ""), f.do("GET", prefix, ""),
		f.do("POST", prefix+"/list", "")} {
		assert.NotContains(t, string(a.Body), "internal_id")
		assert.NotContains(t, string(a.Body), "org_")
	}
	sub, err := f.store.Subscription(t.Context(), orgA, id)
	require.NoError(t, err)
	assert.Equal(t, orgA, sub.OrganizationID)
}

func TestErrorsOfHTTP(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{api: func(c *api.Config) { c.MaxBody = 1000 }})
	big := strings.Replace(plainSubscription, "plain", strings.Repeat("x", 1000), 1)
	assert.Equal(t, "PayloadTooLargeError",
		f.do("POST", prefix, big).errorType(http.StatusRequestEntityTooLarge))
	assert.Equal(t, "UnsupportedMediaTypeError",
		f.do("POST", prefix, plainSubscription, "Content-Type",
			"text/plain").errorType(http.StatusUnsupportedMediaType))
	assert.Equal(t, "UnsupportedMediaTypeError",
		f.do("POST", prefix, plainSubscription, "Content-Encoding",
			"gzip").errorType(http.StatusUnsupportedMediaType))
	assert.Contains(t, string(f.do("POST", prefix, plainSubscription, "Content-Type",
		"application/x-www-form-urlencoded").Body),
		`The header Content-Type must be application/json, not \"application/x-www-form-urlencoded\"`,
		"as curl -d sends it")
	assert.Contains(t, string(f.do("POST", prefix, plainSubscription, "Content-Encoding",
		"gzip").Body),
		`The header Content-Encoding must be identity or absent, not \"gzip\"`)
	f.do("POST", prefix, plainSubscription, "Content-Type",
		"application/json; charset=utf-8").want(http.StatusCreated)

	notAllowed := f.do("POST", prefix+"/wh_0123456789abcdef", "")
	assert.Equal(t, "MethodNotAllowedError", notAllowed.errorType(http.StatusMethodNotAllowed))
	assert.Equal(t, "DELETE, GET, HEAD, PATCH, PUT", notAllowed.Header.Get("Allow"))
	assert.Equal(t, "NotFoundError", f.do("GET",
		prefix+"/a/b/c/d/e", "").errorType(http.StatusNotFound))
	assert.Equal(t, "NotFoundError", f.do("GET", "/elsewhere", "").errorType(http.StatusNotFound))
}

func TestStoreFailureIsNotShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return brokenStore{s} }})
	a := f.do("GET", prefix, "")
	assert.Equal(t, "InternalServerError", a.errorType(http.StatusInternalServerError))
	assert.NotContains(t, string(a.Body), "password")
}

func TestListIsNeverNull(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	assert.JSONEq(t, `[]`, string(f.do("GET", prefix, "").Body))
	f.create(plainSubscription)
	var list []map[string]any
	require.NoError(t, json.Unmarshal(f.do("GET", prefix+"/", "").Body, &list))
	assert.Len(t, list, 1)
}

func TestRetryIsAnExtension(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	with := func(retry string) string {
		return strings.Replace(plainSubscription, `"plain"`, `"plain", "retry": `+retry, 1)
	}
	const policy = `{"delays_seconds": [0, 60], "max_attempts": 3, "max_age_seconds": 3600}`
	path := prefix + "/" + f.create(with(policy))
	retry := func(a *answer) string {
		raw, err := json.Marshal(a.want(http.StatusOK)["retry"])
		require.NoError(t, err)
		return string(raw)
	}
	assert.JSONEq(t, policy, retry(f.do("GET", path, "")))
	assert.JSONEq(t, policy, retry(f.do("PUT", path, plainSubscription)),
		"a client that does not know it keeps it")
	assert.JSONEq(t, policy, retry(f.do("PATCH", path, `{"is_active": false}`)))
	assert.JSONEq(t, `{"max_attempts": 1}`, retry(f.do("PUT", path, with(`{"max_attempts": 1}`))))
	assert.JSONEq(t, policy, retry(f.do("PATCH", path, `{"retry": `+policy+`}`)))
	assert.Equal(t, "null", retry(f.do("PATCH", path, `{"retry": null}`)))
	assert.JSONEq(t, policy, retry(f.do("PUT", path, with(policy))))
	assert.Equal(t, "null", retry(f.do("PUT", path, with(`null`))))

	for body, want := range map[string][]string{
		`5`: {"body.retry: object_type"},
		`{"delays_seconds": 5, "max_attempts": "1", "max_age_seconds": 1.5, "jitter": 1}`: {
			"body.retry.delays_seconds: array_type", "body.retry.max_attempts: integer_type",
			"body.retry.max_age_seconds: integer_type", "body.retry.jitter: extra_forbidden"},
		`{"delays_seconds": [1, "2", 1.5, null]}`: {
			"body.retry.delays_seconds.1: integer_type", "body.retry.delays_seconds.2: integer_type",
			"body.retry.delays_seconds.3: integer_type"},
		`{"delays_seconds": [-1], "max_attempts": 1001, "max_age_seconds": 9223372036854775807}`: {
			"body.retry.delays_seconds.0: value_error", "body.retry.max_attempts: value_error",
			"body.retry.max_age_seconds: value_error"},
	} {
		assert.Equal(t, want, f.do("POST", prefix+"/", with(body)).problems(), body)
	}
}

func TestRateLimitIsAnExtension(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	with := func(limit string) string {
		return strings.Replace(plainSubscription, `"plain"`, `"plain", "rate_limit": `+limit, 1)
	}
	const limit = `{"per_second": 0.5, "burst": 3}`
	path := prefix + "/" + f.create(with(limit))
	shown := func(a *answer) string {
		raw, err := json.Marshal(a.want(http.StatusOK)["rate_limit"])
		require.NoError(t, err)
		return string(raw)
	}
	assert.JSONEq(t, limit, shown(f.do("GET", path, "")))
	assert.JSONEq(t, limit, shown(f.do("PUT", path, plainSubscription)),
		"a client that does not know it keeps it")
	assert.JSONEq(t, limit, shown(f.do("PATCH", path, `{"is_active": false}`)))
	assert.JSONEq(t, `{"per_second": 7}`, shown(f.do("PUT", path, with(`{"per_second": 7}`))))
	assert.Equal(t, "null", shown(f.do("PATCH", path, `{"rate_limit": null}`)))
	assert.JSONEq(t, limit, shown(f.do("PATCH", path, `{"rate_limit": `+limit+`}`)))
	assert.Equal(t, "null", shown(f.do("PUT", path, with(`null`))))

	for body, want := range map[string][]string{
		`5`:  {"body.rate_limit: object_type"},
		`{}`: {"body.rate_limit.per_second: value_error"},
		`{"per_second": "1", "burst": 1.5, "per_minute": 1}`: {
			"body.rate_limit.per_second: number_type", "body.rate_limit.burst: integer_type",
			"body.rate_limit.per_minute: extra_forbidden"},
		`{"per_second": 10001, "burst": -1}`: {
			"body.rate_limit.per_second: value_error", "body.rate_limit.burst: value_error"},
	} {
		assert.Equal(t, want, f.do("POST", prefix+"/", with(body)).problems(), body)
	}
}

func TestOrderingIsAnExtension(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	with := func(ordering string) string {
		return strings.Replace(plainSubscription, `"plain"`, `"plain", "ordering": `+ordering, 1)
	}
	const ordering = `{"skip_after_seconds": 60}`
	path := prefix + "/" + f.create(with(ordering))
	shown := func(a *answer) string {
		raw, err := json.Marshal(a.want(http.StatusOK)["ordering"])
		require.NoError(t, err)
		return string(raw)
	}
	assert.JSONEq(t, ordering, shown(f.do("GET", path, "")))
	assert.JSONEq(t, ordering, shown(f.do("PUT", path, plainSubscription)),
		"a client that does not know it keeps it")
	assert.JSONEq(t, ordering, shown(f.do("PATCH", path, `{"is_active": false}`)))
	assert.JSONEq(t, `{}`, shown(f.do("PUT", path, with(`{}`))))
	assert.Equal(t, "null", shown(f.do("PATCH", path, `{"ordering": null}`)))
	for body, want := range map[string][]string{
		`true`: {"body.ordering: object_type"},
		`{"skip_after_seconds": "1", "by": "subject"}`: {
			"body.ordering.skip_after_seconds: integer_type", "body.ordering.by: extra_forbidden"},
		`{"skip_after_seconds": -1}`: {"body.ordering.skip_after_seconds: value_error"},
	} {
		assert.Equal(t, want, f.do("POST", prefix+"/", with(body)).problems(), body)
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	path := prefix + "/" + id
	before := f.configs(id)
	patch := func(body string, header ...string) *answer {
		return f.do("PATCH", path, body,
			header...)
	}

	w := patch(`{"is_active": false}`, "Content-Type",
		"application/merge-patch+json").want(http.StatusOK)
	assert.Equal(t, []any{false, "secret", []any{"object.created"}},
		[]any{w["is_active"], w["webhook_name"], w["event_types"]})
	assert.Equal(t, before, f.configs(id), "what is absent stays")
	w = patch(`{"webhook_name": "renamed", "event_types": ["invoice.*"]}`).want(http.StatusOK)
	assert.Equal(t, []any{false, "renamed", []any{"invoice.*"}},
		[]any{w["is_active"], w["webhook_name"], w["event_types"]})
	assert.Equal(t, true, patch(`{"is_active": null}`).want(http.StatusOK)["is_active"],
		"null removes, and absent is true")
	patch(`{}`).want(http.StatusOK)
	assert.Equal(t, before, f.configs(id))

	// Channels are replaced as an update replaces them.
	const hook = `{"channels": [{"channel": "webhook", "configs": {"url": "https://example.com/new",
		"headers": {"X-Other": "` + api.Mask + `"}}}]}`
	patch(hook).want(http.StatusOK)
	assert.JSONEq(t,
		`{"url": "https://example.com/new", "headers": {"X-Other": "s3cr3t-two"},
			"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`, f.configs(id)[0])
	assert.Equal(t, []string{"body.channels.0.configs.signing_secret: value_error",
		"body.channels.0.configs.headers.X-Other: value_error"},
		patch(strings.Replace(hook, "example.com", "thief.example", 1)).problems())

	for body, want := range map[string][]string{
		``:                                       {"body: missing"},
		`[]`:                                     {"body: object_type"},
		`{"is_active": 1}`:                       {"body.is_active: boolean_type"},
		`{"x": 1}`:                               {"body.x: extra_forbidden"},
		`{"webhook_name": null}`:                 {"body.webhook_name: missing"},
		`{"channels": null}`:                     {"body.channels: value_error"},
		`{"event_types": []}`:                    {"body.event_types: value_error"},
		`{"webhook_id": "wh_0123456789abcdef"}`:  {"body.webhook_id: value_error"},
		`{"channels": [` + many(51, "{}") + `]}`: {"body.channels: too_long"},
	} {
		assert.Equal(t, want, patch(body).problems(), body)
	}
	patch(`{"is_active": true}`, "If-Match", `"1"`).errorType(http.StatusPreconditionFailed)
	f.do("PATCH", prefix+"/wh_0123456789abcdef", `{"is_active": true}`).errorType(http.StatusNotFound)
	assert.Equal(t, "UnsupportedMediaTypeError",
		patch(`{}`, "Content-Type", "text/plain").errorType(http.StatusUnsupportedMediaType))
}

// Of two writers that have read the same version, neither loses the change of the other.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	path := prefix + "/" + id
	first := f.do("GET", path, "").Header.Get("ETag")
	renamed := strings.Replace(plainSubscription, "plain", "renamed", 1)

	one := f.do("PUT", path, renamed, "If-Match", first)
	one.want(http.StatusOK)
	other := f.do("PUT", path, plainSubscription, "If-Match", first)
	assert.Equal(t, "PreconditionFailedError", other.errorType(http.StatusPreconditionFailed))
	assert.Equal(t, "renamed", f.do("GET", path, "").want(http.StatusOK)["webhook_name"])

	f.do("PUT", path, plainSubscription, "If-Match",
		`"x", `+one.Header.Get("ETag")).want(http.StatusOK)
	f.do("PUT", path, plainSubscription, "If-Match", "*").want(http.StatusOK)
	f.do("PUT", path, plainSubscription, "If-Match",
		"W/"+f.do("GET", path, "").Header.Get("ETag")).errorType(http.StatusPreconditionFailed)
	f.do("PUT", path, plainSubscription, "If-Match", "1").errorType(http.StatusPreconditionFailed)

	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
	f.do("DELETE", path, "", "If-Match",
		f.do("GET", path, "").Header.Get("ETag")).want(http.StatusNoContent)
	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
}

// meddlingStore is a store in which another process changes a subscription just before it is
// changed or deleted, as many times as times says.
type meddlingStore struct {
	*memstore.Store
	t     *testing.T
	times int
}

func (s *meddlingStore) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	s.meddle(ctx, organizationID, id)
	return s.Store.DeleteSubscription(ctx, organizationID, id, revision)
}

func (s *meddlingStore) UpdateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	s.meddle(ctx, sub.OrganizationID, sub.ID)
	return s.Store.UpdateSubscription(ctx, sub, quota)
}

func (s *meddlingStore) meddle(ctx context.Context, organizationID, id string) {
	if s.times--; s.times >= 0 {
		sub, err := s.Subscription(ctx, organizationID, id)
		require.NoError(s.t, err)
		sub.UpdatedAt = sub.UpdatedAt.Add(time.Microsecond)
		require.NoError(s.t, s.Store.UpdateSubscription(ctx, sub, webhook.Quota{}))
	}
}

// An update does not undo a change that was made after the update has read the webhook.
func TestIfMatchOfAChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, test := range []struct {
		match string // "" is the ETag
		times int
		want  int
	}{
		{"", 0, http.StatusOK},
		{"", 1, http.StatusPreconditionFailed},
		{"*", 1, http.StatusOK}, // which any version matches
		{"*", 9, http.StatusConflict},
	} {
		path := prefix + "/" + f.create(plainSubscription)
		r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(plainSubscription))
		r.Header.Set("If-Match", cmp.Or(test.match, f.do("GET", path, "").Header.Get("ETag")))
		assert.Equal(t, test.want, f.statusOf(&meddlingStore{f.store, t, test.times}, nil, r), "%+v",
			test)
	}
}

// A deletion does not ignore a change that was made after the deletion has read the webhook.
func TestIfMatchOfARemoval(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, test := range []struct {
		match string // "" is the ETag
		times int
		want  int
	}{
		{"", 0, http.StatusNoContent},
		{"", 1, http.StatusPreconditionFailed},
		{"*", 1, http.StatusNoContent}, // which any version matches
		{"*", 9, http.StatusPreconditionFailed},
	} {
		id := f.create(plainSubscription)
		path := prefix + "/" + id
		r := httptest.NewRequest(http.MethodDelete, path, nil)
		r.Header.Set("If-Match", cmp.Or(test.match, f.do("GET", path, "").Header.Get("ETag")))
		got := f.statusOf(&meddlingStore{f.store, t, test.times}, nil, r)
		assert.Equal(t, test.want, got, "%+v", test)
		exists := f.do("GET", path, "").Status == http.StatusOK
		assert.Equal(t, test.want != http.StatusNoContent, exists, "%+v", test)
	}
}

// An If-Match without a tag matches no version.
func TestIfMatchEmpty(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	path := prefix + "/" + f.create(plainSubscription)
	for _, lines := range [][]string{{""}, {"", `"x"`}} {
		for _, method := range []string{http.MethodPut, http.MethodDelete} {
			r := httptest.NewRequest(method, path, strings.NewReader(plainSubscription))
			r.Header["If-Match"] = lines
			assert.Equal(t, http.StatusPreconditionFailed, f.statusOf(f.store, nil, r), "%s %q", method,
				lines)
		}
	}
	f.do("GET", path, "").want(http.StatusOK)
}

// No change is lost, however many writers there are.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t, options{})
	id := f.create(strings.Replace(plainSubscription, "plain", "0", 1))
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			c := f.client(orgA)
			for done := 0; done < each; {
				sub, err := c.Get(t.Context(), id)
				if !assert.NoError(t, err) {
					return
				}
				n, err := strconv.Atoi(sub.Name)
				if !assert.NoError(t, err) {
					return
				}
				sub.Name = strconv.Itoa(n + 1)
				_, err = c.Update(t.Context(), &sub.Subscription, client.WithIfMatch(sub.ETag))
				if err == nil {
					done++
				} else if !assert.ErrorIs(t, err, webhook.ErrConflict) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, strconv.Itoa(writers*each),
		f.do("GET", prefix+"/"+id, "").want(http.StatusOK)["webhook_name"])
}
