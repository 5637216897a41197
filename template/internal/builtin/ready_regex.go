package builtin

import (
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// regexFilters are those of Home Assistant and Grafana OnCall, with RE2's patterns in place of
// Python's: no backreferences and no lookaround, and in return a search takes a time that is linear
// in the text.
func regexFilters() []python.Filter {
	return []python.Filter{
		{Name: "regex_findall", Params: "find? ignorecase?", Run: regexFindAll},
		{Name: "regex_match", Params: "find? ignorecase?", Run: regexTest(`\A(?:`, `)`)},
		{Name: "regex_replace", Params: "find? replace? ignorecase?", Run: regexReplace},
		{Name: "regex_search", Params: "find? ignorecase?", Run: regexTest(``, ``)},
	}
}

const (
	maxPattern     = 1 << 10 // bytes
	maxProgram     = 2000    // about how many instructions a pattern may have
	compileSteps   = 20      // for a pattern, and the same for each of its instructions
	bytesPerRegexp = 128     // what an instruction takes, with all that belongs to it
	regexpFraction = 16      // how many times an instruction and a character meet in one step
	classFraction  = 12      // how many characters of a class are looked up in one step
	maxClasses     = 200_000 // how many characters of classes a pattern may make the parser look up
	stepsAtOnce    = 5_000   // of a search during which nothing looks at the context
)

// A pattern is a compiled regular expression; size is about how many instructions it has.
type pattern struct {
	*regexp.Regexp
	size int
	// behind finds the pattern, as its first group, behind a first character. It is nil unless what
	// the pattern finds depends on what stands before it: then a search that goes on in the middle of
	// a text begins one character earlier.
	behind *regexp.Regexp
}

// compilePattern compiles what parameter 0 says, once in a render.
func compilePattern(
	st *python.State, p python.Params, ignoreCase int, before, after string,
) (*pattern, error) {
	source, err := p.String(0, "")
	if err != nil {
		return nil, err
	}
	if len(source) > maxPattern {
		return nil, fault.Errorf(fault.ErrType, "%s takes patterns of at most %d bytes", p.Owner,
			maxPattern)
	}
	flags := ""
	if p.Truth(ignoreCase, false) {
		flags = "(?i)"
	}
	source = flags + before + source + after
	if known, ok := st.Kept[source].(*pattern); ok {
		return known, st.Scan(len(source))
	}
	classes := classSize(source)
	if classes > maxClasses {
		return nil, fault.Errorf(fault.ErrType,
			"%s was given a pattern with too large classes of characters", p.Owner)
	}
	if err := st.Spend(compileSteps + len(source) + classes/classFraction); err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, fault.Errorf(fault.ErrType,
			"%s needs a regular expression as RE2 has them, without backreferences and lookaround", p.Owner)
	}
	size := programSize(tree)
	if size > maxProgram {
		return nil, fault.Errorf(fault.ErrType, "%s was given a pattern that repeats too much", p.Owner)
	}
	if err := st.Alloc(bytesPerRegexp * size); err != nil {
		return nil, err
	}
	if err := st.Spend(compileSteps * size); err != nil {
		return nil, err
	}
	re := &pattern{size: size}
	if re.Regexp, err = regexp.Compile(source); err == nil && before == "" && looksBack(tree) {
		if err := st.Alloc(bytesPerRegexp * size); err != nil {
			return nil, err
		}
		if err := st.Spend(compileSteps*size + classes/classFraction); err != nil {
			return nil, err
		}
		re.behind, err = regexp.Compile(`\A(?s:.+?)(` + source + `)`)
	}
	if err != nil {
		return nil, fault.Errorf(fault.ErrType, "%s needs a regular expression as RE2 has them", p.Owner)
	}
	if st.Kept == nil {
		st.Kept = map[string]any{}
	}
	st.Kept[source] = re
	return re, nil
}

