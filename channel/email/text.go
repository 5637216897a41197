package email

import (
	"html"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/template"
)

// bodyFormat is what values are escaped for in a body.
func bodyFormat(content string) template.Format {
	switch content {
	case ContentHTML:
		return template.FormatHTML
	case ContentMarkdown:
		return template.FormatMarkdown
	}
	return template.FormatPlain
}

// markdownText is Markdown for people who read it as it is: without the
// backslashes and entities that keep values from being read as Markdown.
func markdownText(source string) string {
	source = strings.ReplaceAll(source, "&#32;", " ")
	var b strings.Builder
	for i := 0; i < len(source); i++ {
		if source[i] == '\\' && i+1 < len(source) &&
			strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", source[i+1]) >= 0 {
			i++
		}
		b.WriteByte(source[i])
	}
	return b.String()
}

// textBody is the default body for people who read plain text.
func textBody(s *channelkit.Summary) string {
	var b strings.Builder
	b.WriteString(s.Title() + "\n")
	if s.Description != "" {
		b.WriteString(s.Description + "\n")
	}
	b.WriteString("\n")
	if at := s.When(); at != "" {
		b.WriteString("When: " + at + "\n")
	}
	for _, r := range s.Rows {
		b.WriteString(r.Name + ": " + r.Value + "\n")
	}
	if s.ID != "" {
		b.WriteString("\nEvent " + s.ID + "\n")
	}
	return b.String()
}

// htmlBody is the default body for everybody else. Styles stand at the elements,
// because mail clients drop style sheets.
func htmlBody(s *channelkit.Summary) string {
	var b strings.Builder
	e := html.EscapeString
	b.WriteString(`<p style="margin:0;color:#667085;font-size:13px">` + e(s.Type) + "</p>\n")
	heading := s.Description
	if heading == "" {
		heading = s.Title()
	}
	b.WriteString(`<h1 style="margin:4px 0 16px;font-size:20px;line-height:28px;color:#101828">` + e(
		heading) + "</h1>\n")
	b.WriteString(`<table role="presentation" cellpadding="0" cellspacing="0" style="width:100%;border-collapse:collapse">` + "\n")
	row := func(name, value string) {
		if value != "" {
			b.WriteString(`<tr><td style="padding:8px 16px 8px 0;border-top:1px solid #eaecf0;color:#667085;vertical-align:top;white-space:nowrap">` + e(name) +
				`</td><td style="padding:8px 0;border-top:1px solid #eaecf0;color:#101828;word-break:break-word">` + e(value) + "</td></tr>\n")
		}
	}
	row("Subject", s.Subject)
	row("When", s.When())
	for _, r := range s.Rows {
		row(r.Name, r.Value)
	}
	b.WriteString("</table>\n")
	if s.ID != "" {
		b.WriteString(`<p style="margin:16px 0 0;color:#98a2b3;font-size:12px">Event ` + e(
			s.ID) + "</p>\n")
	}
	return b.String()
}

// page puts a body into a page that phones and desktops show alike.
func page(title, body string) string {
	return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>` + html.EscapeString(title) + `</title>
</head>
<body style="margin:0;padding:24px;background:#f2f4f7;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#101828">
<div style="max-width:600px;margin:0 auto;padding:24px;background:#ffffff;border:1px solid #eaecf0;border-radius:8px">
` + body + `</div>
</body>
</html>
`
}

// htmlText makes the plain-text part of a mail out of its HTML: tags are
// dropped, and those that end a line end one. What scripts and styles hold is
// not text.
func htmlText(source string) string {
	var b strings.Builder
	lower := asciiLower(source) // once: looking for the end of a script must not cost the whole length each time
	for at := 0; at < len(source); {
		open := strings.IndexByte(source[at:], '<')
		if open < 0 {
			open = len(source) - at
		}
		b.WriteString(strings.Join(strings.FieldsFunc(html.UnescapeString(source[at:at+open]),
			isLineBreak), " "))
		if at += open + 1; at >= len(source) {
			break
		}
		if strings.HasPrefix(source[at:], "!--") {
			at = after(source, at+3, "-->")
			continue
		}
		end := after(source, at, ">")
		name := tagName(strings.TrimSuffix(lower[at:end], ">"))
		at = end
		switch name {
		case "script", "style", "head", "title":
			at = after(lower, after(lower, at, "</"+name), ">")
		case "br", "hr", "/p", "/div", "/tr", "/li", "/h1", "/h2", "/h3", "/h4", "/h5", "/h6", "/table",
			"/ul", "/ol", "/pre", "/blockquote":
			b.WriteByte('\n')
		case "li":
			b.WriteString("- ")
		case "/td", "/th":
			b.WriteByte('\t')
		}
	}
	return tidy(b.String())
}

// after returns the index behind the next mark, or the end of s.
func after(s string, at int, mark string) int {
	i := strings.Index(s[at:], mark)
	if i < 0 {
		return len(s)
	}
	return at + i + len(mark)
}

// asciiLower lowers A to Z, so that every index stays what it was.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isLineBreak(r rune) bool { return r == '\n' || r == '\r' }

// tagName returns the name of a tag, with the slash of a closing one.
func tagName(tag string) string {
	if end := strings.IndexAny(strings.TrimPrefix(tag, "/"), " \t\r\n/"); end >= 0 {
		return tag[:end+len(tag)-len(strings.TrimPrefix(tag, "/"))]
	}
	return tag
}

// tidy trims every line and keeps at most one empty line in a row.
func tidy(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}
