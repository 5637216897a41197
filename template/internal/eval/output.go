package eval

import (
	"bytes"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// An output is where a render or a part of it writes: the pongo2.TemplateWriter that carries our
// state through pongo2's tree. pongo2 ignores the errors of a writer, so a full output is
// remembered as the render's fault.
type output struct {
	st     *rendering
	b      []byte
	top    bool   // the render's own output, not one that is collected into a value
	marks  []mark // for the top of JSON templates: which tag wrote what
	marked bool
	json   *jsonOutput             // nil unless the result is JSON
	md     *escaping.MarkdownPlace // nil until a value stands in Markdown
	html   *escaping.HTMLPlace     // nil until a value stands in HTML
}

// mark says that what follows the offset comes from the tag at pos.
type mark struct {
	offset int
	pos    fault.Pos
}

func (o *output) Write(p []byte) (int, error) { return o.WriteString(string(p)) }

// WriteString writes a piece of text. What fails is returned by everything that asks the budget
// next.
func (o *output) WriteString(s string) (int, error) {
	if o.room(len(s)) {
		if o.json != nil {
			o.json.literal(o, s)
		}
		o.b = append(python.WithRoom(o.b, len(s)), s...)
	}
	return len(s), nil
}

// room reports whether n more bytes may be written.
func (o *output) room(n int) bool {
	if len(o.b)+n > o.st.Limits.Output {
		o.full()
		return false
	}
	if o.top {
		return o.st.Spend(1+n/python.BytesPerStep) == nil
	}
	return o.st.Step() == nil && o.st.Alloc(n) == nil
}

func (o *output) full() {
	if o.st.Fault == nil {
		o.st.Fault = fault.Errorf(fault.ErrOutputTooLarge, "the limit is %d bytes", o.st.Limits.Output)
	}
}

// print writes a value as {{ }} does.
func (o *output) print(v any) error { return o.printOwn(v, false) }

// printOwn is print; own says that the template itself spells the value out.
func (o *output) printOwn(v any, own bool) error {
	if o.json != nil {
		return o.printInJSON(v, own)
	}
	inPlace := o.st.Autoescape && (o.st.Format == escaping.Markdown || o.st.Format == escaping.HTML)
	switch v := v.(type) {
	case string:
		if !o.st.Autoescape {
			_, err := o.WriteString(v)
			return err
		}
	case python.Markup:
		if v.Safety >= python.SafeAnywhere || !inPlace {
			_, err := o.WriteString(v.Text)
			return err
		}
	}
	if inPlace {
		return o.printInPlace(v, own)
	}
	var err error
	if o.st.Autoescape {
		o.b, err = o.st.AppendEscaped(o.b, v)
	} else {
		o.b, err = o.st.AppendString(o.b, v)
	}
	if len(o.b) > o.st.Limits.Output {
		o.full()
	}
	return err
}

func (o *output) printInJSON(v any, own bool) error {
	if o.st.Autoescape {
		return o.printJSON(v, own)
	}
	s, _, err := o.st.Text(v)
	if err != nil {
		return err
	}
	_, err = o.WriteString(s)
	return err
}

// stepsPerCapture is what an output of its own costs.
const stepsPerCapture = 2

// capture runs what writes and returns what it has written, as markup where values are escaped.
func (st *rendering) capture(run func(out *output) error) (any, error) {
	if err := st.Spend(stepsPerCapture); err != nil {
		return nil, err
	}
	out := &output{st: st}
	if st.JSON {
		out.json = &jsonOutput{}
	}
	if err := run(out); err != nil {
		return nil, err
	}
	return out.captured(), st.Check()
}

// printInPlace writes a value into Markdown or HTML, where it matters what stands around it.
func (o *output) printInPlace(v any, own bool) error {
	st := o.st
	s, safe, err := st.Text(v)
	if err != nil {
		return err
	}
	if !o.room(len(s)) {
		return st.Fault
	}
	switch {
	case own && bytes.HasSuffix(o.b, []byte("<")): // the template's tag
		o.b, err = st.AppendEscaped(o.b, v)
	case st.Format == escaping.HTML:
		if o.html == nil {
			o.html = &escaping.HTMLPlace{Part: !o.top}
		}
		o.b, err = st.AppendInHTML(o.html, o.b, s, safe)
	default:
		if o.md == nil {
			o.md = &escaping.MarkdownPlace{Part: !o.top}
		}
		o.b, err = st.AppendInMarkdown(o.md, o.b, s, safe)
	}
	if len(o.b) > st.Limits.Output {
		o.full()
	}
	return err
}
