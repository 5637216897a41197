package email_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/template"
)

// A mail of JSON is a few times as long as the JSON, however deep that is nested.
func TestMailsOfDeepJSONAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
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
			assert.Equal(t, source, strings.TrimSpace(text), kind)
		}
	}
	source := deep(2_000, 20_000)
	send(source, source, channelfixture.Payload)
	const head = `{"event_id":"evt_abc123","event_type":"object.created",` +
		`"subject":{"type":"object","id":"obj_abc123"},"metadata":{"a":`
	source = head + deep(60, 200_000) + "}}"
	send(source, "", source)
}

// A mail whose Markdown would cost too much to convert is sent as the text that it is.
func TestMarkdownThatCostsTooMuchIsSentAsText(t *testing.T) {
	t.Parallel()
	const columns = 600
	server := &mailServer{}
	c := server.channel(t, email.Config{ToAddresses: []string{"a@example.com"},
		ContentType: email.ContentMarkdown, BodyTemplate: "# {{ event_type }} \\*\n\n" +
			strings.Repeat("|a", columns) + "\n" + strings.Repeat("|-", columns) + "\n" +
			strings.Repeat("b\n", columns)})
	_, err := c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	body, order := parts(t, server.received()[0].parse(t))
	assert.Equal(t, []string{"text/plain"}, order)
	assert.Contains(t, body["text/plain"], "# object.created *\n\n|a|a|a")
}

// A mail is composed in one pass of the gate, with all that costs time and memory, and its wait
// ends with the context.
func TestMailsPassTheGate(t *testing.T) {
	t.Parallel()
	server := &mailServer{}
	c := server.channel(t, email.Config{ToAddresses: []string{"a@example.com"},
		ContentType: email.ContentMarkdown, SubjectTemplate: "{{ event_type }}",
		BodyTemplate: "*{{ event_type }}*"})
	gate, err := template.NewGate(1)
	require.NoError(t, err)
	waits := make(chan bool, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan error, 1)
	send := func() {
		go func() {
			_, err := c.Send(gate.ContextFor(ctx, template.Turn{Waiting: func(w bool) { waits <- w }}),
				channelfixture.Message())
			sent <- err
		}()
		assert.True(t, <-waits)
	}
	require.NoError(t, template.Pass(gate.Context(t.Context()), func(context.Context) error {
		send()
		return nil
	}))
	require.NoError(t, <-sent)
	assert.False(t, <-waits)
	assert.Empty(t, waits, "it waits once")

	require.NoError(t, template.Pass(gate.Context(t.Context()), func(context.Context) error {
		send()
		cancel()
		require.ErrorIs(t, <-sent, context.Canceled)
		return nil
	}))
	assert.Len(t, server.received(), 1)
}
