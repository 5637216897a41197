package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// openStream is a request that is in progress.
type openStream struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	most int // bytes of the longest write
	end  context.CancelFunc
	done chan struct{}
}

func (s *openStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(s.most, len(p))
	return s.ResponseRecorder.Write(p)
}

// take returns what was written since the last call.
func (s *openStream) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.Body.String()
	s.Body.Reset()
	return text
}

func (s *openStream) ended() bool {
	synctest.Wait()
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// start begins a request of an organization.
func (f *fixture) start(organization, path string, header ...string) *openStream {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, prefix+path, nil)
	r.Header.Set("Authorization", "Bearer "+f.keys[organization])
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	s := &openStream{ResponseRecorder: httptest.NewRecorder(), end: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		f.api.ServeHTTP(s, r)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-s.done
	})
	synctest.Wait()
	return s
}

// asStream is the header of a request for a stream.
func asStream(more ...string) []string { return append(more, "Accept", "text/event-stream") }

// events returns the ids of the events in a page or stream.
func emittedIn(text string) (ids []string) {
	for _, part := range strings.Split(text, `"event_id":"`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		if len(ids) == 0 || ids[len(ids)-1] != id { // the envelope has it, too
			ids = append(ids, id)
		}
	}
	return ids
}

func TestStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`, `{}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		s := f.start(orgA, "/"+sub.ID+"/events", asStream()...)
		require.Equal(t, http.StatusOK, s.Code)
		for name, value := range map[string]string{"Content-Type": "text/event-stream",
			"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"} {
			require.Equal(t, value, s.Header().Get(name))
		}
		first := s.take()
		require.True(t, strings.HasPrefix(first, "retry: 2000\n\nid: pos_"), first)
		require.True(t, strings.HasSuffix(first, "}\n\n"), first)
		require.Len(t, emittedIn(first), 1, "an event is sent once, whatever the number of channels")

		time.Sleep(time.Second)
		f.emit(orgA, 2)
		time.Sleep(time.Second)
		second := s.take()
		require.Len(t, emittedIn(second), 2)

		// Events of others move the position of a stream that is silent.
		other, err := f.client(orgB).Create(t.Context(), sinkSubscription("w", `{}`))
		require.NoError(t, err)
		quiet := f.start(orgB, "/"+other.ID+"/events", asStream()...)
		require.Contains(t, quiet.take(), "retry: 2000\n\n:\nid: pos_")
		f.emit(orgA, 3)
		time.Sleep(14 * time.Second)
		require.Empty(t, quiet.take())
		time.Sleep(time.Second)
		beat := quiet.take()
		require.Regexp(t, `^:\nid: pos_[0-9a-f]{16}\n\n$`, beat, "a heartbeat has an id, and no data")
		end, err := f.store.TailEnd(t.Context())
		require.NoError(t, err)
		require.Equal(t, ":\nid: "+end.Position.String()+"\n\n", beat)
		require.Len(t, emittedIn(s.take()), 3)

		// Another one goes on where one has ended.
		s.end()
		require.True(t, s.ended())
		lines := strings.Split(second, "\n")
		again := f.start(orgA, "/"+sub.ID+"/events?after=pos_0000000000000000",
			asStream("Last-Event-ID", strings.TrimPrefix(lines[0], "id: "))...)
		require.Equal(t, emittedIn(second)[1:], emittedIn(again.take())[:1])

		time.Sleep(14 * time.Minute)
		require.False(t, again.ended())
		time.Sleep(time.Minute)
		require.True(t, again.ended(), "a stream ends after 15 minutes, so that its client is authenticated "+
			"again")
	})
}

// TestStreamOfLargeEvents checks that a page is not collected in memory before it is written.
func TestStreamOfLargeEvents(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		_, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`))
		require.NoError(t, err)
		const size = 20_000
		for range 40 {
			e := event.New("a.b", event.Subject{Type: "a", ID: "1"})
			e.OrganizationID, e.Metadata = orgA, map[string]any{"long": strings.Repeat("x", size)}
			_, err := f.dispatcher.Emit(t.Context(), e)
			require.NoError(t, err)
		}
		s := f.start(orgA, "/events", asStream()...)
		require.Len(t, emittedIn(s.take()), 40)
		require.Less(t, s.most, 64<<10+size+1000)
		require.Greater(t, s.most, 2*size, "a write has several events")
	})
}

func TestStreamOfDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`, `{"fail": "status"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		page := f.do("GET", prefix+"/deliveries/tail?webhook_id="+sub.ID, "").want(http.StatusOK)
		require.Len(t, page["results"], 2, "each delivery is a result")
		text, err := json.Marshal(page)
		require.NoError(t, err)
		for _, part := range []string{`"status":"succeeded"`, `"status":"dead"`, `"error_class":"status"`} {
			require.Contains(t, string(text), part)
		}
		s := f.start(orgA, "/deliveries/tail", asStream()...)
		require.Equal(t, 2, strings.Count(s.take(), `data: {"position":"pos_`))
	})
}

