package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
)

func (f *fixture) stored(id string) *webhook.Subscription {
	f.t.Helper()
	sub, err := f.dispatcher.Subscription(f.t.Context(), mine, id)
	require.NoError(f.t, err)
	return sub
}

// created follows the answer to a form that made a subscription.
func (f *fixture) created(a answer) *webhook.Subscription {
	f.t.Helper()
	require.Equal(f.t, http.StatusSeeOther, a.Status, a.Body)
	path, _, _ := strings.Cut(a.Header.Get("Location"), "?")
	return f.stored(strings.TrimPrefix(path, "/console/subscriptions/"))
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	assert.Contains(t, f.page("/subscriptions/new"), `name="c0.url"`)
	assert.Contains(t, f.page("/subscriptions/new?channel=email"), `name="c0.to_addresses"`)
	sub := f.created(f.post("/subscriptions/new",
		"name", "All kinds", "event_types", " object.* \r\n\r\nalert.triggered",
		"max_attempts", "5", "max_age", "3600", "delays", "5, 60",
		"c0.*channel", "webhook", "c0.url", f.target.URL, "c0.headers", "X-A: b\r\nX-C: d: e",
		"c0.timeout", "2.5", "c0.method", "PUT", "c0.payload_template", `{"a": "{{ event_id }}"}`,
		"c1.*channel", "email", "c1.to_addresses", "a@example.com\r\nb@example.com",
		"c2.*channel", "teams", "c2.", `{"any": 1}`))
	assert.Equal(t, []event.Pattern{"object.*", "alert.triggered"}, sub.EventTypes)
	assert.Equal(t, &webhook.Retry{MaxAttempts: 5, MaxAge: time.Hour,
		Delays: []time.Duration{5 * time.Second, time.Minute}}, sub.Retry)
	assert.JSONEq(t, `{"url": "`+f.target.URL+`", "headers": {"X-A": "b", "X-C": "d: e"},
		"timeout": 2.5, "method": "PUT", "payload_template": {"a": "{{ event_id }}"}}`,
		string(sub.Channels[0].Configs))
	assert.JSONEq(t, `{"to_addresses": ["a@example.com", "b@example.com"]}`,
		string(sub.Channels[1].Configs))
	assert.JSONEq(t, `{"any": 1}`, string(sub.Channels[2].Configs))
	require.Len(t, f.changes, 1)
	assert.Equal(t, console.Change{Identity: f.identity, Action: "create", OrganizationID: mine,
		SubscriptionID: sub.ID}, f.changes[0])
}

// Each problem stands at its field, and what was typed is kept.
func TestProblemsStandAtTheirFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for field, c := range map[string]struct{ value, problem string }{
		"name":                {"", "is required"},
		"event_types":         {"a b", "must"},
		"max_attempts":        {"-1", "must be a whole number"},
		"max_age":             {"9999999", "must be a whole number from 0 to"},
		"delays":              {"1, x", "must be a whole number"},
		"c0.url":              {"ftp://example.com", "must"},
		"c0.headers":          {"no colon", "must be “Name: value” in line 1"},
		"c0.timeout":          {"soon", "must be a number"},
		"c0.payload_template": {"{{", "must be JSON"},
		"c0.signing_secret":   {"whsec_", "must"},
		"skip_after":          {"3600", "is for events that go in order only"},
		"order":               {"random", "must be one of the list"},
	} {
		values := map[string]string{"name": "Name", "event_types": "*", "c0.*channel": "webhook",
			"c0.url": f.target.URL}
		values[field] = c.value
		var pairs []string
		for name, value := range values {
			pairs = append(pairs, name, value)
		}
		a := f.post("/subscriptions/new", pairs...)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, field)
		var input, described string
		var problems []string
		root := parse(t, a.Body)
		for _, kind := range []string{"input", "textarea", "select"} {
			for _, n := range elements(root, kind) {
				if !hasAttribute(n, "aria-invalid") {
					continue
				}
				input, described = attribute(n, "name"), attribute(n, "aria-describedby")
				switch kind {
				case "input":
					assert.Equal(t, c.value, attribute(n, "value"), field)
				case "textarea":
					assert.Contains(t, text(n), c.value, field)
				}
			}
		}
		for _, n := range elements(root, "span") {
			if attribute(n, "class") == "problem" {
				problems = append(problems, text(n))
				assert.Contains(t, strings.Fields(described), attribute(n, "id"), field)
			}
		}
		require.Len(t, problems, 1, field)
		assert.Equal(t, field, input)
		assert.Contains(t, problems[0], c.problem, field)
	}
	list, err := f.dispatcher.Subscriptions(t.Context(), webhook.SubscriptionQuery{OrganizationID: mine})
	require.NoError(t, err)
	assert.Empty(t, list)
}

