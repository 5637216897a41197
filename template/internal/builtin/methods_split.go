package builtin

import (
	"math"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// parts collects the parts of a text, each asked for before it is made.
type parts struct {
	st    *python.State
	parts python.Parts
	items []any
	err   error
}

func newParts(st *python.State, of any) (*parts, error) {
	p, err := st.Parts(python.StringOf(of), python.SafetyOf(of))
	return &parts{st: st, parts: p}, err
}

// add takes the part from low to high, and reports whether there is room for more.
func (p *parts) add(low, high int) bool {
	if p.err = p.st.Step(); p.err != nil {
		return false
	}
	if p.err = p.st.Alloc(2 * python.BytesPerValue); p.err != nil {
		return false
	}
	p.items = append(p.items, p.parts.Part(low, high))
	return true
}

// list is the result; with reversed, the parts were found from the end.
func (p *parts) list(reversed bool) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	if reversed {
		slices.Reverse(p.items)
	}
	return &python.List{Items: p.items}, nil
}

func splitLinesMethod(st *python.State, of any, p python.Params) (any, error) {
	s, keepEnds := python.StringOf(of), p.Truth(0, false)
	if err := st.Read(s); err != nil {
		return nil, err
	}
	out, err := newParts(st, of)
	if err != nil {
		return nil, err
	}
	for low := 0; low < len(s); {
		line, rest, _ := python.CutLine(s[low:])
		high, next := low+len(line), len(s)-len(rest)
		if keepEnds {
			high = next
		}
		if !out.add(low, high) {
			break
		}
		low = next
	}
	return out.list(false)
}

// splitMethod is split, or rsplit from the right.
func splitMethod(right bool) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		limit, err := p.Integer(1, -1)
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = math.MaxInt64
		}
		s := python.StringOf(of)
		out, err := newParts(st, of)
		if err != nil {
			return nil, err
		}
		if p.Get(0, nil) == nil {
			if err := st.Read(s); err != nil {
				return nil, err
			}
			out.splitSpace(s, limit, right)
			return out.list(right)
		}
		sep, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		if err := st.Search(s, sep); err != nil {
			return nil, err
		}
		out.split(s, sep, limit, right)
		return out.list(right)
	}
}

func (p *parts) split(s, sep string, limit int64, right bool) {
	low, high := 0, len(s) // of what is left
	for ; limit > 0; limit-- {
		if right {
			i := strings.LastIndex(s[:high], sep)
			if i < 0 {
				break
			}
			if !p.add(i+len(sep), high) {
				return
			}
			high = i
			continue
		}
		i := strings.Index(s[low:], sep)
		if i < 0 {
			break
		}
		if !p.add(low, low+i) {
			return
		}
		low += i + len(sep)
	}
	p.add(low, high)
}

// splitSpace splits at runs of white space, at most limit times. White space at the ends goes,
// except at the far end of what is left over when the limit is reached.
func (p *parts) splitSpace(s string, limit int64, right bool) {
	low, high := 0, len(s) // of what is left
	for {
		if right {
			high = len(strings.TrimRightFunc(s[:high], python.IsSpace))
		} else {
			low = high - len(strings.TrimLeftFunc(s[low:], python.IsSpace))
		}
		if low >= high {
			return
		}
		i := -1
		switch {
		case limit == 0:
		case right:
			i = strings.LastIndexFunc(s[:high], python.IsSpace)
		default:
			i = strings.IndexFunc(s[low:], python.IsSpace)
		}
		if i < 0 {
			p.add(low, high)
			return
		}
		limit--
		if right {
			_, n := python.SplitRune(s[i:])
			if !p.add(i+n, high) {
				return
			}
			high = i
			continue
		}
		if !p.add(low, low+i) {
			return
		}
		low += i
	}
}

func partition(
	index func(s, sep string) int, atEnd bool,
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		sep, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		s := python.StringOf(of)
		if err := st.Search(s, sep); err != nil {
			return nil, err
		}
		parts, err := st.Parts(s, python.SafetyOf(of))
		if err != nil {
			return nil, err
		}
		first, second := len(s), len(s) // where the separator begins and ends
		if i := index(s, sep); i >= 0 {
			first, second = i, i+len(sep)
		} else if atEnd {
			first, second = 0, 0
		}
		return &python.Tuple{Items: []any{parts.Part(0, first), parts.Part(first, second),
			parts.Part(second, len(s))}}, nil
	}
}
