package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// configs returns the stored configs of a webhook's channels.
func (f *fixture) configs(id string) []string {
	f.t.Helper()
	sub, err := f.store.Subscription(f.t.Context(), orgA, id)
	require.NoError(f.t, err)
	var list []string
	for _, c := range sub.Channels {
		list = append(list, string(c.Configs))
	}
	return list
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	created := f.do("POST", prefix, secretSubscription)
	id, _ := created.want(http.StatusCreated)["webhook_id"].(string)
	for name, a := range map[string]*answer{
		"create": created,
		"get":    f.do("GET", prefix+"/"+id, ""),
		"list":   f.do("GET", prefix, ""),
		"search": f.do("POST", prefix+"/list", ""),
		"update": f.do("PUT", prefix+"/"+id, secretSubscription),
	} {
		assert.NotContains(t, string(a.Body), "s3cr3t", name)
		assert.NotContains(t, string(a.Body), "whsec_", name)
		assert.Contains(t, string(a.Body), `"url":"https://example.com/hook"`, name)
		assert.Contains(t, string(a.Body), `"X-Mixpeek-Secret":"`+api.Mask+`"`, name)
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"), name)
	}
}

func TestSlackSecretsAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	body := `{"webhook_name": "s", "event_types": ["*"], "channels": [
		{"channel": "slack", "configs": {"webhook_url": "https://hooks.slack.com/services/T0/B0/s3cr3t"}},
		{"channel": "slack", "configs": {"bot_token": "xoxb-s3cr3t", "channel_id": "C1"}}]}`
	a := f.do("POST", prefix, body)
	a.want(http.StatusCreated)
	assert.NotContains(t, string(a.Body), "s3cr3t")
	assert.Contains(t, string(a.Body), `"channel_id":"C1"`)
}

// takesAll is a driver that accepts any configs and does not list fields.
type takesAll struct{ channel.Func }

// listing is a driver that accepts any configs and lists fields.
type listing struct {
	channel.Func
	fields []channel.Field
}

func (l listing) Schema() channel.Schema { return channel.Schema{Fields: l.fields} }

// Every field that a driver does not list as public counts as a secret.
func TestDriversSayWhatIsSecret(t *testing.T) {
	t.Parallel()
	const configs = `{"auth": {"user": "u", "n": 5}, "keys": [{"id": "k", "Secret": "s"}], "on": true,
		"none": null, "empty": ""}`
	fields := []channel.Field{{Name: "keys"}, {Name: "on"}, {Name: "none"}, {Name: "empty"}}
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("says_nothing", channel.Func(nil)))
	require.NoError(t, f.registry.Register("some",
		listing{fields: append(fields, channel.Field{Name: "auth", Secret: true})}))
	require.NoError(t, f.registry.Register("none",
		listing{fields: append(fields, channel.Field{Name: "auth"})}))
	require.NoError(t, f.registry.Register("older", listing{fields: fields}))
	for name, want := range map[string]string{
		"says_nothing": `{"auth": {"user": "********", "n": "********"}, "keys": [{"id": "********",
			"Secret": "********"}], "on": true, "none": null, "empty": ""}`,
		"some": `{"auth": {"user": "********", "n": "********"}, "keys": [{"id": "k",
			"Secret": "s"}], "on": true, "none": null, "empty": ""}`,
		"none": configs,
	} {
		a := f.do("POST", prefix, customSubscription(name, configs))
		a.want(http.StatusCreated)
		var w struct {
			ID       string `json:"webhook_id"`
			Channels []struct {
				Configs json.RawMessage `json:"configs"`
			} `json:"channels"`
		}
		require.NoError(t, json.Unmarshal(a.Body, &w))
		assert.JSONEq(t, want, string(w.Channels[0].Configs), name)
		f.do("PUT", prefix+"/"+w.ID, string(a.Body)).want(http.StatusOK)
		assert.JSONEq(t, configs, f.configs(w.ID)[0], name)
	}
	assert.Equal(t, []string{"body.channels.0.configs.auth: extra_forbidden"},
		f.do("POST", prefix, customSubscription("older", configs)).problems())
}

