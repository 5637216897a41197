package template

import (
	"context"
	"io"

	"github.com/flosch/pongo2/v6"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
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

// A Template is a compiled text template. It is immutable and safe for concurrent use.
type Template struct {
	settings
	pongo  *pongo2.Template
	size   int      // of the source
	hidden []string // see hiddenNames
}

// settings are what a template has been compiled for.
type settings struct {
	env     *environment
	limits  python.Limits
	format  escaping.Format
	escaper func(b []byte, s string) []byte // of the format
	json    bool                            // the result is JSON
}

// Compile compiles a text template. The error is an [*Error] with the place and the offending text,
// which shows every mistake that can be seen without data: syntax, unknown tags, filters and tests,
// and what templates may not do.
func Compile(source string, o Options) (_ *Template, err error) {
	defer func() { err = exported(err) }()
	c, err := newCompiler(o)
	if err != nil {
		return nil, err
	}
	return c.source(source)
}

// source compiles a whole template.
func (c *compiler) source(source string) (*Template, error) {
	segments, err := c.scan(source)
	if err != nil {
		return nil, err
	}
	t, err := c.compile(segments)
	if err != nil {
		return nil, err
	}
	t.size = len(source)
	return t, nil
}

// Render renders the template with data, whose keys are the template's variables; [Data] makes it
// of an event. The data may be shared by any number of renders: it is only read. It may hold nil,
// booleans, numbers, strings, json.Number, and slices and string-keyed maps of these.
//
// The render ends with ctx, and passes the [Gate] of ctx if there is one. Nothing is returned along
// with an error. The error is an [*Error]; it holds no value of the data.
func (t *Template) Render(ctx context.Context, data map[string]any) (_ string, err error) {
	defer func() { err = exported(err) }()
	ctx, gate, err := enterGate(ctx)
	if err != nil {
		return "", err
	}
	defer gate.leave()
	out := &newRendering(ctx, &t.settings, data).top
	if err := t.run(out); err != nil {
		return "", err
	}
	return string(out.b), nil
}

// run renders into out.
func (t *Template) run(out *output) (err error) {
	defer recoverError(&err)
	if err := out.st.Check(); err != nil {
		return err
	}
	if err := out.st.hide(t.hidden); err != nil {
		return err
	}
	out.b = make([]byte, 0, min(t.size+t.size/2, t.limits.Output))
	err = t.pongo.ExecuteWriterUnbuffered(pongo2.Context{outputKey: out}, io.Discard)
	if fault := out.st.Fault; fault != nil {
		return fault
	}
	if err != nil {
		return ourError(err)
	}
	return out.st.Check()
}

// recoverError turns a panic, which would be a defect here or in pongo2, into an error. What it
// says may hold data, so only its type is kept.
func recoverError(err *error) {
	if p := recover(); p != nil {
		*err = fault.Errorf(fault.ErrInternal, "a panic of type %T", p)
	}
}

// A compiler compiles templates that belong together, with one set of pongo2.
type compiler struct {
	settings
	set *pongo2.TemplateSet
}

func newCompiler(o Options) (*compiler, error) {
	env, err := o.Library.environment()
	if err != nil {
		return nil, err
	}
	set, err := newSet()
	if err != nil {
		return nil, err
	}
	format := escaping.Format(o.Format)
	escaper := format.Escaper()
	if escaper == nil {
		return nil, fault.Errorf(fault.ErrOptions, "no format of templates named %q", fault.Near(string(o.Format)))
	}
	limits, err := o.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	return &compiler{settings{env: env, limits: limits, format: format, escaper: escaper}, set}, nil
}

func (c *compiler) scan(source string) ([]syntax.Segment, error) {
	if len(source) > c.limits.Source {
		return nil, fault.Errorf(fault.ErrSourceTooLarge, "%d bytes, the limit is %d", len(source), c.limits.Source)
	}
	return syntax.Scan(source)
}

func (c *compiler) compile(segments []syntax.Segment) (t *Template, err error) {
	defer recoverError(&err)
	session, end := openSession(c.env)
	defer end()
	source, err := emit(c.env, session, segments, c.limits.Depth)
	if err != nil {
		return nil, err
	}
	pongo, err := c.set.FromString(source)
	if err != nil {
		return nil, ourError(err)
	}
	return &Template{settings: c.settings, pongo: pongo, hidden: hiddenNames(c.env, segments)}, nil
}
