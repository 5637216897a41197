package channelkit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/template"
)

// A Template is a compiled template of a configuration. It is safe for concurrent use.
type Template struct {
	render func(ctx context.Context, data map[string]any) ([]byte, error)
}

// TextTemplate compiles a template whose output is text of the format, for which values are
// escaped. It returns nil if the field is absent or empty, or if the template does not compile. A
// variable that is probably a misspelt field of the envelope is a problem too (see
// template.Misspelt).
func (r *ConfigReader) TextTemplate(name string, format template.Format) *Template {
	source := r.Text(name)
	if source == "" {
		return nil
	}
	t, err := template.Compile(source, template.Options{Format: format, Library: r.library})
	if err != nil {
		return r.badTemplate(name, err)
	}
	r.refuseSlips(name, template.Misspelt(source))
	return &Template{func(ctx context.Context, data map[string]any) ([]byte, error) {
		s, err := t.Render(ctx, data)
		return []byte(s), err
	}}
}

// JSONTemplate compiles a template whose output is JSON, with text of the format in its strings. It
// reports problems and returns nil as TextTemplate does.
func (r *ConfigReader) JSONTemplate(name string, format template.Format) *Template {
	source := r.Text(name)
	if source == "" {
		return nil
	}
	t, err := template.CompileJSON(source, template.Options{Format: format, Library: r.library})
	if err != nil {
		return r.badTemplate(name, err)
	}
	r.refuseSlips(name, template.Misspelt(source))
	return &Template{t.Render}
}

// ObjectTemplate compiles a JSON object whose strings are templates. It returns nil if the field is
// absent or not an object, or if one of its templates does not compile. Misspelt variables are
// problems, as with TextTemplate.
func (r *ConfigReader) ObjectTemplate(name string) *Template {
	raw, ok := r.Get(name)
	if !ok {
		return nil
	}
	if raw[0] != '{' {
		r.Problems.Add(name, "must be an object whose strings are templates")
		return nil
	}
	return r.CompileObject(name, raw, template.FormatPlain)
}

// CompileObject compiles JSON whose strings are templates, with text of the format as their output.
// It reports problems under the name, misspelt variables among them, as TextTemplate does. It
// returns nil if one of the templates does not compile.
func (r *ConfigReader) CompileObject(
	name string, raw json.RawMessage, format template.Format,
) *Template {
	t, err := template.CompileObject(slices.Clone(raw),
		template.Options{Format: format, Library: r.library})
	if err != nil {
		return r.badTemplate(name, err)
	}
	r.refuseSlips(name, template.MisspeltObject(raw))
	return &Template{t.Render}
}

// refuseSlips refuses a template that reads a variable which no event has and
// which is one letter away from one that every event may have: it would send
// texts with a hole, and no delivery would fail for it.
func (r *ConfigReader) refuseSlips(name string, slips []template.Slip) {
	for _, slip := range slips {
		leaf := ""
		if slip.Leaf != "" {
			leaf = slip.Leaf + ", "
		}
		r.Problems.Add(name,
			"must not read %s (%sline %d, column %d), which events do not have: it is %s; a field of your own is read as event.%s",
			slip.Name, leaf, slip.Line, slip.Column, slip.Meant, slip.Name)
	}
}

// badTemplate reports what the compiler says, place and reason.
func (r *ConfigReader) badTemplate(name string, err error) *Template {
	if several, ok := err.(interface{ Unwrap() []error }); ok { // the leaves of an object
		for _, err := range several.Unwrap() {
			r.Problems.Add(name, "must be a valid template: %v", withoutSource(err))
		}
		return nil
	}
	r.Problems.Add(name, "must be a valid template: %v", withoutSource(err))
	return nil
}

// Render renders the template for a message. If it fails, the error is permanent, because it would
// fail in the same way next time: a [*channel.Error] of ClassTemplate, or of ClassPayload if the
// event cannot be decoded. When ctx is done, the error is that of channel.ContextError.
func (t *Template) Render(ctx context.Context, m *channel.Message) ([]byte, error) {
	var out []byte
	// The event is decoded inside the gate: what waits there holds only the payload.
	err := template.Pass(ctx, func(ctx context.Context) error {
		e, err := DecodeEvent(m)
		if err != nil {
			return err
		}
		out, err = t.render(ctx, template.DataInOrder(e, m.Payload))
		return err
	})
	var e *channel.Error
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &e): // the event, and not the template
		return nil, err
	}
	if done := channel.ContextError(ctx); done != nil {
		return nil, done
	}
	return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassTemplate,
		Err: withoutSource(err)}
}

// withoutSource takes the piece of the template out of an error: a template may
// hold a token.
func withoutSource(err error) error {
	var e *template.Error
	if !errors.As(err, &e) {
		return errors.New("it does not render")
	}
	clean := *e
	clean.Near = ""
	return &clean
}
