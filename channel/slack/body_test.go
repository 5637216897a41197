package slack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
)

func TestSlackBlocksTemplate(t *testing.T) {
	t.Parallel()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	d := slackDriver(t, url)
	const block = `{"type":"section","text":{"type":"mrkdwn","text":{{ ("*" ~ event_type ~ "*") | tojson }}}}`
	for _, source := range []string{`[` + block + `]`, `{"blocks":[` + block + `]}`} {
		_, err := channelfixture.Open(t, d,
			slack.Config{WebhookURL: channel.Secret(url + slackPath),
				BlocksTemplate: source}).Send(t.Context(), channelfixture.Message())
		require.NoError(t, err, source)
		blocks, err := json.Marshal(server.message["blocks"])
		require.NoError(t, err)
		assert.JSONEq(t, `[{"type":"section","text":{"type":"mrkdwn","text":"*object.created*"}}]`,
			string(blocks))
		assert.Equal(t, "object.created: object obj_abc123", server.message["text"],
			"the fallback text stays")
	}
	for _, source := range []string{`[]`, `{}`, `"text"`, `{"blocks":7}`,
		`[` + strings.Repeat(block+",", 50) + block + `]`, `{{ subject.id }}`} {
		_, err := channelfixture.Open(t, d,
			slack.Config{WebhookURL: channel.Secret(url + slackPath),
				BlocksTemplate: source}).Send(t.Context(), channelfixture.Message())
		got := channel.AsError(err)
		if assert.NotNil(t, got, "%.40s", source) {
			assert.Equal(t, channel.ClassTemplate, got.Class, "%.40s", source)
			assert.False(t, got.Retryable())
		}
	}
}