// A field that the driver does not list, and that was not stored through the API, is masked.
func TestUnlistedFieldsAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	sub := &webhook.Subscription{ID: webhook.NewID(), OrganizationID: orgA, Name: "n",
		EventTypes: []event.Pattern{"*"}, Channels: []webhook.ChannelConfig{
			{Channel: "webhook",
				Configs: json.RawMessage(
					`{"url":"https://example.com/hook","sining_secret":"s3cr3t","URL":"s3cr3t"}`)},
		}}
	require.NoError(t, f.store.CreateSubscription(t.Context(), sub,
		webhook.Quota{})) // the Dispatcher refuses it
	a := f.do("GET", prefix+"/"+sub.ID, "")
	a.want(http.StatusOK)
	assert.NotContains(t, string(a.Body), "s3cr3t")
	assert.Contains(t, string(a.Body), `"url":"https://example.com/hook"`)
}

func customSubscription(name, configs string) string {
	return `{"webhook_name": "n", "event_types": ["*"],
		"channels": [{"channel": "` + name + `", "configs": ` + configs + `}]}`
}

func TestReveal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	reveal := func(names ...string) *answer {
		return f.do("GET", prefix+"/"+id+"?"+url.Values{"reveal": names}.Encode(), "")
	}
	a := reveal("channels.0.configs.headers.X-Other")
	a.want(http.StatusOK)
	assert.Contains(t, string(a.Body), "s3cr3t-two")
	assert.NotContains(t, string(a.Body), "s3cr3t-one")
	assert.NotContains(t, string(a.Body), "whsec_")
	a = reveal("channels.0.configs.headers.X-Other", "channels.0.configs.signing_secret")
	assert.Contains(t, string(a.Body), "whsec_")
	for _, name := range []string{"channels.0.configs.url", "channels.0.configs",
		"channels.1.configs.headers.X-Other", ""} {
		assert.Equal(t, []string{"query.reveal: value_error"}, reveal(name).problems(), name)
	}
}

