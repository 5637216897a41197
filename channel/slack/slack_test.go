package slack_test

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
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/event"
)

const (
	slackToken = "xoxb-1111-2222-sesame"
	slackPath  = "/services/T0001/B0001/sesamesesame"
)

// slackServer is Slack as its documentation describes it: strict about what it
// takes, and answering with its own words.
type slackServer struct {
	message map[string]any // the last one that was accepted
}

func (s *slackServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	bot := r.URL.Path == "/api/chat.postMessage"
	refuse := func(status int, code string) {
		if bot {
			_, _ = io.WriteString(w, `{"ok":false,"error":"`+code+`"}`)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, code)
	}
	var m map[string]any
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !bot && r.URL.Path != slackPath:
		refuse(http.StatusNotFound, "no_service")
	case bot && r.Header.Get("Authorization") == "":
		refuse(0, "not_authed")
	case bot && r.Header.Get("Authorization") != "Bearer "+slackToken:
		refuse(0, "invalid_auth")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		refuse(http.StatusBadRequest, "invalid_payload")
	case json.Unmarshal(body, &m) != nil:
		refuse(http.StatusBadRequest, "invalid_payload")
	case m["text"] == nil && m["blocks"] == nil:
		refuse(http.StatusBadRequest, "no_text")
	case !validBlocks(m["blocks"]):
		refuse(http.StatusBadRequest, "invalid_blocks")
	case bot && m["channel"] == nil, m["channel"] == "C404":
		refuse(http.StatusNotFound, "channel_not_found")
	default:
		s.message = m
		if bot {
			_, _ = io.WriteString(
				w,
				`{"ok":true,"channel":"C0123456789","ts":"1503435956.000247","message":{"text":"x","type":"message"}}`,
			)
		} else {
			_, _ = io.WriteString(w, "ok")
		}
	}
}

// validBlocks checks the blocks that the default message uses against Block
// Kit's reference.
func validBlocks(v any) bool {
	blocks, ok := v.([]any)
	if !ok || len(blocks) == 0 || len(blocks) > 50 {
		return false
	}
	text := func(v any, limit int) bool {
		o, _ := v.(map[string]any)
		s, _ := o["text"].(string)
		return (o["type"] == "mrkdwn" || o["type"] == "plain_text") && s != "" && len(s) <= limit
	}
	texts := func(v any, most, limit int) bool {
		list, _ := v.([]any)
		for _, item := range list {
			if !text(item, limit) {
				return false
			}
		}
		return len(list) <= most
	}
	for _, item := range blocks {
		b, _ := item.(map[string]any)
		switch b["type"] {
		case "section":
			if b["text"] != nil && !text(b["text"], 3000) || !texts(b["fields"], 10, 2000) ||
				b["text"] == nil && b["fields"] == nil {
				return false
			}
		case "context":
			if !texts(b["elements"], 10, 3000) {
				return false
			}
		case "divider":
		default:
			return false
		}
	}
	return true
}

func slackDriver(t testing.TB, base string) channel.Driver {
	d, err := slack.NewDriver(channelfixture.Client(t), slack.Options{API: base + "/api"})
	require.NoError(t, err)
	return d
}

func TestSlackIncomingWebhook(t *testing.T) {
	t.Parallel()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	c := channelfixture.Open(t, slackDriver(t, url), slack.Config{
		WebhookURL: channel.Secret(url + slackPath), Channel: "#alerts", Username: "webhooks",
		IconEmoji: ":bell:", IconURL: "https://example.com/i.png",
	})
	result, err := c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Equal(t, channel.Result{StatusCode: 200, Response: "ok"}, result)

	m := server.message
	assert.Equal(t, "object.created: object obj_abc123", m["text"])
	assert.Equal(t, []any{"#alerts", "webhooks", ":bell:", "https://example.com/i.png"},
		[]any{m["channel"], m["username"], m["icon_emoji"], m["icon_url"]})
	blocks, err := json.Marshal(m["blocks"])
	require.NoError(t, err)
	for _, want := range []string{"*object.created*", "object obj_abc123", `*Namespace*\nacme`,
		`*content_type*\nvideo/mp4`, "evt_abc123",
		`\u003c!date^1759939740^{date_short_pretty} {time_secs}|8 October 2025, 16:09:00 UTC\u003e`} {
		assert.Contains(t, string(blocks), want)
	}
}

