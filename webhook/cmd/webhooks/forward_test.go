package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// arrival is a request that has arrived.
type arrival struct {
	header http.Header
	body   string
}

// newEndpoint serves an endpoint that accepts everything.
func newEndpoint(t *testing.T) (address string, arrivals chan arrival) {
	t.Helper()
	arrivals = make(chan arrival, 64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrivals <- arrival{r.Header, string(body)}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrivals
}

// put changes the webhook of the service.
func (s *service) put(config httpendpoint.Config) {
	s.t.Helper()
	require.NoError(s.t, s.d.PutSubscription(s.t.Context(), &webhook.Subscription{
		ID: webhookID, OrganizationID: "org", Name: "shop", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(config)}, Retry: &webhook.Retry{MaxAttempts: 1},
	}))
}

// emitOne emits an event with characters that encoders like to escape.
func (s *service) emitOne() (id string) {
	s.t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", "org"
	e.Metadata = map[string]any{"z": "<a href='x'>&\u2028ü", "a": json.Number("1.50")}
	_, err := s.d.Emit(s.t.Context(), e)
	require.NoError(s.t, err)
	return e.ID
}

// replayOne replays the newest delivery.
func (s *service) replayOne() {
	s.t.Helper()
	all, err := s.d.Deliveries(s.t.Context(), webhook.DeliveryQuery{OrganizationID: "org"})
	require.NoError(s.t, err)
	require.NoError(s.t, s.d.Replay(s.t.Context(), "org", all[0].ID))
}

// listens runs "listen" until n events have arrived.
func (s *service) listens(n int, arrivals chan arrival, args ...string) (got []arrival, out call) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	ended := make(chan call, 1)
	go func() { ended <- runsWith(ctx, s.env, "", append([]string{"listen"}, args...)...) }()
	for range n {
		select {
		case a := <-arrivals:
			got = append(got, a)
		case out := <-ended:
			require.Fail(s.t, "listen ended", "%+v", out)
		}
	}
	cancel()
	return got, <-ended
}

func TestDeliveriesTail(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(1, http.StatusBadRequest)
	s.emitOne()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"deliveries", "tail", "--since", "1h", webhookID}, strings.NewReader(""), w,
			io.Discard, func(name string) string { return s.env[name] })
	}()
	lines := bufio.NewScanner(r)
	for _, status := range []string{"dead", "pending"} {
		require.True(t, lines.Scan())
		assert.Regexp(t, ` dlv_\d+  `+webhookID+` webhook  evt_\S+  object\.created  `+status+`$`, lines.Text())
	}
	cancel()
	assert.Equal(t, exitInterrupted, <-ended)
}

func TestDeliveriesTailOfResults(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(1, http.StatusBadRequest)
	s.replayOne()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"deliveries", "tail", "--results", "--since", "1h", webhookID},
			strings.NewReader(""), w, io.Discard, func(name string) string { return s.env[name] })
	}()
	lines := bufio.NewScanner(r)
	for _, what := range []string{"attempt 1 dead.* with 400.*", "replayed"} {
		require.True(t, lines.Scan())
		assert.Regexp(t, ` dlv_\d+  `+webhookID+` webhook  evt_\S+  object\.created  `+what+`$`, lines.Text())
	}
	cancel()
	assert.Equal(t, exitInterrupted, <-ended)
}

// A replay comes to the one who listens, with the same bytes.
func TestListenForwardsReplays(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(1, http.StatusBadRequest)
	s.replayOne()
	local, arrivals := newEndpoint(t)
	got, out := s.listens(2, arrivals, "--json", "--since", "1h", webhookID, local)
	require.Len(t, got, 2)
	assert.Equal(t, got[0].body, got[1].body)
	assert.Contains(t, out.stdout, `"replayed":true`)
}

// What is forwarded is what is delivered: the bytes, the headers and a right signature.
func TestListenForwardsWhatIsDelivered(t *testing.T) {
	t.Parallel()
	delivered, deliveries := newEndpoint(t)
	local, forwarded := newEndpoint(t)
	for name, config := range map[string]httpendpoint.Config{
		"envelope": {Headers: map[string]string{"X-Mixpeek-Secret": "correct-horse-battery", "X-Other": "1"},
			SigningSecret: testSecret},
		"template": {PayloadTemplate: json.RawMessage(`{"id": "{{ event_id }}", "z": "{{ metadata.z }}"}`),
			SigningSecret: testSecret},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			config.URL = delivered
			s.put(config)
			s.emitOne()
			s.drain()
			want := <-deliveries
			got, out := s.listens(1, forwarded, "--since", "1h", webhookID, local)
			assert.Equal(t, exitInterrupted, out.code)
			assert.Equal(t, want.body, got[0].body)
			for header, value := range want.header {
				switch header {
				case "Webhook-Timestamp", "Webhook-Signature", http.CanonicalHeaderKey(httpendpoint.HeaderDeliveryID):
				default:
					assert.Equal(t, value, got[0].header[header], header)
				}
			}
			x := sent{"POST", got[0].header, got[0].body}
			v, _ := verify(t, env{envSigningSecret: testSecret}, x.raw(), "--any-body")
			assert.True(t, v.Accepted, v.Cause)
		})
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(httpendpoint.Config{URL: "https://example.com/", SigningSecret: testSecret,
		Headers: map[string]string{"x-mixpeek-secret": "another-horse-battery"}})
	local, arrivals := newEndpoint(t)
	for range 3 {
		s.emitOne()
	}
	got, out := s.listens(3, arrivals, "--since", "1h", webhookID, local)
	assert.Len(t, got, 3)
	assert.Contains(t, out.stderr, "Forwarding what is emitted to "+webhookID)
	at := strings.Index(out.stderr, "--after ")
	require.Positive(t, at, out.stderr)
	position := strings.Fields(out.stderr[at:])[1]

	// It goes on where it ended, and takes the secrets that are given.
	last := s.emitOne()
	s.env[envStaticSecret] = "correct-horse-battery"
	s.env[envSigningSecret] = strings.TrimSpace(runs(t, nil, "", "secret", "new").stdout)
	got, _ = s.listens(1, arrivals, "--json", "--after", position, "--event-type", "object.*", webhookID, local)
	assert.Equal(t, last, got[0].header.Get(httpendpoint.HeaderEventID))
	x := sent{"POST", got[0].header, got[0].body}
	v, _ := verify(t, s.env, x.raw())
	assert.True(t, v.Accepted, v.Cause)

	for args, code := range map[string]int{
		webhookID + " localhost":                              exitUsage,
		webhookID:                                             exitUsage,
		"--after 7 " + webhookID + " " + local:                exitUsage,
		"--event-type X* " + webhookID + " " + local:          exitUsage,
		"--channel slack " + webhookID + " " + local:          exitUsage,
		otherID + " " + local:                                 exitNo,
		"--url http://127.0.0.1:1 " + webhookID + " " + local: exitUnreachable,
	} {
		got := s.run(append([]string{"listen"}, strings.Fields(args)...)...)
		assert.Equal(t, code, got.code, "%s: %s", args, got.stderr)
	}
}
