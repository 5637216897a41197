package template

import (
	"context"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/eval"
)

// Options say how templates are compiled and rendered. The zero value is right for text that
// nothing interprets.
type Options struct {
	// Format is what the output is; values are escaped for it. Zero means that values are printed
	// as they are.
	Format Format
	// Library has the filters and functions of the embedding service. Nil means none.
	Library *Library
	// Limits bound the cost. Zero fields take the defaults that are documented with them.
	Limits Limits
}

// settings are the options as the compiler takes them.
func (o Options) settings() (eval.Settings, error) {
	env, err := o.Library.environment()
	if err != nil {
		return eval.Settings{}, err
	}
	limits, err := o.Limits.withDefaults()
	if err != nil {
		return eval.Settings{}, err
	}
	return eval.Settings{Env: env, Limits: limits, Format: escaping.Format(o.Format)}, nil
}

// A Template is a compiled text template. It is immutable and safe for concurrent use.
type Template struct{ text *eval.Text }

// Compile compiles a text template. It returns an error for every kind of mistake that can be found
// without data: syntax, unknown tags, filters and tests, and what templates may not do. The error
// is an [*Error] for the first mistake, with its place and the offending text.
func Compile(source string, o Options) (*Template, error) {
	s, err := o.settings()
	if err != nil {
		return nil, exported(err)
	}
	text, err := eval.CompileText(source, s)
	if err != nil {
		return nil, exported(err)
	}
	return &Template{text}, nil
}

// Render renders the template with data, whose keys are the template's variables; [Data] makes it
// of an event. The data may be shared by any number of renders: it is only read. It may hold nil,
// booleans, numbers, strings, json.Number, and slices and string-keyed maps of these.
//
// The render ends with ctx, and passes the [Gate] of ctx if there is one. Nothing is returned along
// with an error. The error is an [*Error]; it holds no value of the data.
func (t *Template) Render(ctx context.Context, data map[string]any) (string, error) {
	ctx, gate, err := enterGate(ctx)
	if err != nil {
		return "", err
	}
	defer gate.leave()
	text, err := t.text.Render(ctx, data)
	return text, exported(err)
}