func TestSlackBot(t *testing.T) {
	t.Parallel()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	d := slackDriver(t, url)
	config := slack.Config{BotToken: slackToken, ChannelID: "C0123456789", WorkspaceID: "T0123456789"}
	result, err := channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Contains(t, result.Response, `"ok":true`)
	assert.Equal(t, "C0123456789", server.message["channel"])

	config.ChannelID = "C404"
	_, err = channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
	assert.EqualError(t, err, "channel: rejected 200: slack says channel_not_found")
	assert.Equal(t, channel.Permanent, channel.AsError(err).Action)

	config.BotToken = "xoxb-another"
	_, err = channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
	assert.EqualError(t, err, "channel: auth 200: slack says invalid_auth")
	assert.True(t, channel.AsError(err).Retryable(), "the operator corrects the token")
}

// An event is text, not markup: it cannot mention everybody or plant a link.
func TestSlackEscapesTheEvent(t *testing.T) {
	t.Parallel()
	server := &slackServer{}
	url := channelfixture.Serve(t, server.ServeHTTP)
	c := channelfixture.Open(t, slackDriver(t, url),
		slack.Config{WebhookURL: channel.Secret(url + slackPath)})
	m := channelfixture.Message()
	m.Payload = []byte(
		`{"event_id":"evt_1","event_type":"x.y","subject":{"type":"<!channel>","id":"<https://evil.example|click>&"},` +
			`"metadata":{"<!here>":"<@U1>","long":"` + strings.Repeat(
			"x",
			50_000,
		) + `","n":12345678901234567890,"nested":{"a":1}}}`,
	)
	_, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	all, err := json.Marshal(server.message)
	require.NoError(t, err)
	for _, bad := range []string{`\u003c!channel`, `\u003c!here`, `\u003c@U1`, `\u003chttps`} {
		assert.NotContains(t, string(all), bad)
	}
	assert.Contains(t, string(all), "12345678901234567890")
	assert.Less(t, len(all), 4000)
	assert.NotContains(t, string(all), "!date^", "no time when the event has none")
	assert.Equal(t, strings.Count(string(all), `"mrkdwn"`),
		strings.Count(string(all), `"verbatim":true`),
		"what looks like a link or a mention is not made one")
}

