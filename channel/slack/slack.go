package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

// Name is the channel's name in subscriptions.
const Name = "slack"

// Config is the configuration of the "slack" channel. Its JSON is that of the published contract.
// It has two forms: an incoming webhook (WebhookURL), or a bot that calls chat.postMessage
// (BotToken and ChannelID). Printing it shows no secrets, but its JSON contains them.
type Config struct {
	// WebhookURL is the URL of an incoming webhook. The URL itself is the secret.
	WebhookURL channel.Secret `json:"webhook_url,omitempty" channel:"target"`

	// BotToken is the token of a bot, "xoxb-…".
	BotToken channel.Secret `json:"bot_token,omitempty"`

	// ChannelID is the channel that the bot writes to. If it is empty, Channel is used.
	ChannelID string `json:"channel_id,omitempty"`

	// WorkspaceID is information for people, and is not sent: a token belongs to one workspace
	// anyway.
	WorkspaceID string `json:"workspace_id,omitempty"`

	// Channel, Username, IconEmoji (":bell:") and IconURL override the settings of the webhook or the
	// bot. Slack accepts them only from legacy webhooks and from bots with the scope
	// chat:write.customize, and otherwise ignores them.
	Channel   string `json:"channel,omitempty"`
	Username  string `json:"username,omitempty"`
	IconEmoji string `json:"icon_emoji,omitempty"`
	IconURL   string `json:"icon_url,omitempty"`

	// BlocksTemplate is a template that renders to Block Kit JSON: a list of blocks, or an object
	// with the list as "blocks". Values are escaped for JSON and for Slack, so that no value of an
	// event makes a mention, a link or a block: see template.FormatMrkdwn. If BlocksTemplate and
	// Blocks are empty, a default message is sent.
	BlocksTemplate string `json:"blocks_template,omitempty"`

	// Blocks is a list of blocks, or an object with the list as "blocks", as JSON whose strings are
	// templates. It must not be set together with BlocksTemplate.
	Blocks json.RawMessage `json:"blocks,omitempty"`
}

// ChannelName returns Name.
func (Config) ChannelName() string { return Name }

// API is the default base URL of Slack's Web API.
const API = "https://slack.com/api"

// Options are the options of NewDriver.
type Options struct {
	// API is the base URL of Slack's Web API, for GovSlack and for tests.
	// Defaults to the constant API.
	API string

	// Library has filters and functions that templates can use beyond Jinja2.
	// Defaults to none.
	Library *template.Library
}

// NewDriver returns the driver of the "slack" channel. Its configuration is a [Config]. A nil
// client means a client with the zero channelkit.HTTPConfig. It returns an error if Options.API is
// not a valid URL.
func NewDriver(client *channelkit.HTTPClient, options Options) (channel.Driver, error) {
	if client == nil {
		var err error
		if client, err = channelkit.NewHTTPClient(channelkit.HTTPConfig{}); err != nil {
			return nil, err
		}
	}
	if options.API == "" {
		options.API = API
	}
	post, err := client.CheckBase(options.API, "/chat.postMessage")
	if err != nil {
		var problems event.Problems
		problems.AddError("API", err)
		return nil, fmt.Errorf("slack: NewDriver: %w", problems.Err())
	}
	return &slackDriver{client: client, post: post, library: options.Library}, nil
}

type slackDriver struct {
	client  *channelkit.HTTPClient
	post    *url.URL
	library *template.Library
}

// slackChannel is a Config that was checked.
type slackChannel struct {
	target  *channelkit.Target
	bot     bool
	message message // what all messages have in common
	blocks  *channelkit.Template
}

// Open checks everything and prepares what all attempts have in common.
func (d *slackDriver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, d.library)
	c := &slackChannel{}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	target, secrets := d.target(r, c, header)
	c.message.Username = r.Line("username", 80)
	c.message.IconEmoji = r.Line("icon_emoji", 100)
	if e := c.message.IconEmoji; e != "" && (len(e) < 3 || e[0] != ':' || e[len(e)-1] != ':') {
		r.Problems.Add("icon_emoji", "must be an emoji's name between colons, such as :bell:")
	}
	c.message.IconURL = readIconURL(r, "icon_url")
	c.blocks = readBlocks(r)
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	c.target = d.client.NewTarget(channelkit.TargetConfig{
		URL: target, Header: header, MaxAnswer: maxSlackReply,
		// To a bot, Slack repeats the message.
		Redact: channelkit.NewRedactor(secrets, slices.DeleteFunc(
			append(r.Literals("blocks"), r.JSONLiterals("blocks_template")...), isVocabulary)...),
	})
	return c, nil
}