// An update that sends a mask back keeps the value of the right channel.
func TestMaskedUpdates(t *testing.T) {
	t.Parallel()
	hook := func(url, secret, more string) string {
		return `{"channel": "webhook",
			"configs": {"url": "https://` + url + `.example.com/",
				"headers": {"X-S": "` + secret + `"}` + more + `}}`
	}
	subscription := func(channels ...string) string {
		return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + strings.Join(channels,
			",") + `]}`
	}
	const m = api.Mask
	const timeout = `, "timeout": 3`
	for name, test := range map[string]struct {
		stored, update string
		want           []string // secrets, by channel
		problems       []string
	}{
		"unchanged": {subscription(hook("a", "sa", "")), subscription(hook("a", m, "")),
			[]string{"sa"}, nil},
		"a new value": {subscription(hook("a", "sa", "")), subscription(hook("a", "new", "")),
			[]string{"new"}, nil},
		"a changed field": {subscription(hook("a", "sa", "")), subscription(hook("a", m, timeout)),
			[]string{"sa"}, nil},
		"a moved endpoint": {subscription(hook("a", "sa", "")), subscription(hook("z", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error"}},
		"swapped": {subscription(hook("a", "sa", ""), hook("b", "sb", "")),
			subscription(hook("b", m, ""), hook("a", m, "")), []string{"sb", "sa"}, nil},
		"the first removed": {subscription(hook("a", "sa", ""), hook("b", "sb", "")),
			subscription(hook("b", m, "")), []string{"sb"}, nil},
		"the first removed, the second changed": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("b", m, timeout)),
			[]string{"sb"}, nil},
		"both changed": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")),
			subscription(hook("a", m, timeout), hook("b", m, timeout)), []string{"sa", "sb"}, nil},
		"one moved": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")),
			subscription(hook("z", m, ""), hook("b", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error"}},
		"both moved": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")),
			subscription(hook("y", m, ""), hook("z", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error",
				"body.channels.1.configs.headers.X-S: value_error"}},
		"twins": {subscription(hook("a", "s1", ""), hook("a", "s2", "")),
			subscription(hook("a", m, ""), hook("a", m, "")), []string{"s1", "s2"}, nil},
		"a copy": {subscription(hook("a", "sa", "")), subscription(hook("a", m, ""), hook("evil", m, "")),
			nil,
			[]string{"body.channels.1.configs.headers.X-S: value_error"}},
		"another header": {subscription(hook("a", "sa", "")),
			subscription(strings.ReplaceAll(hook("a", m, ""), "X-S", "X-T")), nil,
			[]string{"body.channels.0.configs.headers.X-T: value_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, options{})
			id := f.create(test.stored)
			a := f.do("PUT", prefix+"/"+id, test.update)
			if test.problems != nil {
				assert.Equal(t, test.problems, a.problems())
				return
			}
			a.want(http.StatusOK)
			var got []string
			for _, c := range f.configs(id) {
				var configs httpendpoint.Config
				require.NoError(t, json.Unmarshal([]byte(c), &configs))
				got = append(got, configs.Headers["X-S"])
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// In a list, a position says which value is meant only while the list keeps its length.
func TestMaskedLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	const first, second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	with := func(list string) string {
		return strings.Replace(plainSubscription, `/hook"`, `/hook", "signing_secrets": [`+list+`]`, 1)
	}
	id := f.create(with(`"` + first + `", "` + second + `"`))
	f.do("PUT", prefix+"/"+id, with(`"********", "********"`)).want(http.StatusOK)
	assert.Contains(t, f.configs(id)[0], `["`+first+`", "`+second+`"]`)
	assert.Equal(t, []string{"body.channels.0.configs.signing_secrets.0: value_error"},
		f.do("PUT", prefix+"/"+id, with(`"********"`)).problems())
}

func TestMaskIsNoSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	a := f.do("POST", prefix, strings.Replace(secretSubscription, "s3cr3t-one", api.Mask, 1))
	assert.Equal(t, []string{"body.channels.0.configs.headers.X-Mixpeek-Secret: value_error"},
		a.problems())
	f.create(strings.Replace(plainSubscription, "plain", api.Mask,
		1)) // anywhere else it is a text like any other
}

// A masked value is kept only for the same scheme, host and port: a key that may change a
// webhook, but not reveal its secrets, cannot have them sent to another host.
func TestMasksStayWithTheTarget(t *testing.T) {
	t.Parallel()
	const idn = "https://xn--bcher-kva.example/"
	for _, same := range []string{"https://bücher.example/", "https://BÜCHER.example:443/x", idn} {
		f := newFixture(t, options{})
		id := f.create(strings.Replace(secretSubscription, "https://example.com/hook", idn, 1))
		shown := string(f.do("GET", prefix+"/"+id, "").Body)
		f.do("PUT", prefix+"/"+id, strings.Replace(shown, idn, same, 1)).want(http.StatusOK)
	}
	const problem = "body.channels.0.configs.headers.X-S: value_error"
	for url, moved := range map[string]bool{
		"https://example.com/hook":               false,
		"https://example.com/other?x=1":          false,
		"https://example.com:443/hook":           false,
		"HTTPS://EXAMPLE.com/hook":               false,
		"https://example.com:8443/hook":          true,
		"http://example.com/hook":                true,
		"http://example.com:443/hook":            true,
		"https://example.org/hook":               true,
		"https://example.com.evil.test/hook":     true,
		"https://evil.test/https://example.com/": true,
		"https://evil.test?https://example.com/": true,
		"https://192.0.2.1/hook":                 true,
	} {
		f := newFixture(t, options{http: channelkit.HTTPConfig{AllowHTTP: true}})
		with := func(url, secret string) string {
			return `{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "webhook",
				"configs": {"url": "` +
				url + `", "headers": {"X-S": "` + secret + `"}}}]}`
		}
		id := f.create(with("https://example.com/hook", "s3cr3t"))
		a := f.do("PUT", prefix+"/"+id, with(url, api.Mask))
		if !moved {
			a.want(http.StatusOK)
			assert.Contains(t, f.configs(id)[0], "s3cr3t", url)
			continue
		}
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%s: %s", url, a.Body)
		assert.Contains(t, a.problems(), problem, url)
		assert.Contains(t, string(a.Body), "send the value itself", url)
		assert.Contains(t, f.configs(id)[0], "https://example.com/hook", url)
	}
}

// The secrets cannot be had in other ways: by leaving them out, by copying the webhook, or by
// creating it again.
func TestSecretsDoNotFollowASubscription(t *testing.T) {
	t.Parallel()
	const thief = "https://thief.example/"
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	shown := string(f.do("GET", prefix+"/"+id, "").Body)
	moved := strings.Replace(shown, "https://example.com/hook", thief, 1)
	require.NotEqual(t, shown, moved)
	assert.Equal(t, []string{
		"body.channels.0.configs.headers.X-Mixpeek-Secret: value_error",
		"body.channels.0.configs.headers.X-Other: value_error",
		"body.channels.0.configs.signing_secret: value_error",
	}, f.do("PUT", prefix+"/"+id, moved).problems())
	// Nor if the secrets are left out, which keeps what clients may not know of.
	plain := strings.Replace(plainSubscription, "https://example.com/hook", thief, 1)
	assert.Equal(t, []string{"body.channels.0.configs.signing_secret: value_error"},
		f.do("PUT", prefix+"/"+id, plain).problems())
	// A copy is another webhook, and has nothing to keep.
	var w map[string]any
	require.NoError(t, json.Unmarshal([]byte(moved), &w))
	delete(w, "webhook_id")
	copied, err := json.Marshal(w)
	require.NoError(t, err)
	assert.Len(t, f.do("POST", prefix, string(copied)).problems(), 3)
	f.do("DELETE", prefix+"/"+id, "").want(http.StatusNoContent)
	assert.Len(t, f.do("POST", prefix, moved).problems(), 3)
	assert.Equal(t, http.StatusNotFound, f.do("POST", prefix+"/"+id+"/test", "").Status)
}

// For a channel that is not built in, the target is every field that its driver marks; without
// marks, every URL; and without a list of fields, every field.
func TestTargetsOfOwnChannels(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	token := channel.Field{Name: "token", Secret: true}
	for name, driver := range map[string]channel.Driver{
		"marked":  listing{fields: []channel.Field{token, {Name: "host", Target: true}, {Name: "link"}}},
		"listed":  listing{fields: []channel.Field{token, {Name: "host"}, {Name: "link"}}},
		"unknown": takesAll{},
	} {
		require.NoError(t, f.registry.Register(name, driver))
	}
	const stored = `{"token": "s3cr3t", "host": "a.example", "link": "https://a.example/x"}`
	for _, test := range []struct {
		channel, configs string
		kept             bool
	}{
		{"marked", `{"token": "********", "host": "a.example", "link": "https://b.example/"}`, true},
		{"marked", `{"token": "********", "host": "b.example", "link": "https://a.example/x"}`, false},
		{"marked", `{"token": "********", "link": "https://a.example/x"}`, false},
		{"listed", `{"token": "********", "host": "b.example", "link": "https://a.example/y"}`, true},
		{"listed", `{"token": "********", "host": "a.example", "link": "https://b.example/"}`, false},
		{"unknown", `{"token": "********", "host": "********", "link": "********"}`, true},
		{"unknown", `{"token": "********", "host": "********", "link": "https://b.example/"}`, false},
		{"unknown", `{"token": "********", "host": "b.example", "link": "********"}`, false},
	} {
		id := f.create(customSubscription(test.channel, stored))
		a := f.do("PUT", prefix+"/"+id, customSubscription(test.channel, test.configs))
		if test.kept {
			a.want(http.StatusOK)
			assert.Contains(t, f.configs(id)[0], "s3cr3t")
			continue
		}
		assert.Contains(t, a.problems(), "body.channels.0.configs.token: value_error", "%s %s",
			test.channel, test.configs)
	}
}

const signed = `, "method": "PUT", "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	"signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]`

func configsOf(address,
	more string) string {
	return `{"url": "https://` + address + `"` + more + `}`
}

func ofChannels(channels ...string) string {
	return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + strings.Join(channels,
		",") + `]}`
}

// Fields that an update leaves out, because its client does not know them, are kept. Null removes
// them.
func TestAbsentExtensionsStay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	hook := func(url, more string) string {
		return `{"channel": "webhook", "configs": ` + configsOf(url, more) + `}`
	}
	const a, b = "a.example.com/", "b.example.com/"
	for name, test := range map[string]struct {
		stored, update string
		want           []string
		problems       []string
	}{
		"as it was": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, "")), []string{configsOf(a, signed)}, nil},
		"defaults written": {
			ofChannels(hook(a, signed)), ofChannels(hook(a,
				`, "timeout": 10.0, "headers": {}, "payload_template": null`)),
			[]string{configsOf(a, signed+`, "timeout": 10.0, "headers": {}, "payload_template": null`)},
			nil},
		"another path": {
			ofChannels(hook(a, signed)), ofChannels(hook(a+"x", "")), []string{configsOf(a+"x", signed)},
			nil},
		"another timeout": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "timeout": 3`)),
			[]string{configsOf(a, signed+`, "timeout": 3`)}, nil},
		"one more channel": {
			ofChannels(hook(a, signed)), ofChannels(hook(b, ""), hook(a, "")),
			[]string{configsOf(b, ""), configsOf(a, signed)}, nil},
		"one channel less": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(a, "")),
			[]string{configsOf(a, signed)}, nil},
		"the other is left": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(b, "")), []string{configsOf(b, "")},
			nil},
		"swapped": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(a, ""), hook(b, "")),
			[]string{configsOf(a, signed), configsOf(b, "")}, nil},
		"null ends": {
			ofChannels(hook(a, signed)), ofChannels(hook(a,
				`, "signing_secret": null, "signing_secrets": null`)),
			[]string{configsOf(a, `, "signing_secret": null, "signing_secrets": null, "method": "PUT"`)},
			nil},
		"a new value": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "method": "POST"`)),
			[]string{configsOf(a, strings.Replace(signed, "PUT", "POST", 1))}, nil},
		"moved": {
			ofChannels(hook(a, signed)), ofChannels(hook(b, "")), nil,
			[]string{"body.channels.0.configs.signing_secret: value_error",
				"body.channels.0.configs.signing_secrets: value_error"}},
		"moved, and new": {
			ofChannels(hook(a, signed)), ofChannels(hook(b,
				`, "signing_secret": null, "signing_secrets": null`)),
			[]string{configsOf(b, `, "signing_secret": null, "signing_secrets": null, "method": "PUT"`)},
			nil},
		"moved, without a secret": {
			ofChannels(hook(a, `, "method": "PUT"`)), ofChannels(hook(b, "")),
			[]string{configsOf(b, `, "method": "PUT"`)}, nil},
		"unclear": {
			ofChannels(hook(a, signed), hook(b, "")),
			ofChannels(hook("y.example.com/", ""), hook("z.example.com/", "")), nil,
			[]string{
				"body.channels.0.configs.method: value_error",
				"body.channels.0.configs.signing_secret: value_error",
				"body.channels.0.configs.signing_secrets: value_error",
				"body.channels.1.configs.method: value_error",
				"body.channels.1.configs.signing_secret: value_error",
				"body.channels.1.configs.signing_secrets: value_error",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, options{})
			id := f.create(test.stored)
			got := f.do("PUT", prefix+"/"+id, test.update)
			if test.problems != nil {
				assert.Equal(t, test.problems, got.problems())
				return
			}
			got.want(http.StatusOK)
			configs := f.configs(id)
			require.Len(t, configs, len(test.want))
			for i, want := range test.want {
				assert.JSONEq(t, want, configs[i])
			}
		})
	}
}

