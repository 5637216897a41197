package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// FuzzRequests puts any text into the path, the query and the headers of requests of every kind. The
// answer always is JSON of the documented form, and no error of the server.
func FuzzRequests(f *testing.F) {
	if testing.Short() {
		f.Skip("takes hundredths of a second of CPU time")
	}
	for _, query := range []string{
		"", "limit=5&cursor=dlv_3&status=dead", "limit=0&limit=1", "since=2025-01-01T00:00:00Z&until=x",
		"after=pos_0000000000000001&wait=0", "event_type=object.*&webhook_id=w", "is_active=maybe&search=%00",
		"%zz", "position=a&hours=48", "a=%ff;b",
	} {
		f.Add("w", query, "pos_0000000000000000", `"1"`, "key")
	}
	f.Add("../%2e%2e/x", "", "pos_ffffffffffffffff", `W/"1", *`, "\"a\\\"")
	f.Add("dlv_1\x00", "limit=999999999999999999999", "evt", "*", "\xff")
	f.Fuzz(func(t *testing.T, id, query, lastEventID, match, idempotencyKey string) {
		x := newFixture(t, options{})
		known := x.create(plainSubscription)
		escaped := url.PathEscape(id)
		for _, target := range []struct{ method, path string }{
			{"GET", ""}, {"GET", "/" + escaped}, {"GET", "/deliveries"}, {"GET", "/events"},
			{"GET", "/" + known + "/events"}, {"GET", "/deliveries/tail"}, {"GET", "/" + known + "/deliveries"},
			{"GET", "/" + known + "/deliveries/" + escaped}, {"GET", "/totals"}, {"GET", "/endpoints"}, {"GET", "/about"},
			{"GET", "/" + known + "/statistics"}, {"GET", "/" + known + "/endpoints"},
			{"GET", "/" + known + "/positions"}, {"PUT", "/" + known + "/positions/" + escaped},
			{"DELETE", "/" + known + "/positions/" + escaped}, {"PUT", "/" + escaped},
			{"POST", "/" + known + "/deliveries/" + escaped + "/cancel"}, {"DELETE", "/" + escaped},
		} {
			r := httptest.NewRequest(target.method, prefix, http.NoBody)
			path, err := url.PathUnescape(prefix + target.path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, prefix+target.path, query
			r.Header = http.Header{"Authorization": {"Bearer " + x.keys[orgA]},
				"Last-Event-Id": {lastEventID}, "If-Match": {match}, "If-None-Match": {match},
				"Idempotency-Key": {idempotencyKey}, "Content-Type": {"application/json"}}
			if lastEventID == "" {
				r.Header.Del("Last-Event-Id")
			}
			w := httptest.NewRecorder()
			x.api.ServeHTTP(w, r)
			if w.Code >= 500 || w.Code < 200 {
				t.Errorf("%s %s?%s: %d %s", target.method, target.path, query, w.Code, w.Body)
			}
			if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %s?%s: %d %q", target.method, target.path, query, w.Code, w.Body)
			}
		}
	})
}

// FuzzAuthorization sends any Authorization to a route. Only the key itself lets a request in.
func FuzzAuthorization(f *testing.F) {
	key, hash := api.NewKey()
	keys := api.NewKeys()
	if err := keys.Add(orgA, hash); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer " + key[:8], "Basic YTpi", "Bearer a b",
		"Bearer " + key + " ", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		r := httptest.NewRequest(http.MethodGet, prefix, http.NoBody)
		r.Header["Authorization"] = []string{authorization}
		if _, err := keys.Authenticate(r); err == nil {
			t.Errorf("%q lets in", authorization)
		}
	})
}
