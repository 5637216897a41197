package channel

import "context"

// A tmpl is a template of a configuration, compiled.
type tmpl struct{}

func (r *configReader) textTemplate(name string, _ bool) *tmpl { return r.objectTemplate(name) }

func (r *configReader) jsonTemplate(name string) *tmpl { return r.objectTemplate(name) }

func (r *configReader) objectTemplate(name string) *tmpl {
	if _, ok := r.get(name); ok {
		r.problems.Add(name, "is not supported yet")
	}
	return nil
}

func (t *tmpl) run(context.Context, *Message) ([]byte, error) {
	return nil, &Error{Action: Permanent, Class: ClassTemplate}
}
