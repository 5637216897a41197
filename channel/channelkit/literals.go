package channelkit

import (
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
// what stands in strings.
func (r *ConfigReader) JSONLiterals(name string) []string {
	var found []string
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
					found = append(found, strings.TrimSpace(piece[begin:i]))
				}
				inString, begin = !inString, i+1
			}
		}
		if inString { // it goes on behind a tag
			found = append(found, strings.TrimSpace(piece[begin:]))
		}
	})
	return atLeast(minLiteral, found)
}

// eachLiteral calls f for the pieces of a template's text, and for the strings in its tags.
func eachLiteral(source string, f func(piece string, inTag bool)) {
	for source != "" {
		begin := len(source)
		for i := 0; i+1 < len(source); i++ {
			if source[i] == '{' && strings.IndexByte("{%#", source[i+1]) >= 0 {
				begin = i
				break
			}
		}
		f(strings.TrimFunc(source[:begin], unicode.IsSpace), false)
		source = source[min(begin+2, len(source)):]
		i := 0
		for ; i < len(source) && !strings.HasPrefix(source[i:], "}}") &&
			!strings.HasPrefix(source[i:], "%}") && !strings.HasPrefix(source[i:], "#}"); i++ {
			quote := source[i]
			if quote != '"' && quote != '\'' {
				continue
			}
			start := i + 1
			for i++; i < len(source) && source[i] != quote; i++ {
				if source[i] == '\\' {
					i++
				}
			}
			f(source[start:min(i, len(source))], true)
		}
		source = source[min(i+2, len(source)):]
	}
}
