package template

import "strings"

// outputFormat is what the output of a template is, and so what values are escaped for.
type outputFormat string

// The formats. Plain text has no escapes of its own: what a template escapes there itself becomes HTML.
const (
	formatPlain    outputFormat = ""
	formatHTML     outputFormat = "html"
	formatMarkdown outputFormat = "markdown"
	formatMrkdwn   outputFormat = "mrkdwn"
)

// escaper returns what escapes a text for the format; nil for a format that does not exist.
func (f outputFormat) escaper() func(b []byte, s string) []byte {
	switch f {
	case formatPlain, formatHTML:
		return appendHTML
	case formatMarkdown:
		return appendMarkdown
	case formatMrkdwn:
		return appendMrkdwn
	}
	return nil
}

// appendHTML appends text with the characters escaped that mean something in HTML.
func appendHTML(b []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); i++ {
		var entity string
		switch s[i] {
		case '&':
			entity = "&amp;"
		case '<':
			entity = "&lt;"
		case '>':
			entity = "&gt;"
		case '"':
			entity = "&#34;"
		case '\'':
			entity = "&#39;"
		default:
			continue
		}
		b = append(append(b, s[last:i]...), entity...)
		last = i + 1
	}
	return append(b, s[last:]...)
}

// appendAsIs escapes nothing: text inside the JSON of a plain template.
func appendAsIs(b []byte, s string) []byte { return append(b, s...) }

// appendMrkdwn appends text with the characters escaped that mean something in Slack's markup.
func appendMrkdwn(b []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "&<>")
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		default:
			b = append(b, "&gt;"...)
		}
		s = s[i+1:]
	}
}

// mrkdwnText reports whether a string of Slack's JSON, of which key is the nearest key above it, is
// text that Slack decodes.
func mrkdwnText(key string) bool {
	switch key {
	case "url", "value", "action_id", "block_id":
		return false
	}
	return !strings.HasSuffix(key, "_url")
}
