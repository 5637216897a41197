package httpendpoint_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

func TestWebhookSaysWhichAttemptItIs(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	url := recorder(t, &header, &body)
	d := httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{})
	send := func(config map[string]any, m *channel.Message) {
		t.Helper()
		config["url"] = url
		_, err := channelfixture.Open(t, d, config).Send(t.Context(), m)
		require.NoError(t, err)
	}
	ids := func() []string {
		return []string{header.Get(httpendpoint.HeaderEventID),
			header.Get(httpendpoint.HeaderDeliveryID), header.Get(httpendpoint.HeaderAttempt)}
	}
	m := channelfixture.Message()
	m.DeliveryID, m.Attempt = "dlv_12", 3
	for name, config := range map[string]map[string]any{
		"unsigned":  {},
		"signed":    {"signing_secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
		"templated": {"payload_template": map[string]string{"id": "none"}},
	} {
		send(config, m)
		assert.Equal(t, []string{"evt_abc123", "dlv_12", "3"}, ids(), name)
		_, signed := header["Webhook-Id"]
		assert.Equal(t, name == "signed", signed,
			"%s: receivers take it for a part of a signature, which other requests do not have", name)
	}

	send(map[string]any{"headers": map[string]string{"x-webhook-event-id": "mine"}}, m)
	assert.Equal(t, []string{"mine", "dlv_12", "3"}, ids(), "a header of the subscriber's own stays")
	assert.Len(t, header[httpendpoint.HeaderEventID], 1)

	send(map[string]any{}, channelfixture.Message())
	assert.Equal(t, []string{"evt_abc123", "", "1"}, ids(), "a one-off send has no delivery")
	for _, id := range []string{
		"evt 1", "evt_\r\nX-Injected: yes", "evt_\x00", "evt_ä", strings.Repeat("e", 257),
	} {
		strange := channelfixture.Message()
		strange.EventID = id
		send(map[string]any{}, strange)
		assert.NotContains(t, header, httpendpoint.HeaderEventID, "%q is not sent", id)
		assert.NotContains(t, header, "X-Injected")
	}
}
