package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// slowStore is a store whose lists take long.
type slowStore struct{ webhook.Store }

func (s slowStore) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	select {
	case <-time.After(30 * time.Second):
	case <-ctx.Done():
	}
	return s.Store.Subscriptions(ctx, q)
}

// The requests in progress are bounded for one organization, so that others find a place, and for
// all together.
func TestRequestsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{
			api:   func(c *api.Config) { c.MaxRequests, c.MaxRequestsPerOrganization = 5, 3 },
			store: func(s webhook.Store) webhook.Store { return slowStore{s} },
		})
		var mu sync.Mutex
		answers := map[string]int{}
		var all sync.WaitGroup
		ask := func(organization string) {
			all.Go(func() {
				a := f.do("GET", prefix, "", f.as(organization)...)
				mu.Lock()
				defer mu.Unlock()
				answers[fmt.Sprintf("%s: %d, Retry-After %q", organization, a.Status,
					a.Header.Get("Retry-After"))]++
			})
			synctest.Wait()
		}
		for range 5 {
			ask(orgA)
		}
		for range 3 {
			ask(orgB)
		}
		all.Wait()
		assert.Equal(t, map[string]int{
			`org_a: 200, Retry-After ""`: 3, `org_a: 429, Retry-After "1"`: 2,
			`org_b: 200, Retry-After ""`: 1, `org_b: 429, Retry-After "1"`: 2,
		}, answers, "something is left for a third organization")
		ask(orgA)
		all.Wait()
		assert.Equal(t, 4, answers[`org_a: 200, Retry-After ""`], "there is room again")
	})
}

// A request is answered with 503, and not with 4xx or 500, while the store is unavailable.
func TestStoreIsDown(t *testing.T) {
	t.Parallel()
	down := webhook.Unavailable("postgres: the server cannot be reached")
	for _, err := range []error{down, fmt.Errorf("dial db: hunter2: %w", down),
		context.DeadlineExceeded} {
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			return failingStore{s,
				err}
		}})
		for _, path := range []string{"", "/wh_0123456789abcdef", "/deliveries"} {
			a := f.do("GET", prefix+path, "")
			assert.Equal(t, "ServiceUnavailableError", a.errorType(http.StatusServiceUnavailable))
			assert.Equal(t, "5", a.Header.Get("Retry-After"))
			assert.NotContains(t, string(a.Body), "postgres")
			assert.NotContains(t, string(a.Body), "hunter2")
		}
		_, got := f.client(orgA).List(t.Context())
		require.ErrorIs(t, got, webhook.ErrUnavailable, "as without the API between")
	}
}

type failingStore struct {
	webhook.Store
	err error
}

func (s failingStore) Subscription(context.Context, string, string) (*webhook.Subscription, error) {
	return nil, s.err
}
func (s failingStore) Subscriptions(
	context.Context, webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	return nil, s.err
}
func (s failingStore) Deliveries(
	context.Context, webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	return nil, s.err
}

// A test makes a request for every channel, so the tests of a customer are bounded.
func TestTestsAreNoAmplifier(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		configs := make([]string, 50)
		for i := range configs {
			configs[i] = `{}`
		}
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("many", configs...))
		require.NoError(t, err)
		sent, refused := 0, 0
		for range 100 {
			a := f.do("POST", prefix+"/"+sub.ID+"/test", "")
			if a.Status == http.StatusOK {
				sent += strings.Count(string(a.Body), `"succeeded":true`)
				continue
			}
			assert.Equal(t, "TooManyRequestsError", a.errorType(http.StatusTooManyRequests))
			assert.Equal(t, "40", a.Header.Get("Retry-After"))
			refused++
		}
		assert.Equal(t, 50, sent)
		assert.Equal(t, 99, refused)
		_, err = f.client(orgA).SendTest(t.Context(), sub.ID, api.TestRequest{})
		require.ErrorIs(t, err, webhook.ErrLimit, "as without the API between")
		time.Sleep(40 * time.Second)
		_, err = f.client(orgA).SendTest(t.Context(), sub.ID, api.TestRequest{})
		require.NoError(t, err)
	})
}

// connections is a listener for connections in memory.
type connections chan net.Conn

func (c connections) Accept() (net.Conn, error) {
	conn, ok := <-c
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (c connections) Close() error   { return nil }
func (c connections) Addr() net.Addr { return &net.UnixAddr{} }

// A body that does not arrive ends its request, because the request has a place that others need.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		listener := make(connections, 1)
		server := &http.Server{Handler: f.api} //nolint:gosec // no other client than this test's
		go func() { _ = server.Serve(listener) }()
		ours, theirs := net.Pipe()
		listener <- theirs
		began := time.Now()
		_, err := io.WriteString(ours,
			"POST "+prefix+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+f.keys[orgA]+
				"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		answer, err := io.ReadAll(io.LimitReader(ours, 12))
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1 400", string(answer))
		assert.Equal(t, 30*time.Second, time.Since(began))
		require.NoError(t, ours.Close())
		close(listener)
		require.NoError(t, server.Close())
		synctest.Wait()
	})
}

