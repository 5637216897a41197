package builtin

import (
	"html"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

func htmlFilters() []python.Filter {
	return []python.Filter{
		{Name: "e", Run: escape},
		{Name: "escape", Run: escape},
		{Name: "forceescape", Run: forceEscape},
		{Name: "safe", Run: safeFilter},
		{Name: "striptags", Run: striptags},
		{Name: "tojson", Params: "indent?", Run: tojson},
		{Name: "urlencode", Run: urlencode},
		{Name: "urlize", Params: "trim_url_limit? nofollow? target? rel? extra_schemes?", Run: urlize},
		{Name: "xmlattr", Params: "autospace?", Run: xmlattr},
	}
}

func escape(st *python.State, in any, _ python.Params) (any, error) { return st.Escape(in) }

// safeFilter is |safe: a text of the data that is trusted to be what the output is.
func safeFilter(st *python.State, in any, _ python.Params) (any, error) {
	if m, ok := in.(python.Markup); ok && m.JSON != "" {
		return m, nil // its text is not JSON
	}
	s, safe, err := st.Text(in)
	if safe < python.SafeAnywhere {
		safe = python.SafeAnywhere
	}
	return python.TextOf(s, safe), err
}

func forceEscape(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	return st.Escape(s)
}

// striptags removes comments and tags, joins white space to single blanks, and decodes entities.
func striptags(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if s, err = cutAll(st, s, "<!--", "-->"); err != nil {
		return nil, err
	}
	if s, err = cutAll(st, s, "<", ">"); err != nil {
		return nil, err
	}
	if err := st.Read(s); err != nil {
		return nil, err
	}
	const wordsPerStep = 4
	var b []byte
	for words := 1; ; words++ {
		if words%wordsPerStep == 0 {
			if err := st.Step(); err != nil {
				return nil, err
			}
		}
		s = strings.TrimLeftFunc(s, python.IsSpace)
		if s == "" {
			return string(b), nil
		}
		end := strings.IndexFunc(s, python.IsSpace)
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
func unescapeHTML(st *python.State, b []byte, s string) ([]byte, error) {
	for {
		end := len(s)
		if i := strings.IndexByte(s[1:], '&'); i >= 0 {
			end = i + 1
		}
		part := s[:end]
		if s[0] == '&' {
			if err := st.Step(); err != nil {
				return b, err
			}
			part = html.UnescapeString(part)
		}
		var err error
		if b, err = st.AppendCopy(b, part); err != nil || end == len(s) {
			return b, err
		}
		s = s[end:]
	}
}

// cutAll removes everything between begin and end, with them.
func cutAll(st *python.State, s, begin, end string) (string, error) {
	if err := st.Scan(len(s)); err != nil {
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
		if err := st.Spend(1 + (i+j)/python.BytesPerStep); err != nil {
			return "", err
		}
		var err error
		if b, err = st.AppendCopy(b, s[:i]); err != nil {
			return "", err
		}
		s = s[i+j+len(end):]
	}
	if b == nil {
		return s, nil
	}
	b, err := st.AppendCopy(b, s)
	return string(b), err
}

func tojson(st *python.State, in any, p python.Params) (any, error) {
	style := &st.Names.JSON
	if escape := st.JSONEscape(); escape != nil && (st.JSON || st.Format == escaping.Mrkdwn) {
		escaped := *style
		style = &escaped
		style.Escape, style.HTML = escape, false // & < > are escaped already
	}
	if v := p.Get(0, nil); v != nil {
		indented := *style
		style = &indented
		style.Multiline = true
		if s, ok := python.AsString(v); ok {
			if st.Autoescape && !p.Literal && strings.Trim(s, " \t\r\n") != "" {
				return nil, fault.Errorf(fault.ErrType, "an indent of tojson that is a value must be blank")
			}
			style.Indent = s
		} else {
			n, err := p.Integer(0, 0)
			if err != nil {
				return nil, err
			}
			if style.Indent, err = st.Pad("", n, " ", python.PadLeft); err != nil {
				return nil, err
			}
		}
	}
	b, err := st.AppendJSON(st.TakeScratch(), in, style, 0)
	st.Scratch = b
	if err != nil {
		return nil, err
	}
	return st.JSONMarkup(string(b)), nil
}

func urlencode(st *python.State, in any, _ python.Params) (any, error) {
	switch in.(type) {
	case string, python.Markup, nil, bool, int64, float64, python.BigInt:
		s, _, err := st.Text(in)
		if err != nil {
			return nil, err
		}
		b, err := appendQuotedURL(st, nil, s, false)
		return string(b), err
	}
	pairs := in
	if d, ok := st.Wrap(in).(*python.Dict); ok {
		pairs = &python.View{Dict: d, Kind: python.ViewItems}
	}
	var b []byte
	err := st.Each(pairs, func(pair any) error {
		kv, err := st.Collect(pair)
		if err != nil {
			return err
		}
		if len(kv) != 2 {
			return fault.Errorf(fault.ErrType, "urlencode needs pairs")
		}
		for i, v := range kv {
			s, _, err := st.Text(v)
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
func appendQuotedURL(st *python.State, b []byte, s string, query bool) ([]byte, error) {
	return st.Convert(b, s, func(b []byte, s string) []byte {
		for i := 0; i < len(s); i++ {
			c := s[i]
			switch {
			case c|0x20 >= 'a' && c|0x20 <= 'z', python.Decimal(c), strings.IndexByte("_.-~", c) >= 0,
				c == '/' && !query:
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

func xmlattr(st *python.State, in any, p python.Params) (any, error) {
	d, ok := st.Wrap(in).(*python.Dict)
	if !ok {
		if u, isUndefined := in.(*python.Undefined); isUndefined {
			return nil, u.Fail()
		}
		return nil, fault.Errorf(fault.ErrType, "xmlattr needs a mapping, not %s", python.TypeName(in))
	}
	var b []byte
	values := d.Values // printing a loop runs its test, which may change the dict
	for i, k := range d.Keys {
		v := values[i]
		if _, isUndefined := v.(*python.Undefined); isUndefined || v == nil {
			continue
		}
		key, ok := python.AsString(k)
		if err := st.Spend(1 + python.PerCharacter*len(key)/python.BytesPerStep); err != nil {
			return nil, err
		}
		if !ok || strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			return nil, fault.Errorf(fault.ErrType, "a key of xmlattr is not the name of an attribute")
		}
		if len(b) > 0 || p.Truth(0, true) {
			b = append(b, ' ')
		}
		var err error
		if b, err = st.AppendEscaped(b, k); err != nil {
			return nil, err
		}
		if b, err = appendAttribute(st, append(b, `="`...), key, v); err != nil {
			return nil, err
		}
		b = append(b, '"')
	}
	return python.TextOf(string(b), st.AutoSafety()), nil
}

// appendAttribute appends the value of an attribute.
func appendAttribute(st *python.State, b []byte, name string, v any) ([]byte, error) {
	if m, ok := v.(python.Markup); st.Format != escaping.HTML || !st.Autoescape ||
		ok && m.Safety >= python.SafeAnywhere {
		filler := st.NewFiller()
		return filler.Fill(b, v)
	}
	s, safe, err := st.Text(v)
	if err != nil {
		return b, err
	}
	place := escaping.AttributePlace(name, len(b))
	return st.AppendInHTML(place, b, s, safe)
}
