package slack_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/event"
)

// slackTexts sends a message with these metadata and returns its blocks.
func slackBlocks(t *testing.T, config slack.Config, metadata map[string]any) []any {
	t.Helper()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	config.WebhookURL = channel.Secret(url + slackPath)
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "o"})
	e.Namespace, e.Metadata = "acme", metadata
	m, err := channel.NewMessage(e)
	require.NoError(t, err)
	_, err = channelfixture.Open(t, slackDriver(t, url), config).Send(t.Context(), m)
	require.NoError(t, err)
	blocks, ok := server.message["blocks"].([]any)
	require.True(t, ok)
	return blocks
}

func textOf(block any) any {
	o, _ := block.(map[string]any)
	text, _ := o["text"].(map[string]any)
	return text["text"]
}

// Slack's page "Formatting message text" says under "Escaping text": & < > of a
// value are written &amp; &lt; &gt;, and nothing else.
func TestSlackValuesInBlocks(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		`<!channel> R&D's <https://evil.example|your bank>`: `&lt;!channel&gt; R&amp;D's &lt;https://evil.example|your bank&gt;`,
		`the "new" one`: `the "new" one`,
		"two\nlines":    "two\nlines",
		`C:\temp\new`:   `C:\temp\new`,
		`"}},{"type":"section","text":{"type":"mrkdwn","text":"x`: `"}},{"type":"section","text":{"type":"mrkdwn","text":"x`,
	} {
		metadata := map[string]any{"title": title}
		for _, value := range []string{`"{{ metadata.title }}"`, `"{{ metadata.title | e }}"`,
			`{{ metadata.title | tojson }}`, `{{ metadata.title | e | tojson }}`, `{{ metadata.title }}`} {
			for _, kind := range []string{"mrkdwn", "plain_text"} {
				blocks := slackBlocks(t,
					slack.Config{BlocksTemplate: `[{"type":"section","text":{"type":"` + kind + `","text":` + value + `}}]`}, metadata)
				require.Len(t, blocks, 1, value)
				assert.Equal(t, want, textOf(blocks[0]), value)
			}
		}
		for _, form := range []string{
			`[{"type":"section","text":{"type":"mrkdwn","text":"{{ metadata.title }}"}}]`,
			`{"blocks":[{"type":"section","text":{"type":"mrkdwn","text":"{{ metadata.title | e }}"}}]}`,
		} {
			blocks := slackBlocks(t, slack.Config{Blocks: json.RawMessage(form)}, metadata)
			require.Len(t, blocks, 1, form)
			assert.Equal(t, want, textOf(blocks[0]), form)
		}
		raw := slackBlocks(t,
			slack.Config{BlocksTemplate: `[{"type":"section","text":{"type":"mrkdwn","text":"{{ metadata.title | safe }}"}}]`}, metadata)
		require.Len(t, raw, 1)
		assert.Equal(t, title, textOf(raw[0]), "|safe is what Slack is meant to read")
	}
}

func TestSlackBlocksProblems(t *testing.T) {
	t.Parallel()
	d, err := slack.NewDriver(nil, slack.Options{})
	require.NoError(t, err)
	for config, want := range map[string]string{
		`"blocks":"x"`:               "must be a list of 1 to 50 blocks",
		`"blocks":[{"text":"{{ x"}]`: "must be a valid template",
		`"blocks":[{"type":"divider"}],"blocks_template":"[]"`:             "must not be set together with blocks_template",
		`"blocks":[{"type":"divider","type":"section"}]`:                   "must be a valid template",
		`"blocks":[{"a":"{{ 1|nope }}"},{"b":"{{ 2|nope }}"}],"channel":5`: "nope",
	} {
		_, err := d.Open(json.RawMessage(`{"webhook_url":"https://hooks.slack.com/x",` + config + `}`))
		assert.ErrorContains(t, err, want, config)
	}
	_, err = d.Open(json.RawMessage(
		`{"webhook_url":"https://hooks.slack.com/x","blocks":null,"blocks_template":"[]"}`))
	assert.NoError(t, err)
}

// The default message keeps to Slack's limits whatever has to be escaped: 3000
// characters of a text, 2000 of a field.
func TestSlackDefaultMessageLimits(t *testing.T) {
	t.Parallel()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	e := event.New("x."+strings.Repeat("y", 100),
		event.Subject{Type: strings.Repeat("&", 300), ID: strings.Repeat("<", 300)})
	e.Namespace, e.Metadata = strings.Repeat(">", 300),
		map[string]any{strings.Repeat("&", 200): strings.Repeat("&", 200)}
	m, err := channel.NewMessage(e)
	require.NoError(t, err)
	_, err = channelfixture.Open(t, slackDriver(t, url),
		slack.Config{WebhookURL: channel.Secret(url + slackPath)}).Send(t.Context(), m)
	require.NoError(t, err, "the server refuses what is too long")
	section, _ := server.message["blocks"].([]any)[0].(map[string]any)
	assert.LessOrEqual(t, utf8.RuneCountInString(textOf(section).(string)), 3000)
	fields, _ := section["fields"].([]any)
	require.Len(t, fields, 2)
	for _, f := range fields {
		text, _ := f.(map[string]any)["text"].(string)
		assert.LessOrEqual(t, utf8.RuneCountInString(text), 2000)
		assert.NotRegexp(t, `&[a-z]*(\n|$|…)`, text, "no escape is cut in two")
	}
}

// Slack takes one message a second for a channel.
func TestSlackRate(t *testing.T) {
	t.Parallel()
	d, err := slack.NewDriver(nil, slack.Options{})
	require.NoError(t, err)
	c, err := d.Open([]byte(`{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}`))
	require.NoError(t, err)
	can := c.Capabilities()
	assert.InDelta(t, 1, can.AttemptsPerSecond, 1e-9)
	assert.Equal(t, 3, can.AttemptBurst)
	assert.Equal(t, "hooks.slack.com", can.Host)
}