// To a bot Slack repeats the message before it is done: an answer of any size
// that a message can have is understood, or the message would be posted again.
func TestSlackLongAnswer(t *testing.T) {
	t.Parallel()
	url := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true,"message":{"blocks":"`+strings.Repeat("x", 50*3000)+`"}}`)
	})
	_, err := channelfixture.Open(t, slackDriver(t, url),
		slack.Config{BotToken: slackToken, ChannelID: "C1"}).Send(t.Context(), channelfixture.Message())
	assert.NoError(t, err)
}

// Slack's own words decide, whatever the status.
func TestSlackErrors(t *testing.T) {
	t.Parallel()
	type answer struct {
		status int
		body   string
		header http.Header
	}
	tests := []struct {
		answer answer
		bot    bool
		action channel.Action
		class  channel.Class
		wait   time.Duration
	}{
		{answer: answer{status: 400, body: "invalid_payload"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 403, body: "action_prohibited"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 404, body: "channel_not_found"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 404, body: "no_service"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 410, body: "channel_is_archived"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 410, body: ""}, action: channel.Disable, class: channel.ClassStatus},
		{answer: answer{status: 403, body: "invalid_token"}, action: channel.Retry,
			class: channel.ClassAuth},
		{answer: answer{status: 500, body: "rollup_error"}, action: channel.Retry,
			class: channel.ClassRejected},
		{answer: answer{status: 500, body: "<html>oops</html>"}, action: channel.Retry,
			class: channel.ClassStatus},
		{answer: answer{status: 404, body: "brand_new_code"}, action: channel.Retry,
			class: channel.ClassStatus},
		{answer: answer{status: 200, body: "<html>welcome</html>"}, action: channel.Retry,
			class: channel.ClassProtocol},
		{answer: answer{status: 200, body: ""}, action: channel.Retry, class: channel.ClassProtocol},
		{answer: answer{status: 200, body: "no_text"}, action: channel.Permanent,
			class: channel.ClassRejected},
		{answer: answer{status: 429, body: `{"ok":false,"error":"ratelimited"}`,
			header: http.Header{"Retry-After": {"30"}}},
			action: channel.Wait, class: channel.ClassRejected, wait: 30 * time.Second},
		{answer: answer{status: 429, body: "", header: http.Header{"Retry-After": {"30"}}},
			action: channel.Wait, class: channel.ClassStatus, wait: 30 * time.Second},
		{answer: answer{status: 429, body: "ratelimited"}, action: channel.Retry,
			class: channel.ClassRejected},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"ratelimited"}`,
			header: http.Header{"Retry-After": {"7"}}},
			action: channel.Wait, class: channel.ClassRejected, wait: 7 * time.Second},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"is_archived"}`},
			action: channel.Permanent, class: channel.ClassRejected},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"token_revoked"}`},
			action: channel.Retry, class: channel.ClassAuth},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"not_in_channel"}`},
			action: channel.Retry, class: channel.ClassRejected},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"missing_scope"}`},
			action: channel.Retry, class: channel.ClassAuth},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"internal_error"}`},
			action: channel.Retry, class: channel.ClassRejected},
		{bot: true, answer: answer{status: 503, body: `{"ok":false,"error":"service_unavailable"}`,
			header: http.Header{"Retry-After": {"5"}}},
			action: channel.Wait, class: channel.ClassRejected, wait: 5 * time.Second},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"brand_new_code"}`},
			action: channel.Retry, class: channel.ClassRejected},
		{bot: true, answer: answer{status: 200, body: `{"ok":false,"error":"Say \"xoxb\" <script>"}`},
			action: channel.Retry, class: channel.ClassProtocol},
		{bot: true, answer: answer{status: 200, body: `{"ok":false}`}, action: channel.Retry,
			class: channel.ClassProtocol},
		{bot: true, answer: answer{status: 200, body: `{"ok":`}, action: channel.Retry,
			class: channel.ClassProtocol},
		{bot: true, answer: answer{status: 200, body: `ok`}, action: channel.Retry,
			class: channel.ClassProtocol},
	}
	for _, tt := range tests {
		url := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range tt.answer.header {
				w.Header()[k] = v
			}
			w.WriteHeader(tt.answer.status)
			_, _ = io.WriteString(w, tt.answer.body)
		})
		config := slack.Config{WebhookURL: channel.Secret(url + slackPath)}
		if tt.bot {
			config = slack.Config{BotToken: slackToken, ChannelID: "C1"}
		}
		_, err := channelfixture.Open(t, slackDriver(t, url), config).Send(t.Context(),
			channelfixture.Message())
		got := channel.AsError(err)
		if assert.NotNil(t, got, "%+v", tt.answer) {
			assert.Equal(t, tt.action, got.Action, "%+v", tt.answer)
			assert.Equal(t, tt.class, got.Class, "%+v", tt.answer)
			assert.Equal(t, tt.wait, got.RetryAfter, "%+v", tt.answer)
			assert.Equal(t, tt.answer.status, got.StatusCode, "%+v", tt.answer)
		}
	}
}

func TestSlackConfigProblems(t *testing.T) {
	t.Parallel()
	d, err := slack.NewDriver(nil, slack.Options{})
	require.NoError(t, err)
	tests := []struct {
		config string
		want   []string
	}{
		{`{}`, []string{"webhook_url"}},
		{
			`{"webhook_url":"http://hooks.slack.com/x","icon_emoji":"bell","icon_url":"javascript:x","username":5,"channel":"a\nb"}`,
			[]string{"channel", "webhook_url", "username", "icon_emoji", "icon_url"},
		},
		{`{"webhook_url":"https://hooks.slack.com/x","bot_token":"xoxb-sesame"}`, []string{"bot_token"}},
		{`{"bot_token":"xoxb-sesame"}`, []string{"channel_id"}},
		{`{"bot_token":"xoxb-sesame\r\nX: y","channel_id":7}`,
			[]string{"channel_id", "bot_token", "channel_id"}},
		{`{"bot_token":"","channel_id":"C1"}`, []string{"bot_token"}},
	}
	for _, tt := range tests {
		_, err := d.Open(json.RawMessage(tt.config))
		var invalid *event.ValidationError
		if assert.ErrorAs(t, err, &invalid, tt.config) {
			var fields []string
			for _, p := range invalid.Problems {
				fields = append(fields, p.Field)
			}
			assert.Equal(t, tt.want, fields, "%s: %v", tt.config, err)
			assert.NotContains(t, err.Error(), "sesame")
		}
	}
	_, err = slack.NewDriver(nil, slack.Options{API: "http://localhost"})
	assert.Error(t, err)
}