// classSize is at most how many characters the parser looks up one by one to make the classes of a
// pattern: where case is ignored, all of a range; and the ranges of a class of Unicode, which it
// sorts.
func classSize(source string) int {
	const perUnicodeClass = 2000
	size := perUnicodeClass * (strings.Count(source, `\p`) + strings.Count(source, `\P`))
	if !ignoresCase(source) {
		return size
	}
	for i := 1; i < len(source); i++ {
		if source[i] == '-' {
			low, _ := utf8.DecodeLastRuneInString(source[:i])
			size += max(0, int(highest(source[i+1:])-low))
		}
	}
	return size
}

// highest is the last character of a range of which s is the rest, or one behind it; no case is
// beyond foldEnd.
func highest(s string) rune {
	const foldEnd = 0x1e943
	high, _ := python.SplitRune(s)
	if high != '\\' || len(s) < 2 {
		return min(high, foldEnd)
	}
	if digits, ok := strings.CutPrefix(s, `\x{`); ok {
		digits, _, _ = strings.Cut(digits, "}")
		if n, err := strconv.ParseUint(digits, 16, 32); err == nil {
			return rune(min(n, foldEnd))
		}
		return foldEnd
	}
	return 0x1ff // of \xff, \777 and \-
}

// ignoresCase reports whether a pattern may have the flag i.
func ignoresCase(source string) bool {
	for {
		_, after, found := strings.Cut(source, "(?")
		if !found {
			return false
		}
		source = after
		if strings.Contains(after[:len(after)-len(strings.TrimLeft(after, "imsU-"))], "i") {
			return true
		}
	}
}

// programSize is about how many instructions a pattern is compiled to: repetitions are written out.
// It stops counting far beyond what is allowed.
func programSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)/2
	for _, sub := range tree.Sub {
		size += programSize(sub)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max, 1)
	}
	return min(size, 100*maxProgram)
}

func regexTest(before, after string) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, p python.Params) (any, error) {
		re, err := compilePattern(st, p, 1, before, after)
		if err != nil {
			return nil, err
		}
		s, _, err := st.Text(in)
		if err != nil {
			return nil, err
		}
		if steps := (len(s)+1)*re.size/regexpFraction + 1; steps <= stepsAtOnce {
			return re.MatchString(s), st.Spend(steps)
		}
		found := re.MatchReader(&countingReader{st: st, text: s, size: re.size})
		return found, st.Check()
	}
}

// eachMatch calls f for each match, with the positions as regexp gives them. To find one match, a
// search may look at all of the text and find it at the beginning: what it reads is counted.
func eachMatch(st *python.State, re *pattern, s string, f func(at []int) error) error {
	for begin, end := 0, -1; begin <= len(s); {
		at := findMatch(st, re, s, begin)
		if err := st.Check(); err != nil || at == nil {
			return err
		}
		if at[1] > at[0] || at[0] != end { // an empty match behind another is none
			if err := st.AllocValues(len(at)); err != nil {
				return err
			}
			if err := f(at); err != nil {
				return err
			}
		}
		begin, end = at[1], at[1]
		if at[0] == at[1] {
			_, n := python.SplitRune(s[begin:])
			begin += max(n, 1)
		}
	}
	return nil
}

// findMatch returns the positions in s of the first match from begin on; nil if there is none.
func findMatch(st *python.State, re *pattern, s string, begin int) []int {
	r := &countingReader{st: st, text: s, at: begin, size: re.size}
	var at []int
	if re.behind == nil || begin == 0 {
		at = re.FindReaderSubmatchIndex(r)
	} else {
		_, n := utf8.DecodeLastRuneInString(s[:begin])
		begin -= n
		r.at = begin
		if at = re.behind.FindReaderSubmatchIndex(r); at != nil {
			at = at[2:]
		}
	}
	for i := range at {
		if at[i] >= 0 {
			at[i] += begin
		}
	}
	return at
}

// countingReader hands out a text for a search, and asks for the steps.
type countingReader struct {
	st   *python.State
	text string
	at   int
	size int // of the pattern
	rest int // what is less than a step
}

func (r *countingReader) ReadRune() (rune, int, error) {
	r.rest += r.size
	if r.st.Spend(r.rest/regexpFraction) != nil || r.at >= len(r.text) {
		return 0, 0, io.EOF
	}
	r.rest %= regexpFraction
	c, n := utf8.DecodeRuneInString(r.text[r.at:])
	r.at += n
	return c, n, nil
}

