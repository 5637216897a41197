package template

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// A Shape says which kind of template a source is. It has no default: Preview returns ErrUnknown
// for the zero value.
type Shape string

// The shapes.
const (
	ShapeText   Shape = "text"   // for Compile: subject, body and message templates
	ShapeJSON   Shape = "json"   // for CompileJSON: Slack blocks
	ShapeObject Shape = "object" // for CompileObject: payload templates
)

// previewTimeout is how long a preview may take, with its wait for a place in the Gate of its
// context: someone waits for it, and a render ends at its limits long before.
const previewTimeout = 2 * time.Second

// Preview compiles source and renders it for an event, as a delivery would: for showing a
// subscriber what a template does before it is saved, and for tests. It ends with ctx, and after 2
// s at the latest, including the wait for a [Gate]. The error is one that compiling or rendering
// returns.
func Preview(
	ctx context.Context, shape Shape, source string, o Options, e *event.Event,
) (out string, err error) {
	ctx, cancel := context.WithTimeout(ctx, previewTimeout)
	defer cancel()
	err = Pass(ctx, func(ctx context.Context) error {
		out, err = preview(ctx, shape, source, o, Data(e))
		return err
	})
	return out, err
}

func preview(
	ctx context.Context, shape Shape, source string, o Options, data map[string]any,
) (string, error) {
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
