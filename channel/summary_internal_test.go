package channel

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// What people read by default, as files that can be looked at.
func TestDefaultMessages(t *testing.T) {
	t.Parallel()
	payload, err := os.ReadFile("testdata/event.json")
	require.NoError(t, err)
	s, err := summarize(&Message{Payload: payload})
	require.NoError(t, err)
	for name, got := range map[string]string{
		"mail.html":  page(s.title(), htmlBody(s)),
		"mail.txt":   textBody(s),
		"slack.json": string(slackBlocks(s)) + "\n",
		"sms.txt":    defaultText(s) + "\n",
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
func TestDefaultMessagesOfAPartialEvent(t *testing.T) {
	t.Parallel()
	s, err := summarize(&Message{Payload: []byte(`{"event_type":"invoice.paid"}`)})
	require.NoError(t, err)
	assert.Equal(t, "invoice.paid", s.title())
	assert.Equal(t, "invoice.paid\n\n", textBody(s))
	assert.Equal(t, "invoice.paid", defaultText(s))
	assert.JSONEq(t, `[{"type":"section","text":{"type":"mrkdwn","text":"*invoice.paid*","verbatim":true}}]`, string(slackBlocks(s)))
	assert.Contains(t, htmlBody(s), "invoice.paid")
}