// Clients that do not read their answers cannot fill the memory with them: each answer keeps the
// place of its request until its connection ends.
func TestAnswersThatAreNotRead(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{api: func(c *api.Config) { c.MaxRequestsPerOrganization = 1 }})
		f.manyLarge(10)
		listener := make(connections, 1)
		server := &http.Server{Handler: f.api} //nolint:gosec // no other client than this test's
		go func() { _ = server.Serve(listener) }()
		ours, theirs := net.Pipe()
		listener <- theirs
		ask := "GET " + prefix + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + f.keys[orgA] +
			"\r\n\r\n"
		_, err := io.WriteString(ours, ask)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, http.StatusTooManyRequests, f.do("GET", prefix+"/event-types", "").Status)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Equal(t, http.StatusOK, f.do("GET", prefix+"/event-types", "").Status)
		_, err = io.Copy(io.Discard, ours)
		require.NoError(t, err, "it has been closed")

		ours, theirs = net.Pipe()
		listener <- theirs
		answers := bufio.NewReader(ours)
		for range 2 { // a connection of which the answers are read lasts
			_, err = io.WriteString(ours, ask)
			require.NoError(t, err)
			answer, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			assert.Equal(t, answer.ContentLength, n)
			require.NoError(t, answer.Body.Close())
			time.Sleep(time.Minute)
		}
		require.NoError(t, ours.Close())
		close(listener)
		require.NoError(t, server.Close())
		synctest.Wait()
	})
}

// manyLarge creates n webhooks of about 60 KiB.
func (f *fixture) manyLarge(n int) {
	f.t.Helper()
	sub := sinkSubscription("large", `{"text": "`+strings.Repeat("x", 60<<10)+`"}`)
	sub.OrganizationID = orgA
	for range n {
		copied := sub.Clone()
		require.NoError(f.t, f.dispatcher.CreateSubscription(f.t.Context(), copied))
	}
}

// Lists that would become large end early, with a cursor.
func TestLargeListsComeInPages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	f := newFixture(t, options{})
	const n = 200 // 12 MiB
	f.manyLarge(n)
	for _, path := range []string{prefix, prefix + "?limit=150", prefix + "/"} {
		seen := map[string]bool{}
		pages := 0
		for next := path; next != ""; pages++ {
			r := httptest.NewRequest(http.MethodGet, next, nil)
			r.Header.Set("Authorization", "Bearer "+f.keys[orgA])
			w := httptest.NewRecorder()
			f.api.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code)
			require.Less(t, w.Body.Len(), 5<<20)
			for _, id := range idsOf(w.Body.String()) {
				require.False(t, seen[id])
				seen[id] = true
			}
			next = ""
			if link := w.Header().Get("Link"); link != "" {
				next = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
				require.Contains(t, next, "cursor="+w.Header().Get(api.HeaderNextCursor))
			}
		}
		assert.Len(t, seen, n)
		assert.Equal(t, 3, pages, "12 MiB in pages of 4")
	}
	found := 0
	for next := "?limit=1000"; next != ""; {
		page, _ := f.search(next, "")
		found += len(page.Results)
		assert.LessOrEqual(t, len(page.Results), 70)
		next = ""
		if page.Pagination.NextPage != nil {
			next = strings.TrimPrefix(*page.Pagination.NextPage, prefix+"/list")
		}
	}
	assert.Equal(t, n, found, "offsets lead on from where the page ended")
	list, err := f.client(orgA).List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, n)
	assert.Equal(t, []string{"query.limit: value_error", "query.cursor: value_error"},
		f.do("GET", prefix+"?limit=0&cursor=!", "").problems())
}

func idsOf(body string) (ids []string) {
	for _, part := range strings.Split(body, `"webhook_id":"`)[1:] {
		ids = append(ids, part[:19])
	}
	return ids
}

// verboseStore has deliveries 300 to 1, each of which has failed 100 times.
type verboseStore struct{ webhook.Store }

func (verboseStore) Deliveries(
	_ context.Context, q webhook.DeliveryQuery,
) (list []webhook.Delivery, _ error) {
	attempts := make([]webhook.Attempt, 100)
	for i := range attempts {
		attempts[i].Error, attempts[i].Response = strings.Repeat("e", 1000), strings.Repeat("r", 1000)
	}
	id := webhook.DeliveryID(300)
	if q.Before > 0 {
		id = q.Before - 1
	}
	for ; id > 0 && len(list) < q.Limit; id-- {
		list = append(list, webhook.Delivery{ID: id, Attempts: attempts})
	}
	return list, nil
}

