package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// No method of the Dispatcher panics for what it is not given, and whatever
// needs a subscription says that there is none.
func TestNilArguments(t *testing.T) {
	t.Parallel()
	registry, err := standard.New(standard.Config{})
	require.NoError(t, err)
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: registry})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // Run ends at once
	v := reflect.ValueOf(d)
	for i := range v.NumMethod() {
		method, name := v.Method(i), v.Type().Method(i).Name
		var args []reflect.Value
		needsSubscription := false
		for j := range method.Type().NumIn() {
			in := method.Type().In(j)
			needsSubscription = needsSubscription || in == reflect.TypeFor[*webhook.Subscription]()
			switch {
			case in == reflect.TypeFor[context.Context]():
				args = append(args, reflect.ValueOf(ended))
			case method.Type().IsVariadic() && j == method.Type().NumIn()-1:
			default:
				args = append(args, reflect.Zero(in))
			}
		}
		assert.NotPanics(t, func() {
			out := method.Call(args)
			if needsSubscription {
				err, _ := out[len(out)-1].Interface().(error)
				var invalid *event.ValidationError
				assert.ErrorAs(t, err, &invalid, name)
				assert.ErrorContains(t, err, "the subscription is nil", name)
			}
		}, name)
	}
	var none *webhook.Subscription
	assert.ErrorContains(t, none.Validate(), "the subscription is nil")
	assert.Nil(t, none.Clone())
}

// What a driver does not read is a slip, and refused where it is made.
func TestUnknownConfigFields(t *testing.T) {
	t.Parallel()
	registry, err := standard.New(standard.Config{})
	require.NoError(t, err)
	require.NoError(t, registry.Register("mine",
		channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{}, nil
		})))
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: registry})
	require.NoError(t, err)
	sub := &webhook.Subscription{Name: "n", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{
			via("mine", map[string]any{"any": "thing"}),
			via("webhook", map[string]any{"url": "https://example.com/",
				"headrs": map[string]string{"X": "sesame"}, "a b": 1}),
			webhook.Via(httpendpoint.Config{URL: "https://example.com/"}),
		}}
	err = d.CreateSubscription(t.Context(), sub)
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{`channels[1].configs["a b"]`, "channels[1].configs.headrs"}, fields)
	assert.ErrorContains(t, err, "which has url, headers, payload_template")
	assert.NotContains(t, err.Error(), "sesame")
}

// A subscription may be logged: nothing of its channels' configs is in what fmt and
// slog print.
func TestWebhooksPrintNoSecret(t *testing.T) {
	t.Parallel()
	sub := webhook.Subscription{ID: "wh_0123456789abcdef", Name: "n",
		Channels: []webhook.ChannelConfig{{Channel: "webhook",
			Configs: json.RawMessage(`{"a":"sesame"}`)}}}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("a subscription", "value", sub, "pointer", &sub, "channel", sub.Channels[0])
	}
	for _, v := range []any{sub, &sub, sub.Channels, sub.Channels[0], &sub.Channels[0]} {
		fmt.Fprintf(&log, "%v %+v %#v %s %q %x", v, v, v, v, v, v)
	}
	assert.Contains(t, log.String(), "wh_0123456789abcdef")
	for _, secret := range []string{"sesame", "115 101 115", "0x73, 0x65", "736573"} {
		assert.NotContains(t, log.String(), secret)
	}
}
