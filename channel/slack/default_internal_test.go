package slack

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

var update = flag.Bool("updateSlack", false, "write the golden files")

// What people read by default, as files that can be looked at.
func TestDefaultMessage(t *testing.T) {
	t.Parallel()
	payload, err := os.ReadFile("../testdata/event.json")
	require.NoError(t, err)
	s, err := channelkit.Summarize(&channel.Message{Payload: payload})
	require.NoError(t, err)
	for name, got := range map[string]string{
		"slack.json": string(slackBlocks(s)) + "\n",
	} {
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, name)
	}
}

// An event with next to nothing in it still makes a message.
func TestSlackDefaultMessageOfAPartialEvent(t *testing.T) {
	t.Parallel()
	s, err := channelkit.Summarize(&channel.Message{Payload: []byte(`{"event_type":"invoice.paid"}`)})
	require.NoError(t, err)
	assert.Equal(t, "invoice.paid", s.Title())
	assert.JSONEq(t,
		`[{"type":"section","text":{"type":"mrkdwn","text":"*invoice.paid*","verbatim":true}}]`,
		string(slackBlocks(s)))
}

// An event that says in sentences what happened is shown with them.
func TestSlackDefaultMessageOfASummary(t *testing.T) {
	t.Parallel()
	s, err := channelkit.Summarize(&channel.Message{Payload: []byte(`{"event_type":"webhook.disabled",
		"subject": {"type": "webhook", "id": "wh_1"}, "metadata": {"webhook_name": "Shop",
		"summary": "Webhook \"Shop\" is disabled: it answered 410 Gone. ` + strings.Repeat("More. ", 20) +
		`Enable it."}}`)})
	require.NoError(t, err)
	assert.Contains(t, string(slackBlocks(s)), `*webhook.disabled*\nWebhook \"Shop\" is disabled: it answered 410 Gone. More. `)
	assert.Contains(t, string(slackBlocks(s)), "Enable it.")
	assert.Contains(t, s.Title(), `webhook.disabled: Webhook "Shop" is disabled: it answered 410 Gone.`)
	assert.NotContains(t, s.Title(), "Enable it.", "the line of a notification is short")
	assert.Equal(t, []channelkit.Row{{Name: "webhook_name", Value: "Shop"}}, s.Rows)
}