// looksBack reports whether what a pattern finds depends on what stands before it.
func looksBack(tree *syntax.Regexp) bool {
	switch tree.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(tree.Sub, looksBack)
}

// regexFindAll is Python's re.findall: the matches, or what their groups have found.
func regexFindAll(st *python.State, in any, p python.Params) (any, error) {
	re, err := compilePattern(st, p, 1, "", "")
	if err != nil {
		return nil, err
	}
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	found := &python.List{}
	err = eachMatch(st, re, s, func(at []int) error {
		group := func(i int) any {
			if at[2*i] < 0 {
				return ""
			}
			return s[at[2*i]:at[2*i+1]]
		}
		switch groups := len(at)/2 - 1; groups {
		case 0, 1:
			found.Items = append(found.Items, group(groups))
		default:
			t := &python.Tuple{Items: make([]any, groups)}
			for i := range t.Items {
				t.Items[i] = group(i + 1)
			}
			found.Items = append(found.Items, t)
		}
		return nil
	})
	return found, err
}

// regexReplace is Python's re.sub, with \1, \g<1> and \g<name> in the replacement.
func regexReplace(st *python.State, in any, p python.Params) (any, error) {
	re, err := compilePattern(st, p, 2, "", "")
	if err != nil {
		return nil, err
	}
	replacement, err := p.String(1, "")
	if err != nil {
		return nil, err
	}
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Read(replacement); err != nil {
		return nil, err
	}
	pieces, err := replacementPieces(replacement, re)
	if err != nil {
		return nil, err
	}
	var b []byte
	last := 0
	put := func(piece string) error {
		if err := st.Alloc(len(piece)); err != nil {
			return err
		}
		b = append(b, piece...)
		return nil
	}
	err = eachMatch(st, re, s, func(at []int) error {
		err := put(s[last:at[0]])
		for i := 0; i < len(pieces) && err == nil; i++ {
			piece := pieces[i].text
			if g := pieces[i].group; g >= 0 && at[2*g] >= 0 {
				piece = s[at[2*g]:at[2*g+1]]
			}
			err = st.Step()
			if err == nil {
				err = put(piece)
			}
		}
		last = at[1]
		return err
	})
	if err == nil {
		err = put(s[last:])
	}
	return string(b), err
}

// A replacementPiece is text, or the group of that number.
type replacementPiece struct {
	text  string
	group int // -1 for text
}

func replacementPieces(s string, re *pattern) ([]replacementPiece, error) {
	bad := fault.Errorf(fault.ErrType,
		"the replacement of regex_replace names a group that the pattern does not have")
	var pieces []replacementPiece
	for {
		text, rest, found := strings.Cut(s, `\`)
		pieces = append(pieces, replacementPiece{text, -1})
		if !found {
			return pieces, nil
		}
		switch {
		case rest != "" && python.Decimal(rest[0]):
			n := int(rest[0] - '0')
			rest = rest[1:]
			if rest != "" && python.Decimal(rest[0]) {
				n, rest = 10*n+int(rest[0]-'0'), rest[1:]
			}
			if n > re.NumSubexp() {
				return nil, bad
			}
			pieces = append(pieces, replacementPiece{"", n})
		case strings.HasPrefix(rest, "g<"):
			name, after, closed := strings.Cut(rest[2:], ">")
			n := re.SubexpIndex(name)
			if len(name) == 1 && python.Decimal(name[0]) {
				n = int(name[0] - '0')
			}
			if !closed || n < 0 || n > re.NumSubexp() {
				return nil, bad
			}
			pieces, rest = append(pieces, replacementPiece{"", n}), after
		case strings.HasPrefix(rest, "n"):
			pieces, rest = append(pieces, replacementPiece{"\n", -1}), rest[1:]
		case strings.HasPrefix(rest, "t"):
			pieces, rest = append(pieces, replacementPiece{"\t", -1}), rest[1:]
		default: // the next character as it is
			_, n := python.SplitRune(rest)
			pieces, rest = append(pieces, replacementPiece{rest[:n], -1}), rest[n:]
		}
		s = rest
	}
}