// TestStreamOfResults reads what becomes of deliveries by pages, as a stream, and with the client.
func TestStreamOfResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c := f.client(orgA)
		sub, err := c.Create(t.Context(), sinkSubscription("w", `{}`, `{"fail": "status"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		page := f.do("GET", prefix+"/deliveries/results?webhook_id="+sub.ID, "").want(http.StatusOK)
		require.Len(t, page["results"], 2)
		require.Empty(t, f.do("GET", prefix+"/deliveries/results?webhook_id=wh_other", "").
			want(http.StatusOK)["results"])
		f.do("GET", prefix+"/deliveries/tail?after="+page["next"].(string), "").
			want(http.StatusUnprocessableEntity)

		s := f.start(orgA, "/deliveries/results?event_type=object.*", asStream()...)
		first := s.take()
		require.Equal(t, 2, strings.Count(first, `data: {"position":"pos_4`))
		require.Contains(t, first, `"status":"succeeded","attempt":{"number":1`)
		require.Contains(t, first, `"status":"dead","attempt":{"number":1`)
		var results []*api.TailResult
		var replayed bool
		for r, err := range c.TailResults(t.Context(), sub.ID, client.TailQuery{}) {
			require.NoError(t, err)
			results = append(results, r)
			if !replayed {
				require.Equal(t, sub.ID, r.SubscriptionID)
				replayed = true
				time.Sleep(time.Second)
				_, err := c.Replay(t.Context(), sub.ID, r.DeliveryID)
				require.NoError(t, err)
			}
			if len(results) == 4 {
				break
			}
		}
		require.True(t, results[2].Replayed())
		require.Nil(t, results[2].Attempt)
		require.Equal(t, results[0].DeliveryID, results[3].DeliveryID)
		require.Equal(t, 2, results[3].Attempt.Number)
		time.Sleep(time.Second)
		require.Equal(t, 2, strings.Count(s.take(), "data: "), "a stream goes on with what comes")
	})
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`))
		require.NoError(t, err)
		path := "/" + sub.ID + "/events"
		s := f.start(orgA, path+"?wait=20")
		time.Sleep(10 * time.Second)
		require.False(t, s.ended())
		f.emit(orgA, 1)
		time.Sleep(time.Second)
		require.True(t, s.ended(), "a request that waits is answered when something comes")
		var page api.TailPage[api.TailEvent]
		require.NoError(t, json.Unmarshal(s.Body.Bytes(), &page))
		require.Len(t, page.Results, 1)

		began := time.Now()
		empty, err := f.client(orgA).Events(t.Context(), sub.ID, client.TailQuery{After: page.Next},
			20*time.Second)
		require.NoError(t, err)
		require.Equal(t, 20*time.Second, time.Since(began))
		require.Empty(t, empty.Results)
		require.GreaterOrEqual(t, empty.Next, page.Next)
		require.False(t, empty.More)
		require.Nil(t, empty.HeldSince)
	})
}

// TestStreamBounds checks that those who wait neither take the places of others' requests, nor more
// than their own.
func TestStreamBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{api: func(c *api.Config) {
			c.MaxRequests, c.MaxRequestsPerOrganization = 2, 1
			c.MaxStreams, c.MaxStreamsPerOrganization = 6, 2
		}})
		streams := []*openStream{f.start(orgA, "/events", asStream()...), f.start(orgA, "/events?wait=30")}
		require.False(t, streams[1].ended())
		f.do("GET", prefix+"/events", "").want(http.StatusOK)
		for _, header := range [][]string{nil, asStream()} {
			a := f.do("GET", prefix+"/events?wait=30", "", header...)
			a.want(http.StatusTooManyRequests)
			require.NotEmpty(t, a.Header.Get("Retry-After"))
		}
		third := f.start(orgB, "/events", asStream()...)
		require.False(t, third.ended())
		time.Sleep(29 * time.Second)
		require.False(t, streams[1].ended())
		time.Sleep(time.Second)
		require.True(t, streams[1].ended())
		require.False(t, f.start(orgA, "/events", asStream()...).ended(), "one that ended makes room")
	})
	_, err := api.New(newFixture(t, options{}).dispatcher,
		func(*http.Request) (string, error) { return "", nil },
		api.Config{MaxStreams: 2, MaxStreamsPerOrganization: 3})
	require.ErrorContains(t, err, "MaxStreamsPerOrganization")
}

func TestTailRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		for _, header := range [][]string{nil, asStream()} {
			require.Equal(t, []string{"query.after: value_error"},
				f.do("GET", prefix+"/events?after=pos_00000000000f0000", "", header...).problems(),
				"also a stream is refused with a status")
		}
		require.ElementsMatch(t, []string{"query.after: value_error", "query.wait: value_error",
			"query.limit: value_error", "query.event_type: value_error", "query.x: extra_forbidden"},
			f.do("GET", prefix+"/events?after=x&wait=99&limit=251&event_type=a.*.b&x=1", "").problems())
		require.Equal(t, []string{"header.Last-Event-ID: value_error"},
			f.do("GET", prefix+"/events", "", asStream("Last-Event-ID", "7")...).problems())
		require.Equal(t, []string{"query.position: extra_forbidden"},
			f.do("GET", prefix+"/events?position=a", "").problems())
	})
}

func TestPositions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 3)
		page, err := c.Events(ctx, sub.ID, client.TailQuery{Name: "cache"}, 0)
		require.NoError(t, err)
		require.Len(t, page.Results, 3, "a name that is not stored begins with the oldest")
		stored, err := c.Acknowledge(ctx, sub.ID, "cache", page.Results[1].Position)
		require.NoError(t, err)
		require.Equal(t, page.Results[1].Position, stored.Position)
		again, err := c.Acknowledge(ctx, sub.ID, "cache", page.Results[0].Position)
		require.NoError(t, err)
		require.Equal(t, stored, again, "a position does not move back")
		rest, err := c.Events(ctx, sub.ID, client.TailQuery{Name: "cache"}, 0)
		require.NoError(t, err)
		require.Equal(t, page.Results[2:], rest.Results)
		list, err := c.Positions(ctx, sub.ID)
		require.NoError(t, err)
		require.Equal(t, []webhook.NamedPosition{*stored}, list)
		for i := range webhook.MaxPositions - 1 {
			_, err = c.Acknowledge(ctx, sub.ID, fmt.Sprint("reader-", i), 0)
			require.NoError(t, err)
		}
		_, err = c.Acknowledge(ctx, sub.ID, "one-more", 0)
		require.ErrorIs(t, err, webhook.ErrLimit)
		require.NoError(t, c.DeletePosition(ctx, sub.ID, "cache"))
		require.NoError(t, c.DeletePosition(ctx, sub.ID, "cache"))
		put := func(name, body string) []string {
			return f.do("PUT", prefix+"/"+sub.ID+"/positions/"+name, body).problems()
		}
		require.Equal(t, []string{"path.name: value_error", "body.position: missing"}, put("A", "{}"))
		require.Equal(t, []string{"body.position: value_error"}, put("a", `{"position": "dlv_1"}`))
		require.Equal(t, []string{"body.position: value_error"},
			put("a", `{"position": "pos_0000000fffffffff"}`))
	})
}

func TestTotals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		for _, organization := range []string{orgA, orgA, orgB} {
			_, err := f.client(organization).Create(t.Context(), sinkSubscription("w", `{}`))
			require.NoError(t, err)
		}
		f.emit(orgA, 2)
		f.emit(orgB, 1)
		totals, err := f.client(orgA).Totals(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(4), totals.Deliveries[webhook.StatusPending])
		require.Equal(t, 2, totals.Subscriptions)
		require.NotNil(t, totals.OldestDue)
	})
}

func TestHourlyBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		for _, organization := range []string{orgA, orgB} {
			_, err := f.client(organization).Create(t.Context(), sinkSubscription("w", `{}`))
			require.NoError(t, err)
		}
		f.emit(orgA, 2)
		f.emit(orgB, 1)
		emitted := time.Now().UTC()
		time.Sleep(90 * time.Second)
		backlog := f.store.Capabilities().Backlog
		require.NoError(t, backlog.SampleBacklog(t.Context(), time.Now()))
		time.Sleep(30 * time.Hour)
		require.NoError(t, backlog.SampleBacklog(t.Context(), time.Now()))

		first := api.HourlyBacklog{Hour: emitted.Truncate(time.Hour), Waiting: 2, OldestDueAge: 90_000}
		last := api.HourlyBacklog{Hour: time.Now().UTC().Truncate(time.Hour), Waiting: 2,
			OldestDueAge: float64(time.Since(emitted).Milliseconds())}
		got, err := f.client(orgA).HourlyBacklog(t.Context(), emitted)
		require.NoError(t, err)
		require.Equal(t, &api.BacklogHistory{Since: first.Hour,
			Hours: []api.HourlyBacklog{first, last}}, got)
		got, err = f.client(orgA).HourlyBacklog(t.Context(), time.Time{})
		require.NoError(t, err)
		require.Equal(t, []api.HourlyBacklog{last}, got.Hours, "24 hours are the default")
		got, err = f.client(orgB).HourlyBacklog(t.Context(), time.Time{})
		require.NoError(t, err)
		require.Equal(t, int64(1), got.Hours[0].Waiting, "of its own")
	})
}

// serveTail serves the fixture over a network.
func (f *fixture) serveTail(wrap func(http.Handler) http.Handler) *httptest.Server {
	f.t.Helper()
	var h http.Handler = f.api
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	f.t.Cleanup(server.Close)
	return server
}

func (f *fixture) emitNow(organization, text string) {
	f.t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: text})
	e.Namespace, e.OrganizationID = "acme", organization
	require.NoError(f.t, errorOf(f.dispatcher.Emit(f.t.Context(), e)))
}

// TestStreamEndsWithItsServer shuts a server down while a stream and a request that waits are open.
func TestStreamEndsWithItsServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	server := f.serveTail(nil)
	f.emitNow(orgA, "obj")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+prefix+"/events", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+f.keys[orgA])
	r.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan())
	require.Equal(t, "retry: 2000", lines.Text())

	began := time.Now()
	require.NoError(t, server.Config.Shutdown(t.Context()))
	require.Less(t, time.Since(began), 10*time.Second)
	for lines.Scan() {
	}
	require.NoError(t, lines.Err(), "the stream ends as a whole")
}

// TestClientTailGoesOn tails over connections that break after a few bytes, while events are emitted.
func TestClientTailGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	f := newFixture(t, options{})
	sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`, `{}`))
	require.NoError(t, err)
	var mu sync.Mutex
	connections := 0
	server := f.serveTail(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			connections++
			n := connections
			mu.Unlock()
			if n == 2 {
				http.Error(w, "", http.StatusBadGateway)
				return
			}
			if n < 5 {
				w = &breakingWriter{w, 1000}
			}
			h.ServeHTTP(w, r)
		})
	})
	c, err := client.New(server.URL+prefix, f.keys[orgA], client.Config{HTTPClient: server.Client()})
	require.NoError(t, err)
	const first, all = 5, 9
	want := []string{}
	for i := range all {
		want = append(want, fmt.Sprintf("<obj & %d>", i))
	}
	for _, id := range want[:first] {
		f.emitNow(orgA, id)
	}
	got := []string{}
	for r, err := range c.Tail(t.Context(), sub.ID, client.TailQuery{EventType: "object.*"}) {
		require.NoError(t, err)
		payload, err := f.dispatcher.EventPayload(t.Context(), orgA, r.EventID)
		require.NoError(t, err)
		require.Equal(t, string(payload), string(r.Event), "an envelope comes byte for byte")
		var e event.Event
		require.NoError(t, json.Unmarshal(r.Event, &e))
		if got = append(got, e.Subject.ID); len(got) == all {
			break
		}
		if len(got) == first {
			for _, id := range want[first:] {
				f.emitNow(orgA, id)
			}
		}
	}
	require.Equal(t, want, got, "nothing is missed and nothing comes twice")
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, connections, 5)
}