// An update that sends the form back as it was changes nothing, and no page has a secret.
func TestUpdateKeepsSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/a", "/b")
	for _, path := range []string{"", "/edit", "/test", "/delete", "/rotate?channel=webhook"} {
		page := html.UnescapeString(f.page("/subscriptions/" + sub.ID + path))
		assert.NotContains(t, page, secret, path)
		assert.NotContains(t, page, signing, path)
	}
	form := inputs(t, f.page("/subscriptions/"+sub.ID+"/edit"), "revision")
	form.Set("name", "Renamed")
	a := f.do(f.form("/subscriptions/"+sub.ID+"/edit", form))
	require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
	after := f.stored(sub.ID)
	assert.Equal(t, "Renamed", after.Name)
	for i := range sub.Channels {
		assert.JSONEq(t, string(sub.Channels[i].Configs), string(after.Channels[i].Configs))
	}
	// A field that is emptied is removed.
	form = inputs(t, f.page("/subscriptions/"+sub.ID+"/edit"), "revision")
	form.Set("c0.signing_secret", "")
	require.Equal(t, http.StatusSeeOther, f.do(f.form("/subscriptions/"+sub.ID+"/edit", form)).Status)
	assert.NotContains(t, string(f.stored(sub.ID).Channels[0].Configs), "signing_secret")
	assert.Contains(t, string(f.stored(sub.ID).Channels[0].Configs), secret)
}

// A stored secret is not sent to another host, and an old form does not undo another's changes.
func TestUpdateIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/a")
	form := inputs(t, f.page("/subscriptions/"+sub.ID+"/edit"), "revision")
	form.Set("c0.url", "http://evil.example/")
	a := f.do(f.form("/subscriptions/"+sub.ID+"/edit", form))
	assert.Equal(t, http.StatusUnprocessableEntity, a.Status)
	assert.Contains(t, a.Body, "same scheme, host and port")

	stale := inputs(t, f.page("/subscriptions/"+sub.ID+"/edit"), "revision")
	require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), f.stored(sub.ID)))
	stale.Set("name", "Stale")
	a = f.do(f.form("/subscriptions/"+sub.ID+"/edit", stale))
	assert.Equal(t, http.StatusUnprocessableEntity, a.Status)
	assert.Contains(t, a.Body, "Someone else has changed this")
	assert.Equal(t, "Mine", f.stored(sub.ID).Name)
	again := inputs(t, a.Body, "revision")
	assert.Equal(t, http.StatusSeeOther, f.do(f.form("/subscriptions/"+sub.ID+"/edit", again)).Status)
	assert.Equal(t, "Stale", f.stored(sub.ID).Name)
}

// Channels are added and removed by buttons of the form, which keep all else that was typed.
func TestChannelsOfTheForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.post("/subscriptions/new", "name", "Typed", "c0.*channel", "webhook", "c0.url", "https://a",
		"do", "add:slack")
	form := inputs(t, a.Body, "revision")
	assert.Equal(t, "Typed", form.Get("name"))
	assert.Equal(t, "slack", form.Get("c1.*channel"))
	form.Set("c1.webhook_url", "https://hooks")
	form.Set("do", "remove:0")
	form = inputs(t, f.do(f.form("/subscriptions/new", form)).Body, "revision")
	assert.Equal(t, "slack", form.Get("c0.*channel"))
	assert.Equal(t, "https://hooks", form.Get("c0.webhook_url"))
	assert.Empty(t, form.Get("c1.*channel"))
	assert.Empty(t, f.changes)
}

