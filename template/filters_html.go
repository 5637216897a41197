package template

import (
	"html"
	"strings"
)

func htmlFilters() []filter {
	return []filter{
		{name: "e", run: escape},
		{name: "escape", run: escape},
		{name: "forceescape", run: forceEscape},
		{name: "safe", run: safeFilter},
		{name: "striptags", run: striptags},
		{name: "tojson", params: "indent?", run: tojson},
		{name: "urlencode", run: urlencode},
		{name: "urlize", params: "trim_url_limit? nofollow? target? rel? extra_schemes?", run: urlize},
		{name: "xmlattr", params: "autospace?", run: xmlattr},
	}
}

func escape(st *state, in any, _ params) (any, error) { return st.escape(in) }

// safeFilter is |safe: a text of the data that is trusted to be what the output is.
func safeFilter(st *state, in any, _ params) (any, error) {
	s, safe, err := st.text(in)
	if st.json || st.format == FormatHTML {
		safe = max(safe, safeAnywhere)
	}
	return markup{s, max(safe, safeText)}, err
}

func forceEscape(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	return st.escape(s)
}

// striptags removes comments and tags, joins white space to single blanks, and decodes entities.
func striptags(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(2 * len(s)); err != nil {
		return nil, err
	}
	st.spend(len(s) / 8)
	s = cutAll(s, "<!--", "-->")
	s = cutAll(s, "<", ">")
	return html.UnescapeString(strings.Join(strings.FieldsFunc(s, isSpace), " ")), nil
}

// cutAll removes everything between begin and end, with them.
func cutAll(s, begin, end string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, begin)
		if i < 0 {
			break
		}
		j := strings.Index(s[i:], end)
		if j < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i+j+len(end):]
	}
	b.WriteString(s)
	return b.String()
}

func tojson(st *state, in any, p params) (any, error) {
	style := &st.env.json
	if escape := st.jsonEscape(); escape != nil {
		escaping := *style
		style = &escaping
		style.escape, style.html = escape, false // & < > are escaped already
	}
	if v := p.get(0, nil); v != nil {
		indented := *style
		style = &indented
		style.multiline = true
		if s, ok := asString(v); ok {
			style.indent = s
		} else {
			n, err := p.integer(0, 0)
			if err != nil {
				return nil, err
			}
			if style.indent, err = st.pad("", n, " ", padLeft); err != nil {
				return nil, err
			}
		}
	}
	b, err := st.appendJSON(st.takeScratch(), in, style, 0)
	st.scratch = b
	return st.jsonMarkup(string(b)), err
}

func urlencode(st *state, in any, _ params) (any, error) {
	switch in.(type) {
	case string, markup, nil, bool, int64, float64, bigInteger:
		s, _, err := st.text(in)
		if err != nil {
			return nil, err
		}
		return st.quoteURL(nil, s, false)
	}
	pairs := in
	if d, ok := st.wrap(in).(*dict); ok {
		pairs = &view{d, viewItems}
	}
	var b []byte
	err := st.each(pairs, func(pair any) error {
		kv, err := st.collect(pair)
		if err != nil {
			return err
		}
		if len(kv) != 2 {
			return errorf(ErrType, "urlencode needs pairs")
		}
		for i, v := range kv {
			s, _, err := st.text(v)
			if err != nil {
				return err
			}
			if i == 1 {
				b = append(b, '=')
			} else if b != nil {
				b = append(b, '&')
			}
			q, err := st.quoteURL(nil, s, true)
			if err != nil {
				return err
			}
			b = append(b, q...)
		}
		return nil
	})
	return string(b), err
}

// quoteURL percent-encodes for a path, or for a query, where a blank is a plus and a slash is encoded.
func (st *state) quoteURL(b []byte, s string, query bool) (string, error) {
	if err := st.allocEscaped(len(s)); err != nil {
		return "", err
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', decimal(c), strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
			b = append(b, c)
		case c == ' ' && query:
			b = append(b, '+')
		default:
			const digits = "0123456789ABCDEF"
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b), nil
}

func xmlattr(st *state, in any, p params) (any, error) {
	d, ok := st.wrap(in).(*dict)
	if !ok {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, errorf(ErrType, "xmlattr needs a mapping, not %s", typeName(in))
	}
	var b []byte
	for i, k := range d.keys {
		v := d.values[i]
		if _, isUndefined := v.(*undefined); isUndefined || v == nil {
			continue
		}
		key, ok := asString(k)
		if !ok || strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			return nil, errorf(ErrType, "a key of xmlattr is not the name of an attribute")
		}
		if len(b) > 0 || p.truth(0, true) {
			b = append(b, ' ')
		}
		var err error
		if b, err = st.appendEscaped(b, k); err != nil {
			return nil, err
		}
		if b, err = st.appendEscaped(append(b, `="`...), v); err != nil {
			return nil, err
		}
		b = append(b, '"')
	}
	return textOf(string(b), st.autoSafety()), nil
}
