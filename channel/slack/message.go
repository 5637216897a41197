package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// message is the body of both forms of posting: an incoming webhook and
// chat.postMessage.
type message struct {
	Channel   string          `json:"channel,omitempty"`
	Username  string          `json:"username,omitempty"`
	IconEmoji string          `json:"icon_emoji,omitempty"`
	IconURL   string          `json:"icon_url,omitempty"`
	Text      string          `json:"text"` // what notifications and screen readers show
	Blocks    json.RawMessage `json:"blocks,omitempty"`
}

// slackEscape escapes the three characters that mean something in mrkdwn, so
// that no event can mention @channel or plant a link.
func slackEscape(s string) string { return slackEscaper.Replace(s) }

// maxSlackPart bounds each of the three parts of a text, which may have 3000
// characters, and of the two of a field, which may have 2000.
const maxSlackPart = 900

// slackFit is slackEscape of as much of s as has maxSlackPart bytes.
func slackFit(s string) string {
	escaped := slackEscape(s)
	for len(escaped) > maxSlackPart {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		escaped = slackEscape(s) + "…"
	}
	return escaped
}

var slackEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// defaultBlocks is the default message: what happened to what, the details, and
// when, in the reader's own time zone.
func slackBlocks(s *channelkit.Summary) json.RawMessage {
	type text struct {
		Type string `json:"type"`
		Text string `json:"text"`
		// Verbatim keeps Slack from making links and mentions of what only
		// looks like them.
		Verbatim bool `json:"verbatim"`
	}
	mrkdwn := func(s string) text { return text{Type: "mrkdwn", Text: s, Verbatim: true} }
	type block struct {
		Type     string `json:"type"`
		Text     *text  `json:"text,omitempty"`
		Fields   []text `json:"fields,omitempty"`
		Elements []text `json:"elements,omitempty"`
	}
	head := "*" + slackFit(s.Type) + "*"
	if s.Description != "" {
		head += "\n" + slackFit(s.Description)
	}
	if s.Subject != "" {
		head += "\n" + slackFit(s.Subject)
	}
	headText := mrkdwn(head)
	main := block{Type: "section", Text: &headText}
	const maxFields = 10 // Slack's limit
	for _, r := range s.Rows[:min(len(s.Rows), maxFields)] {
		main.Fields = append(main.Fields, mrkdwn("*"+slackFit(r.Name)+"*\n"+slackFit(r.Value)))
	}
	foot := slackEscape(s.ID)
	if at := s.When(); at != "" {
		foot = fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>  ·  %s", s.OccurredAt.Unix(),
			at, foot)
	}
	blocks := []block{main}
	if foot != "" {
		blocks = append(blocks, block{Type: "context", Elements: []text{mrkdwn(foot)}})
	}
	raw, _ := channelkit.JSON(blocks) // strings only
	return raw
}
