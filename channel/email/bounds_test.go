package email_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// A mail of JSON is a few times as long as the JSON, however deep that is nested.
func TestMailsOfDeepJSONAreBounded(t *testing.T) {
	t.Parallel()
	deep := func(depth, elements int) string {
		return strings.Repeat("[", depth) + strings.Repeat("1,", elements) + "1" +
			strings.Repeat("]", depth)
	}
	server := &mailServer{}
	server.start(t, email.STARTTLS)
	d := emailDriver(t, server.client(t, email.STARTTLS, nil))
	send := func(source, template, payload string) {
		m := channelfixture.Message()
		m.Payload = []byte(payload)
		_, err := channelfixture.Open(t, d, email.Config{ToAddresses: []string{"a@example.com"},
			ContentType: email.ContentJSON, BodyTemplate: template}).Send(t.Context(), m)
		require.NoError(t, err)
		mails := server.received()
		got := mails[len(mails)-1]
		require.Less(t, len(got.raw), 6*len(source)+200<<10)
		body, order := parts(t, got.parse(t))
		assert.Equal(t, []string{"text/plain", "application/json"}, order)
		for kind, text := range body {
			assert.True(t, strings.TrimSpace(text) == source, kind)
		}
	}
	source := deep(2_000, 20_000)
	send(source, source, channelfixture.Payload)
	const head = `{"event_id":"evt_abc123","event_type":"object.created",` +
		`"subject":{"type":"object","id":"obj_abc123"},"metadata":{"a":`
	source = head + deep(60, 200_000) + "}}"
	send(source, "", source)
}
