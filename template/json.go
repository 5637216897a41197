package template

import (
	"context"
	"encoding/json"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
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
type JSON struct{ template *Template }

// CompileJSON is [Compile] for a template that renders JSON. Options.Format is that of the text in
// its strings.
func CompileJSON(source string, o Options) (_ *JSON, err error) {
	defer func() { err = exported(err) }()
	c, err := newCompiler(o)
	if err != nil {
		return nil, err
	}
	c.json = true
	if c.format == escaping.Plain {
		c.escaper = escaping.AppendAsIs
	}
	t, err := c.source(source)
	if err != nil {
		return nil, err
	}
	return &JSON{t}, nil
}

// Render is [Template.Render] with a result that is checked to be one JSON value. If it is not, the
// error is an [*Error] with ErrNotJSON: its place is the {{ }} that wrote last before the JSON
// breaks, its message says where in the result that is.
func (j *JSON) Render(ctx context.Context, data map[string]any) (_ []byte, err error) {
	defer func() { err = exported(err) }()
	ctx, gate, err := enterGate(ctx)
	if err != nil {
		return nil, err
	}
	defer gate.leave()
	t := j.template
	out := &newRendering(ctx, &t.settings, data).top
	out.marked = true
	if err := t.run(out); err != nil {
		return nil, err
	}
	if json.Valid(out.b) {
		return out.b, nil
	}
	broken, offset := jsonPos(out.b)
	var from fault.Pos
	for _, m := range out.marks {
		if int64(m.offset) >= offset {
			break
		}
		from = m.pos
	}
	return nil, from.Errorf(fault.ErrNotJSON, "the result breaks at its line %d, column %d", broken.Line, broken.Col)
}
