package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// Clients that send their bodies slowly, or do not read their answers, leave the API to other
// organizations, however many clients and organizations there are.
func TestSlowClientsKeepNoOrganizationOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	slowBody := "POST " + prefix + "/preview HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" +
		"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	unread := "GET " + prefix + "/openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
	list := "GET " + prefix + "/event-types HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
	for name, tt := range map[string]struct {
		ask                     string
		organizations, requests int
	}{
		"bodies of a few":     {slowBody, 4, 16},
		"bodies of many":      {slowBody, 80, 1},
		"bodies of many more": {slowBody, 20, 16},
		"answers of many":     {list, 80, 1},
		"without places":      {unread, 80, 16},
		"without a key": {
			"POST " + prefix + " HTTP/1.1\r\nHost: x\r\nX: %s\r\nContent-Length: 100\r\n\r\n{", 80, 4,
		},
	} {
		if testing.Short() && tt.organizations*tt.requests > 100 {
			continue // each has a connection
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, options{})
				a, err := api.New(f.dispatcher, api.BearerToken, api.Config{Logger: f.logger})
				require.NoError(t, err)
				listener := make(connections)
				server := &http.Server{Handler: a} //nolint:gosec // no other client than this test's
				go func() { _ = server.Serve(listener) }()
				var clients []net.Conn
				for n := range tt.organizations {
					for range tt.requests {
						ours, theirs := net.Pipe()
						listener <- theirs
						_, err := fmt.Fprintf(ours, tt.ask, fmt.Sprint("slow", n))
						require.NoError(t, err)
						clients = append(clients, ours)
						synctest.Wait()
					}
				}
				time.Sleep(time.Second)
				began := time.Now()
				r := httptest.NewRequest(http.MethodGet, prefix, nil)
				r.Header.Set("Authorization", "Bearer another")
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
				assert.Zero(t, time.Since(began))
				for _, c := range clients {
					require.NoError(t, c.Close())
				}
				close(listener)
				require.NoError(t, server.Close())
				synctest.Wait()
			})
		})
	}
}

// A request that has lost its place, because its body did not arrive, is told so.
func TestSlowBodyLosesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{api: func(c *api.Config) { c.MaxRequests = 1 }})
		listener := make(connections, 1)
		server := &http.Server{Handler: f.api} //nolint:gosec // no other client than this test's
		go func() { _ = server.Serve(listener) }()
		ours, theirs := net.Pipe()
		listener <- theirs
		_, err := io.WriteString(ours,
			"POST "+prefix+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+f.keys[orgA]+
				"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		synctest.Wait()
		list := func() int { return f.do("GET", prefix, "", f.as(orgB)...).Status }
		assert.Equal(t, http.StatusServiceUnavailable, list(), "a body has a second to arrive")
		time.Sleep(time.Second)
		assert.Equal(t, http.StatusOK, list())
		answer, err := io.ReadAll(io.LimitReader(ours, 12))
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1 503", string(answer))
		assert.Equal(t, http.StatusOK, list())
		require.NoError(t, ours.Close())
		close(listener)
		require.NoError(t, server.Close())
		synctest.Wait()
	})
}

// many is n copies of an element, as the elements of a list.
func many(n int, element string) string {
	return strings.TrimSuffix(strings.Repeat(element+",", n), ",")
}

// largeBodies returns bodies just below the limit of 1 MiB, and what is wrong with each.
func largeBodies() map[string]struct{ body, problem string } {
	subscription := func(types, channels string) string {
		return `{"webhook_name": "n", "event_types": [` + types + `], "channels": [` + channels + `]}`
	}
	hook := func(more string) string {
		return `{"channel": "webhook", "configs": {"url": "https://example.com/"` + more + `}}`
	}
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]struct{ body, problem string }{
		"channels":         {subscription(`"a.b"`, many(340_000, `{}`)), "body.channels: too_long"},
		"types":            {subscription(many(200_000, `"X"`), hook("")), "body.event_types: too_long"},
		"types of nothing": {subscription(many(300_000, `""`), hook("")), "body.event_types: too_long"},
		"headers": {subscription(`"a.b"`,
			hook(`, "headers": {`+strings.TrimSuffix(numbered(60_000, `"X-%d": "",`), ",")+`}`)),
			"body.channels: value_error"},
		"unknown fields": {subscription(`"a.b"`, hook(numbered(60_000, `, "x%d": 1`))),
			"body.channels: value_error"},
		"members": {`{"webhook_name": ""` + numbered(60_000, `, "x%d": 1`) + `}`,
			": value_error"},
		"recipients": {subscription(`"a.b"`,
			`{"channel": "email", "configs": {"to_addresses": [`+many(300_000, `""`)+`]}}`),
			"body.channels: value_error"},
		"secrets": {subscription(`"a.b"`,
			hook(`, "signing_secrets": [`+many(90_000, `"********"`)+`]`)), "body.channels: value_error"},
		"templates": {subscription(`"a.b"`,
			many(16, hook(`, "payload_template": {"a": "`+strings.Repeat(`{{a}}`, 13_000)+`"}`))),
			"body.channels: value_error"},
		"empty objects": {`{"template": [` + many(340_000, `{}`) + `]}`, "body.template: value_error"},
		"depth": {strings.Repeat(`[`, 500_000) + strings.Repeat(`]`, 500_000),
			": json_invalid"},
		"depth and width": {`{"channels": ` + strings.Repeat(`[[],`,
			200_000) + `[]` + strings.Repeat(`]`, 200_000) + `}`, ": json_invalid"},
		"one name": {`{"channels": [{` + many(120_000, `"a": {}`) + `}]}`,
			"body.channels.0.a: value_error"},
		"no JSON": {strings.Repeat(`[`, 1_000_000), ": json_invalid"},
	}
}

// allocated is how many bytes work allocates.
func allocated(work func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// The memory that a body takes is a few times its size, whatever its content, for one body and
// for 16 at once: the work stops where a bound is crossed.
//
//nolint:paralleltest // it measures what is allocated
func TestLargeBodiesCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	f := newFixture(t, options{})
	const most = 8 << 20
	bodies := largeBodies()
	if testing.Short() { // one of each way in
		maps.DeleteFunc(bodies, func(name string, _ struct{ body, problem string }) bool {
			return !slices.Contains([]string{"channels", "types", "empty objects", "depth"}, name)
		})
	}
	for name, test := range bodies {
		path := prefix
		if strings.Contains(test.body[:min(len(test.body), 20)], "template") {
			path += "/preview"
		}
		assert.Less(t, len(test.body), 1<<20, name)
		var a *answer
		cost := allocated(func() { a = f.do("POST", path, test.body) })
		assert.Contains(t, strings.Join(a.problems(), "\n"), test.problem, name)
		assert.LessOrEqual(t, len(a.problems()), 101, name)
		assert.Less(t, len(a.Body), 64<<10, name)
		assert.Less(t, cost, most, "%s: %d KiB", name, cost>>10)
		if testing.Short() || !slices.Contains([]string{"channels", "types", "templates"}, name) {
			continue
		}
		together := allocated(func() {
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					assert.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusTooManyRequests},
						f.do("POST", path, test.body).Status, name)
				})
			}
			all.Wait()
		})
		assert.Less(t, together, 16*most, name)
	}
}

