package template

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordwrap wraps each line as Python's textwrap.wrap does.
func wordwrap(st *state, in any, p params) (any, error) {
	s, ok := asString(in)
	if !ok {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, errorf(ErrType, "wordwrap works on text, not on %s", typeName(in))
	}
	width, err := p.integer(0, 79)
	if err != nil {
		return nil, err
	}
	if width <= 0 {
		return nil, errorf(ErrType, "the width of wordwrap must be positive")
	}
	separator := "\n"
	if p.get(2, nil) != nil {
		if separator, err = p.str(2, separator); err != nil {
			return nil, err
		}
	}
	w := wrapper{width: int(min(width, 1<<30)), breakLong: p.truth(1, true), hyphens: p.truth(3, true)}
	st.spend(2 * len(s))
	if err := st.alloc(len(s)); err != nil {
		return nil, err
	}
	var lines []string
	for _, line := range splitLines(s, false) {
		wrapped := w.wrap(line)
		if len(wrapped) == 0 {
			wrapped = []string{""}
		}
		lines = append(lines, wrapped...)
	}
	if err := st.allocTimes(len(separator)+bytesPerValue, int64(len(lines))); err != nil {
		return nil, err
	}
	return strings.Join(lines, separator), nil
}

type wrapper struct {
	width              int
	breakLong, hyphens bool
}

// wrap puts as many chunks on each line as fit. White space at the ends of lines goes, except before the first.
func (w *wrapper) wrap(text string) []string {
	chunks := w.chunks(text)
	var lines []string
	for len(chunks) > 0 {
		if len(lines) > 0 && strings.TrimFunc(chunks[0], isWrapSpace) == "" {
			chunks = chunks[1:]
		}
		var line []string
		length := 0
		for len(chunks) > 0 && !longerThan(chunks[0], w.width-length) {
			n := utf8.RuneCountInString(chunks[0])
			line = append(line, chunks[0])
			length += n
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && longerThan(chunks[0], w.width) {
			switch {
			case w.breakLong:
				cut := runeOffset(chunks[0], w.breakAt(chunks[0], w.width-length)) // 0 on a full line: Python adds an empty chunk too
				line = append(line, chunks[0][:cut])
				chunks[0] = chunks[0][cut:]
			case len(line) == 0:
				line = append(line, chunks[0])
				chunks = chunks[1:]
			}
		}
		if n := len(line); n > 0 && strings.TrimFunc(line[n-1], isWrapSpace) == "" {
			line = line[:n-1]
		}
		if len(line) > 0 {
			lines = append(lines, strings.Join(line, ""))
		}
	}
	return lines
}

// longerThan reports whether s has more than n characters, without looking at the rest of them.
func longerThan(s string, n int) bool { return runeOffset(s, n) < len(s) }

// breakAt is how many characters of a chunk that is too long go on the line with room for n: after a hyphen if there is one.
func (w *wrapper) breakAt(chunk string, n int) int {
	if !w.hyphens {
		return n
	}
	head := chunk[:runeOffset(chunk, n)]
	if i := strings.LastIndexByte(head, '-'); i > 0 && strings.Trim(head[:i], "-") != "" {
		return utf8.RuneCountInString(head[:i]) + 1
	}
	return n
}

func isWrapSpace(r rune) bool { return strings.ContainsRune("\t\n\v\f\r ", r) }

// chunks cuts text into white space, words and parts of words between which a line may end.
func (w *wrapper) chunks(text string) []string {
	var chunks []string
	for text != "" {
		r, _ := splitRune(text)
		space := isWrapSpace(r)
		end := strings.IndexFunc(text, func(r rune) bool { return isWrapSpace(r) != space })
		if end < 0 {
			end = len(text)
		}
		if space || !w.hyphens {
			chunks = append(chunks, text[:end])
		} else {
			chunks = append(chunks, hyphenated([]rune(text[:end]))...)
		}
		text = text[end:]
	}
	return chunks
}

func isLetterLike(r rune) bool { return isWord(r) && !unicode.IsDigit(r) }

func beforeDash(r rune) bool { return isWord(r) || strings.ContainsRune(`!"'&.,?`, r) }

// hyphenated cuts a word after its hyphens, and around dashes made of several.
func hyphenated(word []rune) []string {
	var parts []string
	start := 0
	cut := func(end int) {
		if end > start {
			parts = append(parts, string(word[start:end]))
			start = end
		}
	}
	at := func(i int, is func(rune) bool) bool { return i >= 0 && i < len(word) && is(word[i]) }
	hyphen := func(r rune) bool { return r == '-' }
	for i := 0; i < len(word); i++ {
		if word[i] != '-' {
			continue
		}
		if at(i+1, hyphen) && at(i-1, beforeDash) {
			end := i
			for at(end, hyphen) {
				end++
			}
			if at(end, isWord) {
				cut(i)
				cut(end)
				i = end - 1
				continue
			}
		}
		after := at(i+1, isLetterLike) && (at(i+2, isLetterLike) || at(i+2, hyphen) && at(i+3, isLetterLike))
		before := at(i-1, isLetterLike) && (at(i-2, isLetterLike) || at(i-2, hyphen) && at(i-3, isLetterLike))
		if after && before && i > start {
			cut(i + 1)
		}
	}
	cut(len(word))
	return parts
}
