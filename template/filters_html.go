package template

import (
	"html"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
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
	if st.json || st.format == escaping.HTML {
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
	if s, err = cutAll(st, s, "<!--", "-->"); err != nil {
		return nil, err
	}
	if s, err = cutAll(st, s, "<", ">"); err != nil {
		return nil, err
	}
	if err := st.read(s); err != nil {
		return nil, err
	}
	const wordsPerStep = 4
	var b []byte
	for words := 1; ; words++ {
		if words%wordsPerStep == 0 {
			if err := st.step(); err != nil {
				return nil, err
			}
		}
		s = strings.TrimLeftFunc(s, isSpace)
		if s == "" {
			return string(b), nil
		}
		end := strings.IndexFunc(s, isSpace)
		if end < 0 {
			end = len(s)
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		if b, err = unescapeHTML(st, b, s[:end]); err != nil {
			return nil, err
		}
		s = s[end:]
	}
}

// unescapeHTML appends s with its entities decoded, from one to the next.
func unescapeHTML(st *state, b []byte, s string) ([]byte, error) {
	for {
		end := len(s)
		if i := strings.IndexByte(s[1:], '&'); i >= 0 {
			end = i + 1
		}
		part := s[:end]
		if s[0] == '&' {
			if err := st.step(); err != nil {
				return b, err
			}
			part = html.UnescapeString(part)
		}
		var err error
		if b, err = st.appendCopy(b, part); err != nil || end == len(s) {
			return b, err
		}
		s = s[end:]
	}
}

// cutAll removes everything between begin and end, with them.
func cutAll(st *state, s, begin, end string) (string, error) {
	if err := st.scan(len(s)); err != nil {
		return "", err
	}
	var b []byte
	for {
		i := strings.Index(s, begin)
		if i < 0 {
			break
		}
		j := strings.Index(s[i:], end)
		if j < 0 {
			break
		}
		if err := st.spend(1 + (i+j)/bytesPerStep); err != nil {
			return "", err
		}
		var err error
		if b, err = st.appendCopy(b, s[:i]); err != nil {
			return "", err
		}
		s = s[i+j+len(end):]
	}
	if b == nil {
		return s, nil
	}
	b, err := st.appendCopy(b, s)
	return string(b), err
}

func tojson(st *state, in any, p params) (any, error) {
	style := &st.names.json
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
	if err != nil {
		return nil, err
	}
	return st.jsonMarkup(string(b)), nil
}

func urlencode(st *state, in any, _ params) (any, error) {
	switch in.(type) {
	case string, markup, nil, bool, int64, float64, bigInteger:
		s, _, err := st.text(in)
		if err != nil {
			return nil, err
		}
		b, err := appendQuotedURL(st, nil, s, false)
		return string(b), err
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
			return fault.Errorf(fault.ErrType, "urlencode needs pairs")
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
			if b, err = appendQuotedURL(st, b, s, true); err != nil {
				return err
			}
		}
		return nil
	})
	return string(b), err
}

// appendQuotedURL percent-encodes for a path, or for a query, where a blank is a plus and a slash
// is encoded.
func appendQuotedURL(st *state, b []byte, s string, query bool) ([]byte, error) {
	return st.convert(b, s, func(b []byte, s string) []byte {
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
		return b
	})
}

func xmlattr(st *state, in any, p params) (any, error) {
	d, ok := st.wrap(in).(*dict)
	if !ok {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, fault.Errorf(fault.ErrType, "xmlattr needs a mapping, not %s", typeName(in))
	}
	var b []byte
	for i, k := range d.keys {
		v := d.values[i]
		if _, isUndefined := v.(*undefined); isUndefined || v == nil {
			continue
		}
		key, ok := asString(k)
		if err := st.spend(1 + perCharacter*len(key)/bytesPerStep); err != nil {
			return nil, err
		}
		if !ok || strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			return nil, fault.Errorf(fault.ErrType, "a key of xmlattr is not the name of an attribute")
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