// To a bot, Slack repeats the message, with what its templates say literally.
func TestSlackRedactsItsTemplates(t *testing.T) {
	t.Parallel()
	base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		escaped := strings.ReplaceAll(string(body), "/", `\/`) // as Slack does
		_, _ = io.WriteString(w, `{"ok":true,"message":`+escaped+`}`)
	})
	const text = `"see\nhttps://a.example/?k=sesame-open\u0021 for {{ event_id }} and {{ 'sesame-too' }}"`
	const blocks = `[{"type":"section","text":{"type":"mrkdwn","text":` + text + `}}]`
	for _, config := range []slack.Config{{Blocks: json.RawMessage(blocks)}, {BlocksTemplate: blocks}} {
		config.BotToken, config.ChannelID = slackToken, "C0123456789"
		d, err := slack.NewDriver(channelfixture.Client(t), slack.Options{API: base})
		require.NoError(t, err)
		result, err := channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
		require.NoError(t, err)
		assert.NotContains(t, result.Response, "sesame")
		assert.Contains(t, result.Response, "evt_abc123")
		assert.Contains(t, result.Response, `"ok":true`)
	}
}

// Slack's own words, which templates have to use, stay in what it says is wrong.
func TestSlackDiagnosticsStayReadable(t *testing.T) {
	t.Parallel()
	const answer = `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":[` +
		`"[ERROR] missing required field: elements [json-pointer:/blocks/0/section]",` +
		`"[ERROR] unsupported type: mrkdwn, plain_text, button [json-pointer:/blocks/1/text]"]}}`
	base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	})
	const blocks = `{"blocks":[{"type":"section","text":{"type":"mrkdwn","text":"{{ event_id }}"}},` +
		`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Open"}}]}]}`
	for _, config := range []slack.Config{{Blocks: json.RawMessage(blocks)}, {BlocksTemplate: blocks}} {
		config.BotToken, config.ChannelID = slackToken, "C0123456789"
		d, err := slack.NewDriver(channelfixture.Client(t), slack.Options{API: base})
		require.NoError(t, err)
		result, err := channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
		require.Error(t, err)
		assert.JSONEq(t, answer, result.Response)
	}
}

// What Slack has begun to say counts, however the answer ends: another attempt would be a second
// message.
func TestSlackBrokenAnswers(t *testing.T) {
	t.Parallel()
	long := `{"ok":true,"channel":"C0123456789","message":{"text":"` + strings.Repeat("x", 5_000) + `"}}`
	breaksOff := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000")
			channelfixture.BreakOff(w, body)
		}
	}
	for _, tt := range []struct {
		name  string
		bot   bool
		serve http.HandlerFunc
		want  channel.Action
		class channel.Class
	}{
		{"longer than MaxResponse", true, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, long)
		}, channel.Success, ""},
		{"longer than MaxResponse, the answer last", true, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"message":"`+strings.Repeat("x", 5_000)+`","ok":true}`)
		}, channel.Success, ""},
		{"true, broken off", true, breaksOff(long[:100]), channel.Success, ""},
		{"true after others, broken off", true,
			breaksOff(`{"ts":{"a":[1,"}"]},"ok": true, "me`), channel.Success, ""},
		{"a code, broken off", true, breaksOff(`{"ok":false,"error":"channel_not_found","re`),
			channel.Permanent, channel.ClassRejected},
		{"false, broken off", true, breaksOff(`{"ok":false,"err`), channel.Retry, channel.ClassClosed},
		{"nothing", true, breaksOff(`{"message":{"ok":true,`), channel.Retry, channel.ClassClosed},
		{"ok to a bot", true, breaksOff(`ok`), channel.Retry, channel.ClassClosed},
		{"ok, broken off", false, breaksOff("ok"), channel.Success, ""},
		{"a known code, broken off", false, breaksOff("no_service"), channel.Permanent,
			channel.ClassRejected},
		{"part of a code", false, breaksOff("no_serv"), channel.Retry, channel.ClassClosed},
		{"without the end of its chunks", false, func(w http.ResponseWriter, _ *http.Request) {
			channelfixture.BreakOff(w, "ok")
		}, channel.Success, ""},
	} {
		client := channelfixture.NewClient(t, channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true,
			MaxResponse: 1000})
		base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			tt.serve(w, r)
		})
		config := slack.Config{WebhookURL: channel.Secret(base + slackPath)}
		if tt.bot {
			config = slack.Config{BotToken: slackToken, ChannelID: "C0123456789"}
		}
		d, err := slack.NewDriver(client, slack.Options{API: base})
		require.NoError(t, err)
		_, err = channelfixture.Open(t, d, config).Send(t.Context(), channelfixture.Message())
		if tt.want == channel.Success {
			assert.NoError(t, err, tt.name)
			continue
		}
		if e := channel.AsError(err); assert.Error(t, err, tt.name) {
			assert.Equal(t, tt.want, e.Action, tt.name)
			assert.Equal(t, tt.class, e.Class, tt.name)
		}
	}
}

