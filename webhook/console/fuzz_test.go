package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mixpeek/webhooks-go/webhook/console"
)

// FuzzForms sends any text as the fields of every form, and as the query of every page. No answer is
// an error of the server, and nothing that was sent becomes an element of a page.
func FuzzForms(f *testing.F) {
	if testing.Short() {
		f.Skip("takes a tenth of a second of CPU time")
	}
	seeds := []string{
		"", "name=a&url=https://a.example&event_types=object.*", "revision=x&name=<x-sent>",
		"channel=webhook&key=webhook&on=1", "%zz&a;b", "configs=%7B%22a%22%3A1%7D&template=%7B%7B+a+%7D%7D",
		"q=%3Cx-sent%3E&status=dead&page=2", "since=2025-01-01T00:00&until=x", "event=%7B%7D&shape=object",
		"ids=dlv_1&ids=dlv_2&all=true", "per_second=1e9&burst=-1", "org=org_mine&cursor=dlv_1",
		"template=<x-sent>&shape=text&name=%22%3E%3Cx-sent%3E", "a=%00%ff",
	}
	if testing.Short() { // every page and form for each of them
		seeds = seeds[len(seeds)-2:]
	}
	for _, seed := range seeds {
		f.Add(seed, "x")
	}
	f.Add("", "<x-sent>")
	f.Fuzz(func(t *testing.T, fields, id string) {
		x := newFixture(t)
		sub := x.subscribe(mine, "known", "/a")
		for _, route := range x.console.Routes() {
			for _, id := range []string{sub.ID, id} {
				path := strings.TrimSuffix(route.Path, "{$}")
				if !strings.Contains(path, "{id}") && id != sub.ID {
					continue
				}
				path = console.DefaultPrefix + strings.ReplaceAll(path, "{id}", url.PathEscape(id))
				r := httptest.NewRequest(route.Method, console.DefaultPrefix+"/", nil)
				if route.Method == http.MethodPost {
					r = httptest.NewRequest(route.Method, console.DefaultPrefix+"/", strings.NewReader(fields))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.Header.Set("Sec-Fetch-Site", "same-origin")
				}
				unescaped, err := url.PathUnescape(path)
				if err != nil {
					t.Fatal(err)
				}
				r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescaped, path, fields
				a := x.do(r)
				if a.Status >= 500 || a.Status < 200 {
					t.Errorf("%s %s: %d %s", route.Method, path, a.Status, a.Body)
				}
				if strings.Contains(a.Body, "<x-sent") {
					t.Errorf("%s %s shows what was sent as it is", route.Method, path)
				}
			}
		}
	})
}
