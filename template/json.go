package template

import (
	"context"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
)

// A JSON is a compiled text template whose result must be JSON, such as a blocks_template of Slack.
// It is immutable and safe for concurrent use.
//
// The template writes JSON as text, and values are written so that they stay values: none ends a
// string or adds a field.
//
//	[{"type": "section", "text": {"type": "mrkdwn", "text": "*{{ event_type }}* {{ subject.id }}"}}]
//
// Inside a JSON string a value is escaped for Options.Format, and then for JSON; |safe leaves out
// the former. Outside of strings a text becomes a JSON string and any other value its JSON, so that
// {{ x }} and {{ x|tojson }} are the same there; |safe writes a text as it is. A block (set, macro,
// call, filter) that writes JSON is JSON, and any other one text. Inside {% autoescape false %}
// everything is written as it is.
//
// An [Object] is simpler; prefer it where there is a choice.
type JSON struct{ text *eval.Text }

// CompileJSON is [Compile] for a template that renders JSON. Options.Format is that of the text in
// its strings.
func CompileJSON(source string, o Options) (*JSON, error) {
	s, err := o.settings()
	if err != nil {
		return nil, exported(err)
	}
	text, err := eval.CompileJSON(source, s)
	if err != nil {
		return nil, exported(err)
	}
	return &JSON{text}, nil
}

// Render is [Template.Render] with a result that is checked to be one JSON value. If it is not, the
// error is an [*Error] with ErrNotJSON: its place is the {{ }} that wrote last before the JSON
// breaks, its message says where in the result that is.
func (j *JSON) Render(ctx context.Context, data map[string]any) ([]byte, error) {
	ctx, gate, err := enterGate(ctx)
	if err != nil {
		return nil, err
	}
	defer gate.leave()
	b, err := j.text.RenderJSON(ctx, data)
	return b, exported(err)
}