// isVocabulary reports whether a literal may be a word of Slack's own, such as section or
// image_url: its errors are made of these too, and would be unreadable without them.
func isVocabulary(literal string) bool {
	return strings.Trim(literal, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// target reads which of the two forms a configuration has, and returns where
// messages go and what must not be shown.
func (d *slackDriver) target(
	r *channelkit.ConfigReader, c *slackChannel, header http.Header,
) (*url.URL, []string) {
	c.message.Channel = r.Line("channel", 100)
	channelID := r.Line("channel_id", 100)
	r.Line("workspace_id", 100)
	_, hasURL := r.Get("webhook_url")
	_, c.bot = r.Get("bot_token")

	switch {
	case hasURL && c.bot:
		r.Problems.Add("bot_token", "must not be set together with webhook_url: use one or the other")
		return nil, nil
	case !c.bot:
		u := r.URL("webhook_url", d.client)
		if u == nil {
			return nil, nil
		}
		return u, channelkit.URLSecrets(u)
	}
	token, ok := r.Required("bot_token")
	if rule := channelkit.Invisible(token, ""); ok && rule != "" {
		r.Problems.Add("bot_token", "%s", rule)
	}
	if channelID != "" {
		c.message.Channel = channelID
	}
	if c.message.Channel == "" {
		r.Problems.Add("channel_id", "is required with a bot_token")
	}
	header.Set("Authorization", "Bearer "+token)
	return d.post, []string{token}
}

// readBlocks reads the blocks in either form, nil when there are none or they
// are wrong.
func readBlocks(r *channelkit.ConfigReader) *channelkit.Template {
	blocks := r.JSONTemplate("blocks_template", template.FormatMrkdwn)
	raw, ok := r.Get("blocks")
	_, both := r.Get("blocks_template")
	switch {
	case !ok:
		return blocks
	case !isBlocks(raw):
		r.Problems.Add("blocks",
			"must be a list of 1 to 50 blocks, or an object that holds it as blocks, whose strings are templates")
	case both:
		r.Problems.Add("blocks", "must not be set together with blocks_template: use one or the other")
	default:
		return r.CompileObject("blocks", raw, template.FormatMrkdwn)
	}
	return nil
}

// readIconURL reads the URL of a picture. Slack fetches it, so no address is
// checked.
func readIconURL(r *channelkit.ConfigReader, name string) string {
	s := r.Line(name, 2048)
	if rule := channelkit.Invisible(s, ""); rule != "" {
		r.Problems.Add(name, "%s", rule)
		return s
	}
	if u, err := url.Parse(s); s != "" &&
		(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		r.Problems.Add(name, "must be an absolute http or https URL")
	}
	return s
}

// Slack takes one message a second for a channel of a workspace, and short bursts:
// https://api.slack.com/docs/rate-limits. It does not say how short.
const (
	messagesPerSecond = 1
	messageBurst      = 3
)

// Capabilities are those of the webhook, or of Slack's API, with the rate that Slack allows.
func (c *slackChannel) Capabilities() channel.Capabilities {
	can := c.target.Capabilities()
	can.AttemptsPerSecond, can.AttemptBurst = messagesPerSecond, messageBurst
	return can
}

// Send posts one message.
func (c *slackChannel) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	ctx, cancel := c.target.WithTimeout(ctx)
	defer cancel()
	body, err := c.body(ctx, m)
	if err != nil {
		return channel.Result{}, err
	}
	reply, err := c.target.Do(ctx, body)
	if now := time.Now(); err == nil || hasSaid(reply, c.bot, now) {
		err = classifySlack(reply, c.bot, now)
	}
	return c.target.Result(&reply), err
}

// body renders the message.
func (c *slackChannel) body(ctx context.Context, m *channel.Message) ([]byte, error) {
	s, err := channelkit.Summarize(m)
	if err != nil {
		return nil, err
	}
	message := c.message
	message.Text = slackEscape(s.Title())
	if c.blocks == nil {
		message.Blocks = slackBlocks(s)
	} else {
		out, err := c.blocks.Render(ctx, m)
		if err != nil {
			return nil, err
		}
		if message.Blocks, err = blocksOf(out); err != nil {
			return nil, err
		}
	}
	body, err := channelkit.JSON(message)
	if err != nil {
		return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassTemplate,
			Err: errors.New("the message is not valid JSON")}
	}
	return body, nil
}

// maxBlocks is how many blocks Slack takes in one message.
const maxBlocks = 50

// isBlocks reports whether JSON is a list of blocks, or an object that holds it.
func isBlocks(raw json.RawMessage) bool {
	var blocks []map[string]json.RawMessage
	return json.Unmarshal(blocksIn(raw), &blocks) == nil && len(blocks) > 0 && len(blocks) <= maxBlocks
}

// blocksIn returns the list of blocks in an object that holds it as blocks, or
// else what it is given.
func blocksIn(raw []byte) []byte {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '{' {
		var object struct {
			Blocks json.RawMessage `json:"blocks"`
		}
		if json.Unmarshal(raw, &object) == nil {
			return object.Blocks
		}
	}
	return raw
}

// blocksOf takes the blocks out of what a template rendered to.
func blocksOf(out []byte) (json.RawMessage, error) {
	raw := blocksIn(out)
	var blocks []json.RawMessage
	if json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 || len(blocks) > maxBlocks {
		return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassTemplate,
			Err: errors.New("the blocks must render to a list of 1 to 50")}
	}
	return raw, nil
}

// Schema has the fields of [Config].
func (*slackDriver) Schema() channel.Schema {
	return channel.Schema{Fields: channelkit.FieldsOf(Config{})}
}

// Format prints the configuration without its secrets, whatever the verb.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config // without this method
	p := plain(c)
	p.BlocksTemplate, p.Blocks = "", nil // which may spell out a token
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// LogValue returns the configuration without its secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }
