// Package escaping writes text into what the output of a template is, so that it shows there as it
// is and means nothing.
//
// # What is where
//
//	format.go     the formats, and what escapes a text without a look at what stands around it
//	html.go       values inside HTML: in text, attributes and addresses
//	markdown.go   values inside Markdown
package escaping

import "strings"

// Format is what the output of a template is, and so what values are escaped for.
type Format string

// The formats. Plain text has no escapes of its own: what a template escapes there itself becomes
// HTML.
const (
	Plain    Format = ""
	HTML     Format = "html"
	Markdown Format = "markdown"
	Mrkdwn   Format = "mrkdwn"
)

// Escaper returns what escapes a text for the format; nil for a format that does not exist.
func (f Format) Escaper() func(b []byte, s string) []byte {
	switch f {
	case Plain, HTML:
		return AppendHTML
	case Markdown:
		return appendMarkdown
	case Mrkdwn:
		return AppendMrkdwn
	}
	return nil
}

// AppendHTML appends text with the characters escaped that mean something in HTML.
func AppendHTML(b []byte, s string) []byte {
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

// AppendAsIs escapes nothing: text inside the JSON of a plain template.
func AppendAsIs(b []byte, s string) []byte { return append(b, s...) }

// AppendMrkdwn appends text with the characters escaped that mean something in Slack's markup.
func AppendMrkdwn(b []byte, s string) []byte {
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

// AppendNoControls appends a text of which only a part is escaped as mrkdwn, so that nothing in it is
// a mention or a link: JSON that is shown as text has strings of both kinds.
func AppendNoControls(b []byte, s string) []byte {
	return append(b, strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(s)...)
}

// MrkdwnText reports whether a string of Slack's JSON, of which key is the nearest key above it, is
// text that Slack decodes.
func MrkdwnText(key string) bool {
	switch key {
	case "url", "value", "action_id", "block_id":
		return false
	}
	return !strings.HasSuffix(key, "_url")
}
