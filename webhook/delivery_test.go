package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func TestAttemptJSON(t *testing.T) {
	t.Parallel()
	for us := range 3000 {
		a := webhook.Attempt{Number: 1, StartedAt: time.Unix(1, 0).UTC(),
			Duration: time.Duration(us) * time.Microsecond}
		raw, err := json.Marshal(a)
		require.NoError(t, err)
		var back webhook.Attempt
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, a, back)
	}
	raw, err := json.Marshal(webhook.Attempt{Number: 2, StartedAt: time.Unix(1, 0).UTC(),
		Duration: 1500 * time.Microsecond, StatusCode: 503, Class: "status"})
	require.NoError(t, err)
	assert.JSONEq(t,
		`{"number":2,"started_at":"1970-01-01T00:00:01Z","duration_ms":1.5,"status_code":503,"error_class":"status"}`, string(raw))
}

func TestDeliveryID(t *testing.T) {
	t.Parallel()
	id, err := webhook.ParseDeliveryID("dlv_42")
	require.NoError(t, err)
	assert.Equal(t, webhook.DeliveryID(42), id)
	for _, wrong := range []string{"", "42", "dlv_", "dlv_0", "dlv_-1", "dlv_+1", "dlv_01", "dlv_x",
		"dlv_9223372036854775808", "DLV_1"} {
		_, err := webhook.ParseDeliveryID(wrong)
		assert.Error(t, err, wrong)
	}
	for _, id := range []webhook.DeliveryID{0, 42} { // 0 is no delivery, and can be stored
		text, err := id.MarshalText()
		require.NoError(t, err)
		back := webhook.DeliveryID(7)
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, id, back)
	}
}

func FuzzParseDeliveryID(f *testing.F) {
	f.Add("dlv_1")
	f.Add("dlv_9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := webhook.ParseDeliveryID(s); err == nil {
			require.Equal(t, s, id.String())
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"pos_0000000000000001", "pos_7fffffffffffffff", "pos_8000000000000000",
		"pos_000000000000000A", "pos_+000000000000001", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := webhook.ParsePosition(s); err == nil {
			require.Equal(t, s, p.String())
			require.GreaterOrEqual(t, p, webhook.Position(0))
		}
	})
}

func TestSubscriptionJSON(t *testing.T) {
	t.Parallel()
	const contract = `{"webhook_id":"wh_1234567890abcdef","webhook_name":"Production Monitoring","event_types":["object.*"],` +
		`"channels":[{"channel":"webhook","configs":{"url":"https://example.com/","timeout":2.5}}],"is_active":false,` +
		`"created_at":"2025-10-08T16:09:00Z","updated_at":"2025-10-09T16:09:00Z"}`
	var sub webhook.Subscription
	require.NoError(t, json.Unmarshal([]byte(contract), &sub))
	assert.True(t, sub.Paused)
	require.NoError(t, sub.Validate())
	raw, err := json.Marshal(sub)
	require.NoError(t, err)
	assert.JSONEq(t, contract, string(raw))

	require.NoError(t, json.Unmarshal([]byte(`{"webhook_name":"x"}`), &sub))
	assert.False(t, sub.Paused, "active unless it says otherwise")
	require.NoError(t, json.Unmarshal([]byte(`{"webhook_name":"x","is_active":null}`), &sub))
	assert.False(t, sub.Paused)

	var invalid *event.ValidationError
	require.ErrorAs(t, json.Unmarshal([]byte(`{"event_types":"all"}`), &sub), &invalid)
	assert.Equal(t, "event_types", invalid.Problems[0].Field)
	assert.Error(t, json.Unmarshal([]byte(`[]`), &sub))

	sub.OrganizationID, sub.Revision = "org_1", 7
	raw, err = json.Marshal(sub)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "org_1", "the owner is never in the JSON")
}

func FuzzSubscriptionJSON(f *testing.F) {
	f.Add([]byte(`{"webhook_name":"x","event_types":["*"],"channels":[{"channel":"webhook","configs":{}}],"is_active":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var sub webhook.Subscription
		if json.Unmarshal(data, &sub) != nil || sub.Validate() != nil {
			return
		}
		raw, err := json.Marshal(sub)
		require.NoError(t, err)
		var again webhook.Subscription
		require.NoError(t, json.Unmarshal(raw, &again))
		require.NoError(t, again.Validate())
	})
}

func TestWebhookNames(t *testing.T) {
	t.Parallel()
	sub := webhook.Subscription{
		ID: webhook.NewID(), EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
	}
	for name, valid := range map[string]bool{
		"x": true, "Übung ☕": true, strings.Repeat("é", 200): true,
		"": false, strings.Repeat("é", 201): false, "a\x00b": false, "a\nb": false, "a\xffb": false,
	} {
		sub.Name = name
		assert.Equal(t, valid, sub.Validate() == nil, "%q", name)
	}
}

func TestSubscriptionIDs(t *testing.T) {
	t.Parallel()
	sub := webhook.Subscription{Name: "x", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}}}
	for id, valid := range map[string]bool{
		webhook.NewID(): true, "wh_1234567890abcdef": true, "wh_ABCDEF7890abcdef": true,
		"wh_a1B2c3D4e5": true,
		"":              false, "wh_": false, "1234567890abcdef": false, "wh_1234567890abcde": false,
		"wh_1234567890abcdefg": false, "wh_a1B2c3D4e-": false,
	} {
		sub.ID = id
		assert.Equal(t, valid, sub.Validate() == nil, id)
	}
}
