package template

// A Format says what the output of a template is, and so what is escaped in the values that {{ }}
// prints. A value is not escaped if it went through |safe, comes from a filter that makes the
// format itself, or is printed inside {% autoescape false %}. The filters escape and e escape for
// the same format.
type Format string

// The formats.
const (
	FormatPlain Format = "" // text: nothing is escaped, and |e makes HTML, as in Jinja2

	// FormatHTML escapes & < > " '; in an attribute without quotes, blanks and = as well. A value that
	// would make an attribute such as href begin with a scheme other than http, https, mailto, tel,
	// sms, ftp and cid becomes "#". A value in srcdoc, style or an event attribute (on…) that is not a
	// single word becomes "#" as well. SYNTAX.md lists the rules.
	FormatHTML Format = "html"

	// FormatMarkdown is CommonMark with GitHub's extensions. A value shows as it is: it makes no link,
	// picture, heading or table, and ends none. It is not escaped in code, where backslashes would
	// show; SYNTAX.md says what counts as code.
	FormatMarkdown Format = "markdown"

	// FormatMrkdwn is the markup of Slack's text objects. In values, &, < and > are escaped, in
	// plain_text objects too, so that no value makes a mention or a link
	// (https://docs.slack.dev/messaging/formatting-message-text, "Escaping text"). Values of the JSON
	// fields url, *_url, value, action_id and block_id are not escaped, because Slack takes them
	// literally.
	FormatMrkdwn Format = "mrkdwn"
)