// says is an answer of 200 that has its meaning in the body.
func says(name string, want channel.Action, body string) channeltest.Answer {
	return channeltest.Answer{Name: name, Want: want,
		Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			_, _ = io.WriteString(w, body)
		}}
}

func TestSlackContract(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		config.MaxResponse = 64 << 10 // endless sooner
		client := channelfixture.NewClient(t, config)
		server := &slackServer{}
		d, err := slack.NewDriver(client, slack.Options{})
		require.NoError(t, err)
		channeltest.Run(t, channeltest.Harness{
			Driver: d,
			HTTP: &channeltest.HTTP{
				Config: func(base string) json.RawMessage {
					return json.RawMessage(`{"webhook_url":"` + base + slackPath + `"}`)
				},
				Accept: server.accept,
			},
			Answers: []channeltest.Answer{
				says("ok", channel.Success, "ok"),
				says("no_text", channel.Permanent, "no_text"),
				says("channel_is_archived", channel.Permanent, "channel_is_archived"),
				says("invalid_token", channel.Retry, "invalid_token"),
				says("rollup_error", channel.Retry, "rollup_error"),
				says("something else", channel.Retry, "<html>"),
			},
			Bad:     []channeltest.Bad{{Name: "nothing", Config: `{}`, Fields: []string{"webhook_url"}}},
			Secrets: []string{slackPath, "sesamesesame"},
			Close:   client.CloseIdleConnections,
		})
	})
}

// accept is ServeHTTP without remembering, for concurrent use.
func (s *slackServer) accept(w http.ResponseWriter, r *http.Request) {
	(&slackServer{}).ServeHTTP(w, r)
}

// botDriver opens configurations that name the API to call, so that the suite
// can serve it.
func TestSlackBotContract(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		config.MaxResponse = 64 << 10 // endless sooner
		client := channelfixture.NewClient(t, config)
		server := &slackServer{}
		channeltest.Run(t, channeltest.Harness{
			Driver: channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
				var c struct{ API string }
				if err := json.Unmarshal(config, &c); err != nil {
					return nil, err
				}
				d, err := slack.NewDriver(client, slack.Options{API: c.API + "/api"})
				if err != nil {
					return nil, err
				}
				return d.Open(config)
			}),
			HTTP: &channeltest.HTTP{
				Config: func(base string) json.RawMessage {
					return json.RawMessage(
						`{"api":"` + base + `","bot_token":"` + slackToken + `","channel_id":"C0123456789"}`,
					)
				},
				Accept: server.accept,
			},
			Answers: []channeltest.Answer{
				says("ok", channel.Success, `{"ok":true}`),
				says("ratelimited", channel.Wait, `{"ok":false,"error":"ratelimited"}`),
				says("channel_not_found", channel.Permanent, `{"ok":false,"error":"channel_not_found"}`),
				says("token_revoked", channel.Retry, `{"ok":false,"error":"token_revoked"}`),
				says("something else", channel.Retry, "ok"),
			},
			Secrets: []string{slackToken},
			Close:   client.CloseIdleConnections,
		})
	})
}
