package httpendpoint_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// recorder keeps the last request and its body.
func recorder(t testing.TB, header *http.Header, body *[]byte) string {
	return channelfixture.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		*header = r.Header
		*body, _ = io.ReadAll(r.Body)
	})
}

func TestWebhookPayloadTemplate(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	url := recorder(t, &header, &body)
	d := httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{})
	c := channelfixture.Open(t, d, httpendpoint.Config{URL: url, PayloadTemplate: json.RawMessage(
		`{"text":"{{ event_type }} \"{{ subject.id }}\"","kind":"{{ metadata.content_type }}","n":1.50,"deep":[{"a":"{{ event_id }}"},null,true]}`)})
	_, err := c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.JSONEq(t,
		`{"text":"object.created \"obj_abc123\"","kind":"video/mp4","n":1.50,"deep":[{"a":"evt_abc123"},null,true]}`, string(body))
	assert.Equal(t, "application/json", header.Get("Content-Type"))
}

// A template that cannot be compiled is refused when it is configured; one that
// fails on an event ends the delivery, and says nothing of the data.
func TestWebhookTemplateErrors(t *testing.T) {
	t.Parallel()
	d := httpendpoint.NewDriver(channelfixture.NewClient(t, channelkit.HTTPConfig{}),
		httpendpoint.Options{})
	for _, bad := range []string{`{"a":"{{ event_type "}`, `{"a":"{% include 'x' %}"}`,
		`"{{ event_type }}"`, `["x"]`, `7`} {
		_, err := d.Open(json.RawMessage(`{"url":"https://example.com","payload_template":` + bad + `}`))
		assert.ErrorContains(t, err, "payload_template", bad)
	}

	c, err := d.Open(json.RawMessage(
		`{"url":"https://example.com","payload_template":{"a":"{{ 1 / 0 }} {{ metadata.secret }}"}}`))
	require.NoError(t, err)
	m := channelfixture.Message()
	m.Payload = []byte(strings.Replace(channelfixture.Payload, `"content_type"`,
		`"secret":"sesame","content_type"`, 1))
	_, err = c.Send(t.Context(), m)
	got := channel.AsError(err)
	require.NotNil(t, got)
	assert.Equal(t, channel.Permanent, got.Action)
	assert.Equal(t, channel.ClassTemplate, got.Class)
	assert.NotContains(t, err.Error(), "sesame")

	m = channelfixture.Message()
	m.Payload = []byte(`{"event_id":`)
	_, err = c.Send(t.Context(), m)
	assert.Equal(t, channel.ClassPayload, channel.AsError(err).Class, "%v", err)
	assert.False(t, channel.AsError(err).Retryable())
}

func TestWebhookSigns(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	url := recorder(t, &header, &body)
	const older, newer = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	d := httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{})
	c := channelfixture.Open(t, d, map[string]any{"url": url,
		"signing_secret": newer, "signing_secrets": []string{older},
		"payload_template": map[string]string{"id": "{{ event_id }}"}})
	for range 2 { // the second must not find the first one's headers
		_, err := c.Send(t.Context(), channelfixture.Message())
		require.NoError(t, err)
		assert.Equal(t, []string{"evt_abc123"}, header["Webhook-Id"])
		assert.Len(t, strings.Fields(header.Get("Webhook-Signature")), 2)
		for _, key := range []string{older, newer} {
			k, err := signature.ParseKey(key)
			require.NoError(t, err)
			v, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: k}}})
			require.NoError(t, err)
			_, err = v.Verify(header, time.Now(), body)
			assert.NoError(t, err, "what is signed is what was rendered")
		}
	}

	_, err := d.Open(json.RawMessage(
		`{"url":"` + url + `","signing_secret":"` + newer + `","headers":{"webhook-id":"x","Webhook-Signature":"x"}}`))
	assert.ErrorContains(t, err, "headers.webhook-id")
	assert.ErrorContains(t, err, "headers.Webhook-Signature")
	channelfixture.Open(t, d, map[string]any{"url": url,
		"headers": map[string]string{"webhook-id": "x"}}) // without a key it is a header like others

	m := channelfixture.Message()
	m.EventID = "evt.1" // a dot would let the id take in a part of the body
	_, err = c.Send(t.Context(), m)
	assert.Equal(t, channel.ClassPayload, channel.AsError(err).Class)
	assert.False(t, channel.AsError(err).Retryable())
}