// breakingWriter ends the connection after some bytes.
type breakingWriter struct {
	http.ResponseWriter
	left int
}

func (w *breakingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *breakingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; w.left == 0 && err == nil {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestClientTailEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	server := f.serveTail(nil)
	newClient := func(url, key string) *client.Client {
		c, err := client.New(url, key, client.Config{HTTPClient: server.Client()})
		require.NoError(t, err)
		return c
	}
	for _, c := range []struct {
		client *client.Client
		id     string
		want   error
	}{
		{newClient(server.URL+prefix, f.keys[orgA]), "wh_0123456789abcdef", webhook.ErrNotFound},
		{newClient(server.URL+prefix, "wrong"), "", api.ErrUnauthenticated},
	} {
		n := 0
		for _, err := range c.client.Tail(t.Context(), c.id, client.TailQuery{}) {
			require.ErrorIs(t, err, c.want)
			n++
		}
		require.Equal(t, 1, n)
	}
	for _, err := range newClient("http://127.0.0.1:1/x", "").Tail(t.Context(), "", client.TailQuery{}) {
		require.Error(t, err, "an address at which nothing listens is an error at the first connection")
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>"))
	}))
	t.Cleanup(page.Close)
	for _, err := range newClient(page.URL, "").Tail(t.Context(), "", client.TailQuery{}) {
		require.ErrorContains(t, err, "text/html")
	}
	_, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`))
	require.NoError(t, err)
	f.emitNow(orgA, "obj")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for d, err := range newClient(server.URL+prefix, f.keys[orgA]).TailDeliveries(ctx, "",
		client.TailQuery{}) {
		require.NoError(t, err, "the end of the context is no error")
		require.Equal(t, webhook.StatusPending, d.Delivery.Status)
		cancel()
	}
}