// Slack has two forms, and the contract's schema does not have the fields of a bot.
func TestSlackForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(ofChannels(
		`{"channel": "slack", "configs": {"bot_token": "xoxb-1", "channel_id": "C1",
			"workspace_id": "T1"}}`))
	put := func(configs string) string {
		f.do("PUT", prefix+"/"+id,
			ofChannels(`{"channel": "slack", "configs": `+configs+`}`)).want(http.StatusOK)
		return f.configs(id)[0]
	}
	shown := string(f.do("GET", prefix+"/"+id, "").Body)
	assert.Contains(t, shown, `"webhook_url":""`)
	assert.JSONEq(t,
		`{"bot_token": "xoxb-1", "channel_id": "C1", "workspace_id": "T1", "username": "u"}`,
		put(`{"webhook_url": "", "username": "u"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1"}`,
		put(`{"webhook_url": "https://hooks.slack.com/x"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1"}`,
		put(`{"webhook_url": "********"}`))
	assert.JSONEq(t,
		`{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1",
			"blocks": [{"type": "divider"}]}`,
		put(`{"webhook_url": "********", "blocks": [{"type": "divider"}]}`))
	assert.JSONEq(t,
		`{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1",
			"blocks": [{"type": "divider"}]}`, put(`{"webhook_url": "********"}`))
	assert.JSONEq(t,
		`{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1", "blocks_template": "[]"}`,
		put(`{"webhook_url": "********", "blocks_template": "[]"}`))
	assert.JSONEq(t, `{"bot_token": "xoxb-2", "channel_id": "C2", "workspace_id": "T1"}`,
		put(`{"bot_token": "xoxb-2", "channel_id": "C2"}`))
}

// Configs may be stored in any form that the drivers accept, and answers have one form.
func TestAnswersHaveTheContractsForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for configs, want := range map[string]string{
		`{"recipients": ["a@b.c"],
			"content_type": ""}`: `{"to_addresses": ["a@b.c"]}`,
		`{"recipients": ["a@b.c"], "to_addresses": null,
			"cc_addresses": null}`: `{"to_addresses": ["a@b.c"]}`,
		`{"recipients": ["x@b.c"], "to_addresses": ["a@b.c"],
			"content_type": "plain_text"}`: `{"to_addresses": ["a@b.c"], "content_type": "plain_text"}`,
		`null`: `{"to_addresses": ["********"]}`, // what a store answers that cannot open them
	} {
		sub := &webhook.Subscription{
			ID: webhook.NewID(), OrganizationID: orgA, Name: "n", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "email", Configs: json.RawMessage(configs)}},
		}
		require.NoError(t, f.store.CreateSubscription(t.Context(), sub, webhook.Quota{}))
		var shown webhook.Subscription
		require.NoError(t, json.Unmarshal(f.do("GET", prefix+"/"+sub.ID, "").Body, &shown))
		assert.JSONEq(t, want, string(shown.Channels[0].Configs), configs)
	}
}

