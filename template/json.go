package template

import (
	"context"
	"encoding/json"
)

// A JSON is a compiled text template whose result must be JSON, such as a blocks_template of Slack. It is immutable and
// safe for concurrent use.
//
// The template writes JSON as text, so a value with a quote or a line break breaks it, and a malicious one can add
// fields, unless every value goes through |tojson:
//
//	[{"type": "section", "text": {"type": "mrkdwn", "text": {{ ("*" ~ event_type ~ "*")|tojson }}}}]
//
// An [Object] has no such trap; prefer it where there is a choice.
type JSON struct{ template *Template }

// CompileJSON is [Compile] for a template that renders JSON. Options.HTML has no effect.
func CompileJSON(source string, o Options) (*JSON, error) {
	o.HTML = false
	t, err := Compile(source, o)
	if err != nil {
		return nil, err
	}
	return &JSON{t}, nil
}

// Render is [Template.Render] with a result that is checked to be one JSON value. If it is not, the error is an [*Error]
// with ErrNotJSON: its place is the {{ }} that wrote last before the JSON breaks, its message says where in the
// result that is.
func (j *JSON) Render(ctx context.Context, data map[string]any) ([]byte, error) {
	t := j.template
	out := &newState(ctx, t.env, t.limits, false, data).top
	out.marked = true
	if err := t.run(out); err != nil {
		return nil, err
	}
	if json.Valid(out.b) {
		return out.b, nil
	}
	broken, offset := jsonPos(out.b)
	var from pos
	for _, m := range out.marks {
		if int64(m.offset) >= offset {
			break
		}
		from = m.pos
	}
	return nil, from.errorf(ErrNotJSON, "the result breaks at its line %d, column %d", broken.line, broken.col)
}
