package channelkit

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// Literals returns what the strings in the JSON of a field say literally, in the text of a template
// or in a string within its tags, where it is long enough to be a secret. It is sent as it is, and a
// token may be among it: give it to [NewRedactor].
func (r *ConfigReader) Literals(name string) []string {
	raw, _ := r.Get(name)
	var found []string
	text := jsontext.NewReader(raw, jsontext.MaxDepth)
	var walk func() error
	walk = func() error {
		switch text.Next() {
		case '{':
			return text.Object(func([]byte) error { return walk() })
		case '[':
			return text.Array(walk)
		case '"':
			s, err := text.Text()
			eachLiteral(string(s), func(piece string, _ bool) { found = append(found, piece) })
			return err
		}
		return text.Skip()
	}
	_ = walk() // what is no JSON is a problem that others report
	return atLeast(minLiteral, found)
}

// JSONLiterals is Literals for a field that holds a template of JSON: of its text, it returns only
// what the JSON strings say.
func (r *ConfigReader) JSONLiterals(name string) []string {
	var found []string
	addString := func(written string) {
		s := written
		_ = json.Unmarshal([]byte(`"`+written+`"`), &s) // what is no JSON stays as it is written
		found = append(found, strings.TrimSpace(s))
	}
	inString := false
	eachLiteral(r.Text(name), func(piece string, inTag bool) {
		if inTag {
			found = append(found, piece)
			return
		}
		begin := 0
		for i := 0; i < len(piece); i++ {
			switch {
			case inString && piece[i] == '\\':
				i++
			case piece[i] == '"':
				if inString {
					addString(piece[begin:i])
				}
				inString, begin = !inString, i+1
			}
		}
		if inString { // it goes on behind a tag
			addString(piece[begin:])
		}
	})
	return atLeast(minLiteral, found)
}

// eachLiteral calls f for the pieces of a template's text, and for what the strings in its tags mean.
func eachLiteral(source string, f func(piece string, inTag bool)) {
	piece := func(s string, inTag bool) { f(strings.TrimFunc(s, unicode.IsSpace), inTag) }
	source = strings.ReplaceAll(source, "\r\n", "\n") // as templates do
	for source != "" {
		begin := nextTag(source)
		piece(source[:begin], false)
		if begin == len(source) {
			return
		}
		kind := source[begin+1]
		source = source[begin+2:]
		switch body, raw := afterTag(source, "raw"); {
		case kind == '#': // quotes mean nothing in it
			_, source, _ = strings.Cut(source, "#}")
		case kind == '%' && raw:
			var text string
			text, source = cutRaw(body)
			piece(text, false)
		default:
			source = eachString(source, kind, func(s string) { piece(unescape(s), true) })
		}
	}
}

// nextTag returns where a tag or a comment begins, or the length of the source.
func nextTag(source string) int {
	for i := 0; i+1 < len(source); i++ {
		if source[i] == '{' && strings.IndexByte("{%#", source[i+1]) >= 0 {
			return i
		}
	}
	return len(source)
}

// eachString calls f for the strings of a tag that begins with { and kind, as they are written, and
// returns what is behind the tag.
func eachString(source string, kind byte, f func(string)) (rest string) {
	end := "}}"
	if kind == '%' {
		end = "%}"
	}
	brackets := 0
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case brackets == 0 && strings.HasPrefix(source[i:], end):
			return source[i+len(end):]
		case strings.IndexByte("([{", c) >= 0:
			brackets++
		case strings.IndexByte(")]}", c) >= 0:
			brackets--
		case c == '"' || c == '\'':
			start := i + 1
			for i++; i < len(source) && source[i] != c; i++ {
				if source[i] == '\\' {
					i++
				}
			}
			f(source[start:min(i, len(source))])
		}
	}
	return ""
}

// afterTag returns what is behind a tag without arguments, if it has that name. The source is what
// follows its {%.
func afterTag(source, name string) (rest string, ok bool) {
	rest = strings.TrimLeftFunc(strings.TrimLeft(source, "-+"), unicode.IsSpace)
	if rest, ok = strings.CutPrefix(rest, name); !ok {
		return "", false
	}
	rest = strings.TrimLeft(strings.TrimLeftFunc(rest, unicode.IsSpace), "-+")
	return strings.CutPrefix(rest, "%}")
}

// cutRaw returns the text of a raw block, and what is behind the block.
func cutRaw(source string) (text, rest string) {
	for i := 0; ; i += len("{%") {
		next := strings.Index(source[i:], "{%")
		if next < 0 {
			return source, ""
		}
		i += next
		if rest, ok := afterTag(source[i+len("{%"):], "endraw"); ok {
			return source[:i], rest
		}
	}
}

// unescape returns what a string in a tag means.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for s != "" {
		if s[0] == '\\' && len(s) > 1 {
			if s[1] == '\n' { // the string goes on in the next line
				s = s[2:]
				continue
			}
			// Its escapes are those of Go but for short octal ones, and what is none stays as it is.
			if c, _, rest, err := strconv.UnquoteChar(s, s[1]); err == nil {
				b.WriteRune(c)
				s = rest
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}
