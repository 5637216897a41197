package template

import (
	"context"

	"github.com/mixpeek/webhooks-go/event"
)

// A Shape is what kind of template a source is.
type Shape string

// The shapes.
const (
	ShapeText   Shape = "text"   // for Compile: subject, body and message templates
	ShapeJSON   Shape = "json"   // for CompileJSON: Slack blocks
	ShapeObject Shape = "object" // for CompileObject: payload templates
)

// Preview compiles source and renders it for an event, as a delivery would: for showing a subscriber what a template
// does before it is saved, and for tests. The error is one that compiling or rendering returns.
func Preview(ctx context.Context, shape Shape, source string, o Options, e *event.Event) (string, error) {
	data := Data(e)
	switch shape {
	case ShapeText:
		t, err := Compile(source, o)
		if err != nil {
			return "", err
		}
		return t.Render(ctx, data)
	case ShapeJSON:
		t, err := CompileJSON(source, o)
		if err != nil {
			return "", err
		}
		b, err := t.Render(ctx, data)
		return string(b), err
	case ShapeObject:
		t, err := CompileObject([]byte(source), o)
		if err != nil {
			return "", err
		}
		b, err := t.Render(ctx, data)
		return string(b), err
	}
	return "", errorf(ErrUnknown, "no shape of template named %q", string(shape))
}
