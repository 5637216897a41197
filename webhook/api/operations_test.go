package api_test

import (
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// signingKeys returns the stored signing secrets of a webhook, the newest first.
func (f *fixture) signingKeys(id string) []string {
	f.t.Helper()
	var config httpendpoint.Config
	require.NoError(f.t, json.Unmarshal([]byte(f.configs(id)[0]), &config))
	if config.SigningSecret == "" {
		return nil
	}
	keys := []string{string(config.SigningSecret)}
	for _, key := range config.SigningSecrets {
		keys = append(keys, string(key))
	}
	return keys
}

func TestRotate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	id := f.create(secretSubscription)
	keys := f.signingKeys(id)
	for i := range 5 {
		res, err := c.RotateSecret(ctx, id, "")
		require.NoError(t, err)
		keys = append([]string{res.SigningSecret}, keys[:min(len(keys), 3)]...)
		require.Equal(t, keys, f.signingKeys(id))
		assert.Equal(t, min(i+1, 3), res.Previous)
		assert.Equal(t, "webhook", res.Channel)
		assert.Empty(t, res.VerificationKey)
		_, err = signature.ParseKey(res.SigningSecret)
		require.NoError(t, err)
	}
	assert.Contains(t, f.configs(id)[0], "s3cr3t-one", "nothing else changes")
	assert.Contains(t, f.configs(id)[0], "2.50")

	sub, err := c.DropSecrets(ctx, id, "webhook")
	require.NoError(t, err)
	assert.Contains(t, string(sub.Channels[0].Configs), api.Mask)
	assert.Equal(t, keys[:1], f.signingKeys(id))
}

func TestRotateBeginsToSign(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	res, err := f.client(orgA).RotateSecret(t.Context(), id, "webhook")
	require.NoError(t, err)
	assert.Equal(t, []string{res.SigningSecret}, f.signingKeys(id))
	assert.Zero(t, res.Previous)
}

// The new secret is a key pair if the present one is.
func TestRotateKeyPair(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(strings.Replace(plainSubscription, `/hook"`,
		`/hook", "signing_secret": "`+signature.NewKeyPair().Reveal()+`"`, 1))
	res, err := f.client(orgA).RotateSecret(t.Context(), id, "")
	require.NoError(t, err)
	key, err := signature.ParseKey(res.SigningSecret)
	require.NoError(t, err)
	public, ok := key.Public()
	require.True(t, ok)
	assert.Equal(t, public.Reveal(), res.VerificationKey)
}

