package template

// An output is where a render or a part of it writes: the pongo2.TemplateWriter that carries our state through pongo2's
// tree. pongo2 ignores the errors of a writer, so a full output is remembered as the render's fault.
type output struct {
	st     *state
	b      []byte
	top    bool   // the render's own output, not one that is collected into a value
	marks  []mark // for the top of JSON templates: which tag wrote what
	marked bool
}

// mark says that what follows the offset comes from the tag at pos.
type mark struct {
	offset int
	pos    pos
}

func (o *output) Write(p []byte) (int, error) {
	if o.room(len(p)) {
		o.b = append(o.b, p...)
	}
	return len(p), nil
}

func (o *output) WriteString(s string) (int, error) {
	if o.room(len(s)) {
		o.b = append(o.b, s...)
	}
	return len(s), nil
}

// room reports whether n more bytes may be written.
func (o *output) room(n int) bool {
	if len(o.b)+n > o.st.limits.Output {
		o.full()
		return false
	}
	return o.top || o.st.alloc(n) == nil
}

func (o *output) full() {
	if o.st.fault == nil {
		o.st.fault = errorf(ErrOutputTooLarge, "the limit is %d bytes", o.st.limits.Output)
	}
}

// print writes a value as {{ }} does.
func (o *output) print(v any) error {
	switch v := v.(type) {
	case string:
		if !o.st.autoescape {
			_, err := o.WriteString(v)
			return err
		}
	case markup:
		_, err := o.WriteString(string(v))
		return err
	}
	var err error
	if o.st.autoescape {
		o.b, err = o.st.appendEscaped(o.b, v)
	} else {
		o.b, err = o.st.appendString(o.b, v)
	}
	if len(o.b) > o.st.limits.Output {
		o.full()
	}
	return err
}

// capture runs a body and returns what it writes.
func (st *state) capture(b body) (string, error) {
	out := &output{st: st}
	if err := b.run(out); err != nil {
		return "", err
	}
	return string(out.b), st.check()
}
