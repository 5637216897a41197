package builtin

import (
	"regexp"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// What urlize takes for a link. The expressions are Go's, which need time in proportion to the
// text.
var (
	linkPattern = regexp.MustCompile(`(?i)^(?:` +
		`(?:https?://|www\.)(?:[\pL\pN_%-]+\.)*(?:[a-z]{2,63}|xn--[\pL\pN_%]{2,59})` +
		`|(?:[\pL\pN_%-]{2,63}\.)+(?:com|net|int|edu|gov|org|info|mil)` +
		`|https?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[(?:[\da-f]{0,4}:){2}(?:[\da-f]{0,4}:?){1,6}\])` +
		`)(?::\d{1,5})?(?:[/?#]\S*)?$`)
	mailPattern   = regexp.MustCompile(`^\S+@[\pL\pN_][\pL\pN_.-]*\.[\pL\pN_]+$`)
	schemePattern = regexp.MustCompile(`^[\pL\pN_.+-]{2,}:/{0,2}$`)
)

// stepsPerLinkByte is what matching one byte of a word costs.
const stepsPerLinkByte = 4

// urlize makes links of the addresses in a text.
func urlize(st *python.State, in any, p python.Params) (any, error) {
	escaped, err := st.Escape(in)
	if err != nil {
		return nil, err
	}
	l, err := newLinker(st, p)
	if err != nil {
		return nil, err
	}
	s := escaped.Text
	if err := st.Classify(s); err != nil {
		return nil, err
	}
	var b []byte
	for s != "" {
		end := strings.IndexFunc(s, python.IsSpace)
		if end < 0 {
			end = len(s)
		}
		word, err := l.word(s[:end])
		if err != nil {
			return nil, err
		}
		if b, err = st.AppendCopy(b, word); err != nil {
			return nil, err
		}
		s = s[end:]
		spaces := len(s) - len(strings.TrimLeftFunc(s, python.IsSpace))
		if b, err = st.AppendCopy(b, s[:spaces]); err != nil {
			return nil, err
		}
		s = s[spaces:]
	}
	if st.Autoescape && python.SafetyOf(in).HasLiterals() {
		return python.TextOf(string(b), python.SafePart), nil
	}
	return python.TextOf(string(b), st.AutoSafety()), nil
}

type linker struct {
	st         *python.State
	trim       int64 // -1 for none
	trimError  error // that it is no integer, which only matters to a link
	attributes string
	schemes    []string
}

func newLinker(st *python.State, p python.Params) (*linker, error) {
	l := &linker{st: st, trim: -1}
	if p.Get(0, nil) != nil {
		l.trim, l.trimError = p.Integer(0, -1)
	}
	rel := []string{"noopener"}
	if p.Truth(1, false) {
		rel = append(rel, "nofollow")
	}
	if p.Get(3, nil) != nil {
		extra, err := p.String(3, "")
		if err != nil {
			return nil, err
		}
		if err := st.Spend(len(extra)); err != nil {
			return nil, err
		}
		if err := st.AllocTimes(python.BytesPerValue, int64(len(extra))); err != nil {
			return nil, err
		}
		rel = append(rel, strings.FieldsFunc(extra, python.IsSpace)...)
	}
	slices.Sort(rel)
	l.attributes = ` rel="` + string(escaping.AppendHTML(nil,
		strings.Join(slices.Compact(rel), " "))) + `"`
	if p.Get(2, nil) != nil {
		target, err := p.String(2, "")
		if err != nil {
			return nil, err
		}
		if target != "" {
			escaped, err := st.Escape(target)
			if err != nil {
				return nil, err
			}
			l.attributes += ` target="` + escaped.Text + `"`
		}
	}
	if p.Get(4, nil) == nil {
		return l, nil
	}
	return l, st.Each(p.Values[4], func(v any) error {
		s, ok := python.AsString(v)
		if err := st.Spend(stepsPerLinkByte * len(s)); err != nil {
			return err
		}
		if err := st.Alloc(python.BytesPerValue); err != nil {
			return err
		}
		if !ok || !schemePattern.MatchString(s) {
			return fault.Errorf(fault.ErrType,
				"an extra scheme of urlize is not the beginning of an address")
		}
		l.schemes = append(l.schemes, s)
		return nil
	})
}

func (l *linker) link(address, shown string) (string, error) {
	if l.trimError != nil {
		return "", l.trimError
	}
	if err := l.st.Alloc(len(address) + len(l.attributes) + len(shown)); err != nil {
		return "", err
	}
	return `<a href="` + address + `"` + l.attributes + `>` + shown + `</a>`, nil
}

func (l *linker) shorten(s string) string {
	if l.trim >= 0 {
		if cut := python.RuneOffset(s, int(min(l.trim, 1<<30))); cut < len(s) {
			return s[:cut] + "..."
		}
	}
	return s
}

// trimAny takes affixes away as long as there are any.
func trimAny(s string, trim func(s, affix string) string, affixes ...string) string {
	for before := -1; len(s) != before; {
		before = len(s)
		for _, affix := range affixes {
			s = trim(s, affix)
		}
	}
	return s
}

// word makes a link of one word, without the brackets and full stops around it.
func (l *linker) word(word string) (string, error) {
	if err := l.st.Spend(1 + len(l.schemes)); err != nil {
		return "", err
	}
	if !strings.ContainsAny(word, ".:@") {
		return word, nil
	}
	if err := l.st.Spend(stepsPerLinkByte * len(word)); err != nil {
		return "", err
	}
	if err := l.st.AllocTimes(2, int64(len(word))); err != nil {
		return "", err
	}
	middle := trimAny(word, strings.TrimPrefix, "(", "<", "&lt;")
	head := word[:len(word)-len(middle)]
	whole := middle
	middle = trimAny(middle, strings.TrimSuffix, ")", ">", ".", ",", "&gt;")
	tail := whole[len(middle):]
	for _, pair := range [...][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		opened := strings.Count(middle, pair[0])
		if opened <= strings.Count(middle, pair[1]) {
			continue
		}
		end := 0
		for n := min(opened, strings.Count(tail, pair[1])); n > 0; n-- {
			end += strings.Index(tail[end:], pair[1]) + len(pair[1])
		}
		middle, tail = middle+tail[:end], tail[end:]
	}
	var err error
	switch {
	case linkPattern.MatchString(middle):
		address := middle
		if !strings.HasPrefix(middle, "https://") && !strings.HasPrefix(middle, "http://") {
			address = "https://" + middle
		}
		middle, err = l.link(address, l.shorten(middle))
	case strings.HasPrefix(middle, "mailto:") && mailPattern.MatchString(middle[len("mailto:"):]):
		middle = `<a href="` + middle + `">` + middle[len("mailto:"):] + `</a>`
	case strings.Contains(middle, "@") && !strings.HasPrefix(middle, "www.") &&
		!strings.HasPrefix(middle, "@") &&
		!strings.Contains(middle, ":") && mailPattern.MatchString(middle):
		middle = `<a href="mailto:` + middle + `">` + middle + `</a>`
	default:
		for _, scheme := range l.schemes {
			if middle != scheme && strings.HasPrefix(middle, scheme) && err == nil {
				middle, err = l.link(middle, middle)
			}
		}
	}
	return head + middle + tail, err
}