func TestRotateWhich(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	two := plainSubscription[:len(
		plainSubscription)-2] + `, {"channel": "webhook", "configs": {"url": "https://example.com/2"}}]}`
	id := f.create(two)
	path := prefix + "/" + id + "/signing-secret/"
	assert.Equal(t, []string{"body.channel: missing"}, f.do("POST", path+"rotate", "").problems())
	assert.Equal(t, []string{"body.channel: value_error"},
		f.do("POST", path+"rotate", `{"channel": "webhook#3"}`).problems())
	assert.Equal(t, []string{"query.channel: missing"}, f.do("DELETE", path+"previous", "").problems())
	_, err := c.RotateSecret(ctx, id, "webhook#2")
	require.NoError(t, err)
	assert.Contains(t, f.configs(id)[1], "whsec_")
	assert.NotContains(t, f.configs(id)[0], "whsec_")

	sink, err := c.Create(ctx, sinkSubscription("sink", `{}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"body.channel: value_error"},
		f.do("POST", prefix+"/"+sink.ID+"/signing-secret/rotate", "").problems())
	_, err = c.RotateSecret(ctx, id, "webhook", client.WithIfMatch(`"1-0"`))
	require.ErrorIs(t, err, webhook.ErrConflict)
}

// Previews have the filters that deliveries have.
func TestPreviewWithLibrary(t *testing.T) {
	t.Parallel()
	library, err := template.NewLibrary(template.LibraryConfig{Ready: template.ReadyHashes})
	require.NoError(t, err)
	request := api.PreviewRequest{Template: json.RawMessage(`"{{ 'a'|md5 }}"`)}
	rendered, err := newFixture(t, options{library: library}).client(orgA).Preview(t.Context(),
		request)
	require.NoError(t, err)
	assert.JSONEq(t, `"0cc175b9c0f1b6a831c399e269772661"`, string(rendered))
	_, err = newFixture(t, options{}).client(orgA).Preview(t.Context(), request)
	assert.ErrorContains(t, err, `no filter named`)
}

func TestPreview(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	e := &event.Event{ID: "evt_1", Type: "invoice.paid", Metadata: map[string]any{"n": 5, "h": "<b>"}}
	for name, test := range map[string]struct {
		request api.PreviewRequest
		want    string
	}{
		"payload": {api.PreviewRequest{Template: json.RawMessage(
			`{"id": "{{ event_id }}", "n": "{{ metadata.n }}"}`), Event: e}, `{"id":"evt_1","n":5}`},
		"text": {api.PreviewRequest{Template: json.RawMessage(
			`"{{ event_type }}: {{ metadata.h }}"`), Event: e}, `"invoice.paid: <b>"`},
		"html": {api.PreviewRequest{Template: json.RawMessage(`"{{ metadata.h }}"`), Event: e,
			HTML: true}, `"&lt;b&gt;"`},
		"format": {api.PreviewRequest{Template: json.RawMessage(`"[\"{{ metadata.h }}\"]"`),
			Shape: template.ShapeJSON, Event: e, Format: template.FormatMrkdwn}, `["&lt;b&gt;"]`},
		"blocks": {api.PreviewRequest{Template: json.RawMessage(`"[{\"text\": \"{{ event_id }}\"}]"`),
			Shape: "json", Event: e}, `[{"text":"evt_1"}]`},
		"no event": {api.PreviewRequest{Template: json.RawMessage(`"{{ event_type }}"`)},
			`"object.created"`},
		"just text": {api.PreviewRequest{Template: json.RawMessage(`"hello"`)}, `"hello"`},
	} {
		rendered, err := c.Preview(ctx, test.request)
		require.NoError(t, err, name)
		assert.JSONEq(t, test.want, string(rendered), name)
	}
	for body, want := range map[string][]string{
		``:   {"body: missing"},
		`{}`: {"body.template: missing"},
		`{"template": 5, "shape": "round", "html": 1, "event": [],
			"x": 1}`: {
			"body.template: string_type", "body.shape: enum", "body.html: boolean_type",
			"body.event: value_error", "body.x: extra_forbidden",
		},
		`{"template": "x", "shape": "object"}`: {"body.shape: value_error"},
		`{"template": {}, "shape": "text"}`:    {"body.shape: value_error"},
		`{"template": "", "event": {},
			"event_id": "evt_1"}`: {"body.event_id: value_error"},
		`{"template": "x", "format": "rtf"}`: {"body.format: enum"},
		`{"template": "{{"}`:                 {"body.template: template_error"},
		`{"template": {"a": ["{{ }}"],
			"b/c": "{% nope %}"}}`: {
			"body.template.a.0: template_error", "body.template.b/c: template_error",
		},
	} {
		assert.Equal(t, want, f.do("POST", prefix+"/preview", body).problems(), body)
	}
}

func TestPreviewOfStoredEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		d, err := c.Delivery(ctx, sub.ID, 1)
		require.NoError(t, err)
		request := api.PreviewRequest{Template: json.RawMessage(`"{{ event_id }} {{ namespace }}"`),
			EventID: d.EventID}
		rendered, err := c.Preview(ctx, request)
		require.NoError(t, err)
		assert.JSONEq(t, `"`+d.EventID+` acme"`, string(rendered))
		_, err = f.client(orgB).Preview(ctx, request)
		require.ErrorIs(t, err, webhook.ErrNotFound)
	})
}

// invoices is a catalogue of which one type has an example.
func invoices() event.Catalogue {
	return event.Catalogue{
		{Type: "invoice.created"},
		{Type: "invoice.paid", Example: `{
			"subject": {"type": "invoice", "id": "inv_42"}, "metadata": {"cents": 4200}}`},
	}
}

// Previews and tests show the example of a type where the body has no event.
func TestExamplesOfTheCatalogue(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{api: func(c *api.Config) { c.Catalogue = invoices() }})
	c, ctx := f.client(orgA), t.Context()
	types, err := c.EventTypes(ctx)
	require.NoError(t, err)
	assert.Nil(t, types[0].Example)
	assert.JSONEq(t, invoices()[1].Example, string(types[1].Example))

	source := json.RawMessage(
		`"{{ event_type }} {{ subject.id }} {{ metadata.cents }} {{ metadata.test }}"`)
	subject := event.Subject{Type: "invoice", ID: "inv_1"}
	for want, request := range map[string]api.PreviewRequest{
		`"invoice.paid inv_42 4200 True"`:         {EventType: "invoice.paid"},
		`"invoice.created invoice_example  True"`: {EventType: "invoice.created"},
		`"object.created object_example  True"`:   {},
		`"invoice.paid inv_1  True"`: {
			EventType: "invoice.paid", Event: &event.Event{Subject: subject},
		},
	} {
		request.Template = source
		rendered, err := c.Preview(ctx, request)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(rendered))
	}
	assert.Equal(t, []string{"body.event_type: value_error"},
		f.do("POST", prefix+"/preview", `{"template": "", "event_type": "X"}`).problems())

	for pattern, want := range map[event.Pattern]string{
		"*": "invoice.paid", "invoice.*": "invoice.paid",
		"invoice.created": "invoice.created", "object.*": "object.test",
	} {
		sub := sinkSubscription("w", `{"echo": true}`)
		sub.EventTypes = []event.Pattern{pattern}
		created, err := c.Create(ctx, sub)
		require.NoError(t, err)
		test, err := c.SendTest(ctx, created.ID, api.TestRequest{})
		require.NoError(t, err)
		assert.Equal(t, want, test.Results[0].Attempt.Response)
	}
}

func TestEventTypeCatalogue(t *testing.T) {
	t.Parallel()
	types, err := newFixture(t, options{}).client(orgA).EventTypes(t.Context())
	require.NoError(t, err)
	require.Len(t, types, len(event.Mixpeek()))
	assert.Equal(t, event.ScopeKey, *types[0].DefaultScope)
	for _, info := range types {
		if info.Type == event.AlertTriggered {
			assert.Nil(t, info.DefaultScope)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	require.NoError(t, f.client(orgA).Health(t.Context()))
	f.do("GET", prefix+"/health", "", "Authorization", "").want(http.StatusOK)
	f = newFixture(t, options{store: func(s webhook.Store) webhook.Store { return brokenStore{s} }})
	assert.Equal(t, "ServiceUnavailableError",
		f.do("GET", prefix+"/health", "").errorType(http.StatusServiceUnavailable))
}

// hanging returns a fixture whose API takes the token for the id of the organization, and which
// has a channel "hang" that does not answer until its context ends.
type hanging struct {
	*fixture
	all     sync.WaitGroup
	mu      sync.Mutex
	answers map[int]int // by status
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{fixture: newFixture(t, options{}), answers: map[int]int{}}
	require.NoError(t, h.registry.Register("hang",
		channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
			return channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			}), nil
		})))
	var err error
	h.api, err = api.New(h.dispatcher, api.BearerToken, api.Config{Logger: h.logger})
	require.NoError(t, err)
	return h
}

func (h *hanging) ask(organization, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+organization)
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	return w
}

// subscribe makes a webhook with one channel.
func (h *hanging) subscribe(organization, channel string) (path string) {
	h.t.Helper()
	sub := &webhook.Subscription{OrganizationID: organization, Name: "one",
		EventTypes: sinkSubscription("").EventTypes,
		Channels:   []webhook.ChannelConfig{{Channel: channel, Configs: json.RawMessage(`{}`)}}}
	require.NoError(h.t, h.dispatcher.CreateSubscription(h.t.Context(), sub))
	return prefix + "/" + sub.ID
}

// hang starts tests that do not end by themselves: n for each of so many organizations.
func (h *hanging) hang(organizations, n int) {
	h.t.Helper()
	for i := range organizations {
		organization := fmt.Sprint("hangs", i)
		path := h.subscribe(organization, "hang")
		for range n {
			h.all.Go(func() {
				w := h.ask(organization, "POST", path+"/test", "")
				h.mu.Lock()
				defer h.mu.Unlock()
				h.answers[w.Code]++
			})
			synctest.Wait()
		}
	}
}

// Endpoints that do not answer tests leave most of the API to other requests, however
// many organizations have such endpoints.
func TestHangingTestsKeepNoRequestOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		began := time.Now()
		h.hang(20, 16)
		for n := range 24 { // of an organization that tests, too
			organization := fmt.Sprint("hangs", n)
			w := h.ask(organization, "GET", prefix, "")
			assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
			w = h.ask(organization, "POST", prefix, plainSubscription)
			assert.Equal(t, http.StatusCreated, w.Code, "%s", w.Body)
		}
		assert.Zero(t, time.Since(began))
		h.all.Wait()
		assert.Equal(t, 30*time.Second, time.Since(began))
		assert.Equal(t, 320, h.answers[200]+h.answers[429]+h.answers[503], "%v", h.answers)
		assert.GreaterOrEqual(t, h.answers[200], 16, "the answer is that the attempt failed: %v",
			h.answers)
	})
}

// A test that takes long ends when another organization needs its place.
func TestHangingTestsKeepNoTestOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		h.hang(40, 4)
		path := h.subscribe("answers", "sink")
		time.Sleep(5 * time.Second)
		w := h.ask("answers", "POST", path+"/test", "")
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		assert.Contains(t, w.Body.String(), `"succeeded":true`)
		h.all.Wait()
		assert.GreaterOrEqual(t, h.answers[200], 15, "all others had their 30 s: %v", h.answers)
	})
}

// One organization can make a few tests at a time, and other requests beside them.
func TestHangingTestsOfOneOrganization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		h.hang(1, 20)
		w := h.ask("hangs0", "GET", prefix, "")
		assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		h.all.Wait()
		assert.Equal(t, map[int]int{200: 4, 429: 16}, h.answers)
	})
}
