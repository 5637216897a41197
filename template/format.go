package template

// A Format says what the output of a template is, and so what has to be escaped in the values that
// {{ }} prints. A value stays as it is if it went through |safe, comes from a filter that makes the
// format itself, or is printed inside {% autoescape false %}. The filters escape and e escape for
// the same format.
type Format string

// The formats.
const (
	FormatPlain Format = "" // text: nothing is escaped, and |e makes HTML, as in Jinja2

	// FormatHTML escapes & < > " '; in an attribute without quotes, blanks and = as well. A value
	// that would make an attribute such as href begin with a scheme other than http, https, mailto,
	// tel, sms, ftp and cid becomes "#", and so does one in srcdoc, style or on… that is more than
	// a word there; SYNTAX.md lists the rules.
	FormatHTML Format = "html"

	// FormatMarkdown is CommonMark with GitHub's extensions. A value shows as it is: it makes no
	// link, picture, heading or table, and ends none. In code, where backslashes are shown, it is not
	// escaped, if there is no doubt that it is code; SYNTAX.md says where.
	FormatMarkdown Format = "markdown"

	// FormatMrkdwn is the markup of Slack's text objects. Of a value exactly & < > are escaped, in
	// plain_text objects too, so that it makes no mention and no link
	// (https://docs.slack.dev/messaging/formatting-message-text, "Escaping text"). Not escaped is
	// what stands in JSON under url, a name that ends in _url, value, action_id or block_id: these
	// are no texts, and Slack takes them literally.
	FormatMrkdwn Format = "mrkdwn"
)
