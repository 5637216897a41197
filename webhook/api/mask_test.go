package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
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

// takesAll is a driver that takes any configs and says nothing of them.
type takesAll struct{ channel.Func }

// listing is a driver that takes any configs and lists fields.
type listing struct {
	channel.Func
	fields []channel.Field
}

func (l listing) Schema() channel.Schema { return channel.Schema{Fields: l.fields} }

// Whatever a driver does not list as public may be secret.
func TestDriversSayWhatIsSecret(t *testing.T) {
	t.Parallel()
	const configs = `{"auth": {"user": "u", "n": 5}, "keys": [{"id": "k", "Secret": "s"}], "on": true, "none": null, "empty": ""}`
	fields := []channel.Field{{Name: "keys"}, {Name: "on"}, {Name: "none"}, {Name: "empty"}}
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("says_nothing", channel.Func(nil)))
	require.NoError(t, f.registry.Register("some", listing{fields: append(fields, channel.Field{Name: "auth", Secret: true})}))
	require.NoError(t, f.registry.Register("none", listing{fields: append(fields, channel.Field{Name: "auth"})}))
	require.NoError(t, f.registry.Register("older", listing{fields: fields}))
	for name, want := range map[string]string{
		"says_nothing": `{"auth": {"user": "********", "n": "********"}, "keys": [{"id": "********", "Secret": "********"}], "on": true, "none": null, "empty": ""}`,
		"some":         `{"auth": {"user": "********", "n": "********"}, "keys": [{"id": "k", "Secret": "s"}], "on": true, "none": null, "empty": ""}`,
		"none":         configs,
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

// A field that was stored by other means than the API, and that the driver does
// not list, is masked.
func TestUnlistedFieldsAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	sub := &webhook.Subscription{ID: webhook.NewID(), OrganizationID: orgA, Name: "n", EventTypes: []event.Pattern{"*"}, Channels: []webhook.ChannelConfig{
		{Channel: "webhook", Configs: json.RawMessage(`{"url":"https://example.com/hook","sining_secret":"s3cr3t","URL":"s3cr3t"}`)},
	}}
	require.NoError(t, f.store.CreateSubscription(t.Context(), sub, webhook.Quota{})) // the Dispatcher refuses it
	a := f.do("GET", prefix+"/"+sub.ID, "")
	a.want(http.StatusOK)
	assert.NotContains(t, string(a.Body), "s3cr3t")
	assert.Contains(t, string(a.Body), `"url":"https://example.com/hook"`)
}

func customSubscription(name, configs string) string {
	return `{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "` + name + `", "configs": ` + configs + `}]}`
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
	for _, name := range []string{"channels.0.configs.url", "channels.0.configs", "channels.1.configs.headers.X-Other", ""} {
		assert.Equal(t, []string{"query.reveal: value_error"}, reveal(name).problems(), name)
	}
}

// An update that sends the mask back keeps the value, of the right channel.
func TestMaskedUpdates(t *testing.T) {
	t.Parallel()
	hook := func(url, secret, more string) string {
		return `{"channel": "webhook", "configs": {"url": "https://` + url + `.example.com/", "headers": {"X-S": "` + secret + `"}` + more + `}}`
	}
	subscription := func(channels ...string) string {
		return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + strings.Join(channels, ",") + `]}`
	}
	const m = api.Mask
	const timeout = `, "timeout": 3`
	for name, test := range map[string]struct {
		stored, update string
		want           []string // secrets, by channel
		problems       []string
	}{
		"unchanged":       {subscription(hook("a", "sa", "")), subscription(hook("a", m, "")), []string{"sa"}, nil},
		"a new value":     {subscription(hook("a", "sa", "")), subscription(hook("a", "new", "")), []string{"new"}, nil},
		"a changed field": {subscription(hook("a", "sa", "")), subscription(hook("a", m, timeout)), []string{"sa"}, nil},
		"a moved endpoint": {subscription(hook("a", "sa", "")), subscription(hook("z", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error"}},
		"swapped":           {subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("b", m, ""), hook("a", m, "")), []string{"sb", "sa"}, nil},
		"the first removed": {subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("b", m, "")), []string{"sb"}, nil},
		"the first removed, the second changed": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("b", m, timeout)), []string{"sb"}, nil},
		"both changed": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("a", m, timeout), hook("b", m, timeout)), []string{"sa", "sb"}, nil},
		"one moved": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("z", m, ""), hook("b", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error"}},
		"both moved": {
			subscription(hook("a", "sa", ""), hook("b", "sb", "")), subscription(hook("y", m, ""), hook("z", m, "")), nil,
			[]string{"body.channels.0.configs.headers.X-S: value_error", "body.channels.1.configs.headers.X-S: value_error"}},
		"twins": {subscription(hook("a", "s1", ""), hook("a", "s2", "")), subscription(hook("a", m, ""), hook("a", m, "")), []string{"s1", "s2"}, nil},
		"a copy": {subscription(hook("a", "sa", "")), subscription(hook("a", m, ""), hook("evil", m, "")), nil,
			[]string{"body.channels.1.configs.headers.X-S: value_error"}},
		"another header": {subscription(hook("a", "sa", "")), subscription(strings.ReplaceAll(hook("a", m, ""), "X-S", "X-T")), nil,
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

// In a list, a position says which value is meant only while no element comes
// or goes.
func TestMaskedLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	const first, second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
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
	assert.Equal(t, []string{"body.channels.0.configs.headers.X-Mixpeek-Secret: value_error"}, a.problems())
	f.create(strings.Replace(plainSubscription, "plain", api.Mask, 1)) // anywhere else it is a text like any other
}
