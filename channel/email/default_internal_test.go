package email

import (
	"flag"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

var update = flag.Bool("updateEmail", false, "write the golden files")

// What people read by default, as files that can be looked at.
func TestDefaultMessage(t *testing.T) {
	t.Parallel()
	payload, err := os.ReadFile("../testdata/event.json")
	require.NoError(t, err)
	s, err := channelkit.Summarize(&channel.Message{Payload: payload})
	require.NoError(t, err)
	for name, got := range map[string]string{
		"mail.html": page(s.Title(), htmlBody(s)),
		"mail.txt":  textBody(s),
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
func TestEmailDefaultMessageOfAPartialEvent(t *testing.T) {
	t.Parallel()
	s, err := channelkit.Summarize(&channel.Message{Payload: []byte(`{"event_type":"invoice.paid"}`)})
	require.NoError(t, err)
	assert.Equal(t, "invoice.paid", s.Title())
	assert.Equal(t, "invoice.paid\n\n", textBody(s))
	assert.Contains(t, htmlBody(s), "invoice.paid")
}

// An event that says in sentences what happened is shown with them.
func TestMailDefaultMessageOfASummary(t *testing.T) {
	t.Parallel()
	s, err := channelkit.Summarize(&channel.Message{Payload: []byte(`{"event_type":"webhook.disabled",
		"subject": {"type": "webhook", "id": "wh_1"}, "metadata": {"webhook_name": "Shop",
		"summary": "Webhook \"Shop\" is disabled: it answered 410 Gone. ` + strings.Repeat("More. ", 20) +
		`Enable it."}}`)})
	require.NoError(t, err)
	for _, body := range []string{textBody(s), html.UnescapeString(htmlBody(s))} {
		assert.Contains(t, body, `Webhook "Shop" is disabled: it answered 410 Gone. More. `)
		assert.Contains(t, body, "Enable it.")
	}
}