// nginxConfig is the whole configuration. It takes the folder, and the address of the server.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	proxy_http_version 1.1;
	upstream kept { server %[2]s; keepalive 8; }
	server {
		listen unix:%[1]s/buffered;
		location / { proxy_pass http://%[2]s; }
	}
	server {
		listen unix:%[1]s/kept;
		location / { proxy_set_header Connection ""; proxy_pass http://kept; }
	}
	server {
		listen unix:%[1]s/unbuffered;
		location / { proxy_request_buffering off; proxy_pass http://%[2]s; }
	}
}
`

// A proxy that is still sending a body passes the refusal on, and does not answer with 502.
func TestRefusalsBehindNginx(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	f := newFixture(t, options{api: func(c *api.Config) { c.MaxBody = 64 << 10 }})
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	folder := startNginx(t, server.Listener.Addr().String())
	body := bytes.Repeat([]byte(" "), 900_000)
	for _, way := range []string{"buffered", "kept", "unbuffered"} {
		client := &http.Client{Timeout: 5 * time.Minute,
			Transport: throughSocket(t, filepath.Join(folder, way))}
		for _, tt := range []struct {
			method, path, key string
			status            int
		}{
			{"POST", "", "guess", 401},
			{"POST", "", f.keys[orgA], 413},
			{"POST", "/preview", "guess", 401},
			{"POST", "/no/such/path/at/all", f.keys[orgA], 404},
			{"DELETE", "", f.keys[orgA], 405},
			{"GET", "", "guess", 401},
		} {
			const times = 10
			got := make(map[int]int)
			for range times {
				r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://app"+prefix+tt.path,
					bytes.NewReader(body))
				require.NoError(t, err)
				r.Header.Set("Authorization", "Bearer "+tt.key)
				response, err := client.Do(r)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				got[response.StatusCode]++
			}
			assert.Equal(t, map[int]int{tt.status: times}, got, "%s: %s %s", way, tt.method, tt.path)
		}
	}
}

func throughSocket(t *testing.T, path string) *http.Transport {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// startNginx starts a real nginx and returns the folder of its sockets.
func startNginx(t *testing.T, behind string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no nginx, which CI=true requires: install it")
		}
		t.Skip("nginx is not installed: what a proxy makes of refusals is not tested")
	}
	folder, err := os.MkdirTemp("", "nginx") // short: the path of a socket has at most 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	config := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, folder, behind), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-p", folder, "-c", config)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(folder, "error.log"))
			t.Logf("nginx said:\n%.4000s", log)
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", filepath.Join(folder, "unbuffered"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 5*time.Millisecond, "nginx does not listen")
	return folder
}

// silentStore is a store that answers nothing before the context ends.
type silentStore struct{ webhook.Store }

func silence[T any](ctx context.Context) (none T, err error) {
	<-ctx.Done()
	return none, ctx.Err()
}

func (silentStore) Subscription(ctx context.Context, _, _ string) (*webhook.Subscription, error) {
	return silence[*webhook.Subscription](ctx)
}

func (silentStore) Subscriptions(
	ctx context.Context, _ webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	return silence[[]*webhook.Subscription](ctx)
}

func (silentStore) Deliveries(
	ctx context.Context, _ webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	return silence[[]webhook.Delivery](ctx)
}

func (silentStore) Totals(
	ctx context.Context, _ time.Time, _ webhook.TotalsQuery,
) (webhook.Totals, error) {
	return silence[webhook.Totals](ctx)
}

// A request keeps its place for a minute at most, although the store does not answer.
func TestRequestsEndAlthoughTheStoreIsSilent(t *testing.T) {
	t.Parallel()
	for _, request := range [][3]string{
		{"GET", "", ""},
		{"GET", "/wh_1", ""},
		{"GET", "/wh_1/deliveries", ""},
		{"PATCH", "/wh_1", `{"is_active": false}`},
		{"GET", "/deliveries", ""},
		{"GET", "/totals", ""},
		{"POST", "/wh_1/replay", "{}"},
	} {
		t.Run(request[0]+request[1], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, options{
					api:   func(c *api.Config) { c.MaxRequestsPerOrganization = 1 },
					store: func(s webhook.Store) webhook.Store { return silentStore{s} },
				})
				began := time.Now()
				for range 2 { // the place of the first is free again
					f.do(request[0], prefix+request[1], request[2]).want(http.StatusServiceUnavailable)
				}
				assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
			})
		})
	}
}