// Lists of deliveries end early too, because they have all attempts.
func TestLargeDeliveriesComeInPages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return verboseStore{s} }})
	want := webhook.DeliveryID(300)
	for d, err := range f.client(orgA).Deliveries(t.Context(), "", client.DeliveryFilter{}) {
		require.NoError(t, err)
		require.Equal(t, want, d.ID)
		want--
	}
	assert.Zero(t, want, "the pages together are everything, in order")
	a := f.do("GET", prefix+"/deliveries?limit=250", "")
	a.want(http.StatusOK)
	assert.Less(t, len(a.Body), 5<<20)
	assert.Greater(t, len(a.Body), 3<<20)
}

// An answer with very many problems is short, and says how many are left out.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t, options{})
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"x%d":1`, i)
		}
		return b.String()
	}
	for body, want := range map[string]string{
		`{"webhook_name": 1` + fields(97) + `}`:                    "",
		`{"webhook_name": 1` + fields(98) + `}`:                    "has 1 more problems",
		`{"webhook_name": 1` + fields(15_000) + `}`:                "has 14903 more problems",
		`{"event_types": [""` + strings.Repeat(`,"X"`, 400) + `]}`: "has 303 more problems",
		`{"channels": [{}` + strings.Repeat(`,{"a":1}`, 49) + `]}`: "has 51 more problems",
	} {
		a := f.do("POST", prefix, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status)
		var res api.ValidationResponse
		require.NoError(t, json.Unmarshal(a.Body, &res))
		last := res.Detail[len(res.Detail)-1]
		if want == "" {
			assert.Len(t, res.Detail, 100)
			assert.NotEqual(t, "too_many_problems", last.Type)
			continue
		}
		assert.Len(t, res.Detail, 101)
		assert.Equal(t, want, last.Message)
		assert.Equal(t, "too_many_problems", last.Type)
	}
}

// A location has the names of all that it is in. Many of them could be many times as large as the
// body.
func TestAnswersAreNoAmplifier(t *testing.T) {
	if testing.Short() {
		t.Skip("TestProblemsAreBounded has a bound too")
	}
	t.Parallel()
	f := newFixture(t, options{})
	below := func(names, length int, inner string) string {
		name := `{"` + strings.Repeat("n", length) + `":`
		return strings.Repeat(name, names) + inner + strings.Repeat("}", names)
	}
	headers := func(value string) string {
		return `{"channels": [{"channel": "webhook", "configs": {"url": "https://example.com/",
			"headers": ` + value + `}}]}`
	}
	const long = 4000
	for name, body := range map[string]string{
		"names that stand twice": `{"a": ` + below(200, long, `{`+many(150, `"a": 1`)+`}`) + `}`,
		"masks":                  headers(below(50, long, `[`+many(150, `"********"`)+`]`)),
		"masks, deep":            headers(below(240, 20, `[`+many(150, `"********"`)+`]`)),
		"unknown names":          `{` + unknown(100, strings.Repeat("<", long)) + `}`,
	} {
		a := f.do("POST", prefix, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, name)
		assert.Less(t, len(a.Body), 128<<10, name)
		assert.Contains(t, string(a.Body), "…", name)
		assert.Contains(t, string(a.Body), "more problems", name)
	}
	assert.Less(t, len(f.do("GET", prefix+"/deliveries?"+strings.Repeat("<", 500_000), "").Body), 1000)
}

// unknown returns n members whose names begin with the text.
func unknown(n int, text string) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d%s": 1`, i, text)
	}
	return strings.Join(members, ",")
}

// The cost of a secret does not depend on the names of the objects that it is in.
func TestLongNamesCostLittle(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	if testing.Short() {
		t.Skip("takes seconds")
	}
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("secretive", takesAll{}))
	configs := func(value string) string {
		return `{"` + strings.Repeat("n", 30_000) + `": [` + many(10_000, value) + `]}`
	}
	id := f.create(customSubscription("secretive", configs("1")))
	for name, work := range map[string]func() *answer{
		"masks": func() *answer {
			return f.do("PUT", prefix+"/"+id, customSubscription("secretive", configs(`"********"`)))
		},
		"reveal": func() *answer {
			return f.do("GET", prefix+"/"+id+"?reveal=channels.0.configs."+strings.Repeat("n", 29_999)+"x.1",
				"")
		},
	} {
		assert.Less(t, allocated(func() { work() }), 80<<20, name)
	}
	f.do("PUT", prefix+"/"+id, customSubscription("secretive",
		configs(`"********"`))).want(http.StatusOK)
	shown := f.do("GET", prefix+"/"+id+"?reveal=channels.0.configs."+strings.Repeat("n",
		30_000)+".9999", "").want(http.StatusOK)
	assert.Equal(t, 1, strings.Count(jsonString(shown), "1]"), "the last one, and no other")
	many := "?" + strings.Repeat("reveal=x&", 101)
	assert.Equal(t, []string{"query.reveal: too_long"}, f.do("GET", prefix+"/"+id+many, "").problems())
}

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t, options{})
	nested := func(depth int) string {
		return `{"template": ` + strings.Repeat(`{"a":`, depth-1) + `"x"` + strings.Repeat(`}`,
			depth-1) + `}`
	}
	assert.Equal(t, []string{"body: json_invalid"},
		f.do("POST", prefix+"/preview", nested(257)).problems())
	assert.Equal(t, []string{"body.template: template_error"},
		f.do("POST", prefix+"/preview", nested(256)).problems())
}

