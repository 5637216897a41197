package template

import (
	"context"
	"encoding/json"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
)

// An Object is a compiled object template: JSON whose strings are templates, such as a
// payload_template. It is immutable and safe for concurrent use.
//
// Keys, and values that are not strings, stay as they are. A string that is exactly one {{
// expression }} becomes the value of the expression, of whatever type it is: a number, a list, null
// where it is undefined. Any other string becomes the text that it renders to. All of it is encoded
// once, so no value of the data can end a string, add a field or be encoded twice — except by {{
// x|tojson }}, whose result is text like any other: it puts JSON inside a JSON string.
type Object struct{ program *eval.Object }

// CompileObject compiles an object template. The JSON must be an object or an array and may not
// repeat a key. The strings of the data are escaped for Options.Format, which is that of the text
// in the strings. The error joins what is wrong with each of the first 20 wrong leaves: [*Error]
// values with Leaf set.
func CompileObject(raw json.RawMessage, o Options) (*Object, error) {
	s, err := o.settings()
	if err != nil {
		return nil, exported(err)
	}
	program, err := eval.CompileObject(raw, s)
	if err != nil {
		return nil, exported(err)
	}
	return &Object{program}, nil
}

// Render renders the object with data and returns compact JSON, with the fields in the order of the
// template. See [Template.Render] about data and errors; the limits count for the object as a
// whole.
func (o *Object) Render(ctx context.Context, data map[string]any) ([]byte, error) {
	ctx, gate, err := enterGate(ctx)
	if err != nil {
		return nil, err
	}
	defer gate.leave()
	b, err := o.program.Render(ctx, data)
	return b, exported(err)
}