// On every route, what another organization has does not exist, and nothing of it changes.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		ctx := t.Context()
		sub, err := f.client(orgA).Create(ctx, sinkSubscription("s3cr3t name", `{"token": "s3cr3t"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		delivery, err := f.dispatcher.Delivery(ctx, orgA, 1)
		require.NoError(t, err)
		_, err = f.dispatcher.Acknowledge(ctx, orgA, sub.ID, "reader", 0)
		require.NoError(t, err)
		_, key, err := f.apiKeys.Create(ctx, apikey.Service(""),
			webhook.APIKey{OrganizationID: orgA, Name: "s3cr3t"})
		require.NoError(t, err)
		replay, err := f.client(orgA).StartReplay(ctx, api.BackgroundReplayRequest{EventID: "s3cr3t"})
		require.NoError(t, err)
		before := f.snapshot()

		bodies := map[string]string{
			"POST /api-keys":    `{"name": "theirs"}`,
			"PUT /{identifier}": strings.Replace(plainSubscription, "plain", "taken over", 1),
			"POST ":             strings.Replace(plainSubscription, "{", `{"webhook_id": "`+sub.ID+`",`, 1),
			"POST /preview":     `{"template": "{{ event_id }}", "event_id": "` + delivery.EventID + `"}`,
			"DELETE /{identifier}/signing-secret/previous": "",
			"PUT /{identifier}/positions/{name}":           `{"position": "pos_0000000000000001"}`,
			"POST /deliveries/replays":                     `{"webhook_id": "` + sub.ID + `"}`,
			"POST /deliveries/replays/count":               `{"webhook_id": "` + sub.ID + `"}`,
			"POST /events": `{"event_id": "` + delivery.EventID + `", "event_type": "a.b", "namespace": "n",
				"subject": {"type": "t", "id": "i"}}`,
		}
		want := map[string]int{
			"POST ":                                 http.StatusConflict,
			"GET ":                                  http.StatusOK,
			"POST /list":                            http.StatusOK,
			"GET /deliveries":                       http.StatusOK,
			"GET /endpoints":                        http.StatusOK,
			"GET /event-types":                      http.StatusOK,
			"GET /health":                           http.StatusOK,
			"GET /openapi.json":                     http.StatusOK,
			"DELETE /{identifier}":                  http.StatusNoContent,
			"GET /events":                           http.StatusOK,
			"GET /deliveries/tail":                  http.StatusOK,
			"GET /deliveries/results":               http.StatusOK,
			"GET /totals":                           http.StatusOK,
			"GET /totals/hourly":                    http.StatusOK,
			"GET /about":                            http.StatusOK,
			"GET /deliveries/replays":               http.StatusOK,
			"POST /events":                          http.StatusAccepted,
			"GET /api-keys":                         http.StatusOK,
			"POST /api-keys":                        http.StatusCreated,
			"DELETE /{identifier}/positions/{name}": http.StatusNoContent,
		}
		for _, route := range f.api.Routes() {
			path := strings.NewReplacer("{identifier}", sub.ID, "{delivery_id}",
				delivery.ID.String(), "{name}", "reader", "{api_key_id}", key.ID,
				"{replay_id}", replay.ID).Replace(strings.SplitN(route, " ", 2)[1])
			method := strings.SplitN(route, " ", 2)[0]
			a := f.do(method, prefix+path, bodies[route], f.as(orgB)...)
			status := want[route]
			if status == 0 {
				status = http.StatusNotFound
			}
			assert.Equal(t, status, a.Status, "%s: %s", route, a.Body)
			assert.NotContains(t, string(a.Body), "s3cr3t", route)
		}
		assert.Equal(t, before, f.snapshot())
	})
}

// snapshot returns everything that organization A has.
func (f *fixture) snapshot() []any {
	f.t.Helper()
	subscriptions, err := f.dispatcher.Subscriptions(f.t.Context(),
		webhook.SubscriptionQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	deliveries, err := f.dispatcher.Deliveries(f.t.Context(),
		webhook.DeliveryQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	states, err := f.dispatcher.EndpointStates(f.t.Context(),
		webhook.EndpointQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	positions, err := f.dispatcher.Positions(f.t.Context(), orgA, subscriptions[0].ID)
	require.NoError(f.t, err)
	keys, err := f.apiKeys.List(f.t.Context(), webhook.APIKeyQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	replays, err := f.dispatcher.Replays(f.t.Context(), orgA)
	require.NoError(f.t, err)
	return []any{subscriptions, deliveries, states, positions, keys, replays}
}