// Values survive an edit that do not have the form of their kind, and those of channels that the
// console does not know, of which all fields may be secrets.
func TestUnusualConfigsSurvive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/a")
	for channel, list := range map[string][]string{
		"webhook": {`{"url": "` + f.target.URL + `", "headers": {"X-A": "{b}"}}`},
		"listed": {`{"later": {"a": ["b", 1]}, "text": "123", "n": 5, "lines": "a\nb"}`,
			`{"later": "x", "text": "{", "n": "true", "lines": []}`},
		"teams": {`{"any": ["a", "b"], "other": "c"}`},
	} {
		for _, configs := range list {
			sub = f.stored(sub.ID)
			sub.Channels = []webhook.ChannelConfig{{Channel: channel, Configs: json.RawMessage(configs)}}
			require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), sub))
			form := inputs(t, f.page("/subscriptions/"+sub.ID+"/edit"), "revision")
			a := f.do(f.form("/subscriptions/"+sub.ID+"/edit", form))
			require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
			assert.JSONEq(t, configs, string(f.stored(sub.ID).Channels[0].Configs))
		}
	}
}

func TestRevealAndRotate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/a")
	base := "/subscriptions/" + sub.ID
	assert.Contains(t, f.post(base+"/reveal").Body, secret)
	page := html.UnescapeString(f.post(base+"/rotate", "channel", "webhook").Body)
	var configs struct {
		Secret  string   `json:"signing_secret"`
		Earlier []string `json:"signing_secrets"`
	}
	require.NoError(t, json.Unmarshal(f.stored(sub.ID).Channels[0].Configs, &configs))
	assert.Equal(t, []string{signing}, configs.Earlier)
	assert.Contains(t, page, configs.Secret)
	assert.Contains(t, f.page(base), "A rotation is under way")
	assert.Equal(t, http.StatusSeeOther, f.post(base+"/drop-previous", "channel", "webhook").Status)
	assert.NotContains(t, string(f.stored(sub.ID).Channels[0].Configs), signing)
	f.identity.Reveal = false
	page = html.UnescapeString(f.post(base+"/rotate", "channel", "webhook").Body)
	require.NoError(t, json.Unmarshal(f.stored(sub.ID).Channels[0].Configs, &configs))
	assert.NotContains(t, page, configs.Secret)
	assert.Equal(t, http.StatusNotFound, f.post(base+"/rotate", "channel", "slack").Status)
	var actions []string
	for _, c := range f.changes {
		actions = append(actions, c.Action)
		assert.Equal(t, sub.ID, c.SubscriptionID)
	}
	assert.Equal(t, []string{"reveal", "rotate", "drop_previous", "rotate"}, actions)
}

// An order is set, kept by an edit, and removed.
func TestOrderOfTheForm(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	form := url.Values{"name": {"Ordered"}, "event_types": {"*"}, "order": {"subject"},
		"skip_after": {"5400"}, "c0.*channel": {"webhook"}, "c0.url": {f.target.URL}}
	sub := f.created(f.do(f.form("/subscriptions/new", form)))
	assert.Equal(t, &webhook.Ordering{SkipAfter: 90 * time.Minute}, sub.Ordering)
	page := f.page("/subscriptions/" + sub.ID)
	assert.Contains(t, page, "one after the other")
	assert.Contains(t, page, "for 1h30m.")
	edit := "/subscriptions/" + sub.ID + "/edit"
	form = inputs(t, f.page(edit), "revision")
	require.Equal(t, http.StatusSeeOther, f.do(f.form(edit, form)).Status)
	assert.Equal(t, sub.Ordering, f.stored(sub.ID).Ordering)
	form = inputs(t, f.page(edit), "revision")
	form.Set("skip_after", "")
	require.Equal(t, http.StatusSeeOther, f.do(f.form(edit, form)).Status)
	assert.Equal(t, &webhook.Ordering{}, f.stored(sub.ID).Ordering)
	assert.Contains(t, f.page("/subscriptions/"+sub.ID), "until a person replays or skips it")
	form = inputs(t, f.page(edit), "revision")
	form.Set("order", "")
	require.Equal(t, http.StatusSeeOther, f.do(f.form(edit, form)).Status)
	assert.Nil(t, f.stored(sub.ID).Ordering)
	assert.NotContains(t, f.page("/subscriptions/"+sub.ID), "one after the other")
}