// The cost of a body grows linearly with its size. Memory is measured, because time depends on
// the machine.
//
//nolint:paralleltest // it measures what is allocated
func TestBodiesCostWhatTheyWeigh(t *testing.T) {
	if testing.Short() {
		t.Skip("TestLargeBodiesCostLittle has a bound too")
	}
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("secretive", takesAll{}))
	many := func(n int, format string) string {
		return strings.TrimSuffix(strings.Repeat(format+",", n), ",")
	}
	id := f.create(customSubscription("secretive", `{"list": [`+many(1000, `"s"`)+`]}`))
	for name, body := range map[string]func(n int) string{
		"deep": func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) },
		"masked": func(n int) string {
			return customSubscription("secretive",
				`{"list": [`+many(n, `"********"`)+`]}`)
		},
		"channels": func(n int) string {
			return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + many(n,
				`{"channel": "secretive", "configs": {"list": []}}`) + `]}`
		},
		"unknown": func(n int) string {
			return `{"channels": [` + many(n, `{"a": 1}`) + `], "event_types": [` + many(n, `1`) + `]}`
		},
	} {
		cost := func(n int) float64 {
			body := body(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f.do("PUT", prefix+"/"+id, body)
			runtime.ReadMemStats(&after)
			return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
		}
		cost(1000)
		small, large := cost(1000), cost(8000)
		assert.Less(t, large, 3*small, "%s: bytes allocated for each byte of the body", name)
	}
}

// A filter with a wrong escape is refused: without it, the query would select everything.
func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, query := range []string{"status=%zz", "status=dead;limit=1", "%"} {
		assert.Equal(t, []string{"query: value_error"},
			f.do("GET", prefix+"/deliveries?"+query, "").problems(), query)
		assert.Equal(t, []string{"query: value_error"},
			f.do("GET", prefix+"/wh_0123456789abcdef?reveal="+query, "").problems(), query)
	}
}

// The quota of an organization is kept, and its error is the same locally and through the client.
func TestQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t,
		options{dispatcher: func(c *dispatch.Config) {
			c.Quota = webhook.Quota{Subscriptions: 2,
				Channels: 3}
		}})
	first := f.create(plainSubscription, "Idempotency-Key", "k")
	f.create(plainSubscription)
	a := f.do("POST", prefix, plainSubscription)
	assert.Equal(t, api.TypeQuota, a.errorType(http.StatusForbidden))
	assert.Contains(t, string(a.Body), `"details":{"limit":"webhooks","max":2}`)
	assert.Empty(t, a.Header.Get("Retry-After"), "waiting changes nothing")
	assert.Equal(t, first, f.create(plainSubscription, "Idempotency-Key", "k"),
		"a repetition is answered")
	f.do("POST", prefix, plainSubscription, f.as(orgB)...).want(http.StatusCreated)

	sub := sinkSubscription("w", `{}`, `{}`, `{}`)
	_, err := f.client(orgA).Create(t.Context(), sub)
	require.ErrorIs(t, err, webhook.ErrLimit)
	require.NotErrorIs(t, err, api.ErrForbidden)
	sub.OrganizationID = orgA
	require.ErrorIs(t, f.dispatcher.CreateSubscription(t.Context(), sub), webhook.ErrLimit)
	sub.ID = first
	_, err = f.client(orgA).Update(t.Context(), sub)
	require.ErrorIs(t, err, webhook.ErrLimit)
	var limit *webhook.LimitError
	require.ErrorAs(t, f.dispatcher.PutSubscription(t.Context(), sub), &limit)
	assert.Equal(t, webhook.LimitError{Limit: "channels", Max: 3}, *limit)

	_, err = dispatch.New(f.store,
		dispatch.Config{Quota: webhook.Quota{Subscriptions: -1, Channels: -1}})
	require.ErrorContains(t, err, "Quota.Subscriptions")
	require.ErrorContains(t, err, "Quota.Channels")
}
