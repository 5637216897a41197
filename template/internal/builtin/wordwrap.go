package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// wordwrap wraps each line as Python's textwrap.wrap does.
func wordwrap(st *python.State, in any, p python.Params) (any, error) {
	s, ok := python.AsString(in)
	if !ok {
		if u, isUndefined := in.(*python.Undefined); isUndefined {
			return nil, u.Fail()
		}
		return nil, fault.Errorf(fault.ErrType, "wordwrap works on text, not on %s", python.TypeName(in))
	}
	width, err := p.Integer(0, 79)
	if err != nil {
		return nil, err
	}
	if width <= 0 {
		return nil, fault.Errorf(fault.ErrType, "the width of wordwrap must be positive")
	}
	separator := "\n"
	if p.Get(2, nil) != nil {
		if separator, err = p.String(2, separator); err != nil {
			return nil, err
		}
	}
	w := wrapper{st: st, separator: separator, width: int(min(width, 1<<30)),
		breakLong: p.Truth(1, true), hyphens: p.Truth(3, true)}
	if err := w.text(s); err != nil {
		return nil, err
	}
	return string(w.out), nil
}

type wrapper struct {
	st                 *python.State
	separator          string
	width              int
	breakLong, hyphens bool
	out                []byte
	begun              bool // a line has been written
}

// text wraps every line of a text.
func (w *wrapper) text(s string) error {
	if err := w.st.Classify(s); err != nil {
		return err
	}
	for s != "" {
		var line string
		line, s, _ = python.CutLine(s)
		chunks, err := w.chunks(line)
		if err != nil {
			return err
		}
		if err := w.lines(chunks); err != nil {
			return err
		}
	}
	return nil
}

// write writes one line, which is made of parts.
func (w *wrapper) write(parts []string) error {
	if err := w.st.Spend(1 + len(parts)); err != nil {
		return err
	}
	var err error
	if w.begun {
		if w.out, err = w.st.AppendCopy(w.out, w.separator); err != nil {
			return err
		}
	}
	w.begun = true
	for _, part := range parts {
		if w.out, err = w.st.AppendCopy(w.out, part); err != nil {
			return err
		}
	}
	return nil
}

// lines puts as many chunks on each line as fit. White space at the ends of lines goes, except
// before the first.
func (w *wrapper) lines(chunks []string) error {
	var line []string
	written := false
	for len(chunks) > 0 {
		if written && blankChunk(chunks[0]) {
			chunks = chunks[1:]
		}
		line = line[:0]
		length := 0
		for len(chunks) > 0 && !longerThan(chunks[0], w.width-length) {
			line = append(line, chunks[0])
			length += utf8.RuneCountInString(chunks[0])
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && longerThan(chunks[0], w.width) {
			switch {
			case w.breakLong:
				cut := python.RuneOffset(chunks[0],
					w.breakAt(chunks[0], w.width-length)) // 0 on a full line: Python adds an empty chunk too
				line = append(line, chunks[0][:cut])
				chunks[0] = chunks[0][cut:]
			case len(line) == 0:
				line = append(line, chunks[0])
				chunks = chunks[1:]
			}
		}
		if n := len(line); n > 0 && blankChunk(line[n-1]) {
			line = line[:n-1]
		}
		if len(line) > 0 {
			if err := w.write(line); err != nil {
				return err
			}
			written = true
		} else if err := w.st.Step(); err != nil {
			return err
		}
	}
	if written {
		return nil
	}
	return w.write(nil) // an empty line stays
}

func blankChunk(s string) bool { return strings.TrimFunc(s, isWrapSpace) == "" }

// longerThan reports whether s has more than n characters, without looking at the rest of them.
func longerThan(s string, n int) bool { return python.RuneOffset(s, n) < len(s) }

// breakAt is how many characters of a chunk that is too long go on the line with room for n: after
// a hyphen if there is one.
func (w *wrapper) breakAt(chunk string, n int) int {
	if !w.hyphens {
		return n
	}
	head := chunk[:python.RuneOffset(chunk, n)]
	if i := strings.LastIndexByte(head, '-'); i > 0 && strings.Trim(head[:i], "-") != "" {
		return utf8.RuneCountInString(head[:i]) + 1
	}
	return n
}

func isWrapSpace(r rune) bool { return strings.ContainsRune("\t\n\v\f\r ", r) }

// chunks cuts text into white space, words and parts of words between which a line may end.
func (w *wrapper) chunks(text string) ([]string, error) {
	var chunks []string
	for text != "" {
		if err := w.st.Step(); err != nil {
			return nil, err
		}
		if err := w.st.Alloc(2 * python.BytesPerValue); err != nil {
			return nil, err
		}
		r, _ := python.SplitRune(text)
		space := isWrapSpace(r)
		end := strings.IndexFunc(text, func(r rune) bool { return isWrapSpace(r) != space })
		if end < 0 {
			end = len(text)
		}
		if space || !w.hyphens || strings.IndexByte(text[:end], '-') < 0 {
			chunks = append(chunks, text[:end])
		} else {
			var err error
			if chunks, err = w.hyphenated(chunks, text[:end]); err != nil {
				return nil, err
			}
		}
		text = text[end:]
	}
	return chunks, nil
}

func isLetterLike(r rune) bool { return isWord(r) && !unicode.IsDigit(r) }

func beforeDash(r rune) bool { return isWord(r) || strings.ContainsRune(`!"'&.,?`, r) }

// hyphenated appends the parts of a word, cut after its hyphens and around dashes made of several.
func (w *wrapper) hyphenated(parts []string, text string) ([]string, error) {
	if err := w.st.AllocTimes(2, int64(len(text))); err != nil {
		return nil, err
	}
	if err := w.st.Scan(python.InOneGo * python.PerConversion * len(text)); err != nil {
		return nil, err
	}
	word := []rune(text)
	start := 0
	cut := func(end int) {
		if end > start && w.st.Step() == nil && w.st.Alloc(2*python.BytesPerValue) == nil {
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
		after := at(i+1, isLetterLike) &&
			(at(i+2, isLetterLike) || at(i+2, hyphen) && at(i+3, isLetterLike))
		before := at(i-1, isLetterLike) &&
			(at(i-2, isLetterLike) || at(i-2, hyphen) && at(i-3, isLetterLike))
		if after && before && i > start {
			cut(i + 1)
		}
	}
	cut(len(word))
	return parts, w.st.Fault
}
