package eval

import (
	"context"
	"encoding/json"
	"io"

	"github.com/flosch/pongo2/v6"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// Settings are what a template is compiled for.
type Settings struct {
	Env     *Environment
	Limits  python.Limits
	Format  escaping.Format
	escaper func(b []byte, s string) []byte // of the format
	json    bool                            // the result is JSON
}

// A Text is a compiled text. It is immutable and safe for concurrent use.
type Text struct {
	Settings
	pongo  *pongo2.Template
	size   int      // of the source
	hidden []string // see hiddenNames
}

// CompileText compiles a text.
func CompileText(source string, s Settings) (*Text, error) {
	c, err := newCompiler(s)
	if err != nil {
		return nil, err
	}
	return c.source(source)
}

// CompileJSON compiles a text that is JSON, for RenderJSON.
func CompileJSON(source string, s Settings) (*Text, error) {
	c, err := newCompiler(s)
	if err != nil {
		return nil, err
	}
	c.json = true
	if c.Format == escaping.Plain {
		c.escaper = escaping.AppendAsIs
	}
	return c.source(source)
}

// source compiles a whole template.
func (c *compiler) source(source string) (*Text, error) {
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

// Render renders the text with data.
func (t *Text) Render(ctx context.Context, data map[string]any) (string, error) {
	out := &newRendering(ctx, &t.Settings, data).top
	if err := t.run(out); err != nil {
		return "", err
	}
	return string(out.b), nil
}

// RenderJSON renders what CompileJSON has compiled, and checks that it is JSON. Where it is not,
// the place of the error is the {{ }} that wrote last before the JSON breaks.
func (t *Text) RenderJSON(ctx context.Context, data map[string]any) ([]byte, error) {
	out := &newRendering(ctx, &t.Settings, data).top
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
	return nil, from.Errorf(fault.ErrNotJSON, "the result breaks at its line %d, column %d",
		broken.Line, broken.Col)
}

// run renders into out.
func (t *Text) run(out *output) (err error) {
	defer recoverError(&err)
	if err := out.st.Check(); err != nil {
		return err
	}
	if err := out.st.hide(t.hidden); err != nil {
		return err
	}
	out.b = make([]byte, 0, min(t.size+t.size/2, t.Limits.Output))
	err = t.pongo.ExecuteWriterUnbuffered(pongo2.Context{outputKey: out}, io.Discard)
	if fault := out.st.Fault; fault != nil {
		return fault
	}
	if err != nil {
		return ourError(err)
	}
	if out.md != nil {
		out.b = out.md.Finish(out.b)
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
	Settings
	set *pongo2.TemplateSet
}

func newCompiler(s Settings) (*compiler, error) {
	set, err := newSet()
	if err != nil {
		return nil, err
	}
	if s.escaper = s.Format.Escaper(); s.escaper == nil {
		return nil, fault.Errorf(fault.ErrOptions, "no format of templates named %q",
			fault.Near(string(s.Format)))
	}
	return &compiler{s, set}, nil
}

func (c *compiler) scan(source string) ([]syntax.Segment, error) {
	if len(source) > c.Limits.Source {
		return nil, fault.Errorf(fault.ErrSourceTooLarge, "%d bytes, the limit is %d", len(source),
			c.Limits.Source)
	}
	return syntax.Scan(source)
}

func (c *compiler) compile(segments []syntax.Segment) (t *Text, err error) {
	defer recoverError(&err)
	session, end := openSession(c.Env)
	defer end()
	source, err := emit(c.Env, session, segments, c.Limits.Depth)
	if err != nil {
		return nil, err
	}
	pongo, err := c.set.FromString(source)
	if err != nil {
		return nil, ourError(err)
	}
	return &Text{Settings: c.Settings, pongo: pongo, hidden: hiddenNames(c.Env, segments)}, nil
}
