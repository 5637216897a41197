package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of every body. They are held before anything of it is decoded, so
// that a body costs what it weighs.
const (
	// maxDepth is how deep a body may be nested: more than any template may be.
	maxDepth = 256
	// maxValues is how many values a body may hold: objects, lists, and all else
	// in them.
	maxValues = 20_000
)

// cursor walks over the bytes of valid JSON.
type cursor struct {
	raw []byte
	pos int
}

// next passes over blanks and returns the byte that it then stands on.
func (c *cursor) next() byte {
	for c.raw[c.pos] == ' ' || c.raw[c.pos] == '\t' || c.raw[c.pos] == '\n' || c.raw[c.pos] == '\r' {
		c.pos++
	}
	return c.raw[c.pos]
}

// scalar passes over a value that is no object and no list, and returns its text.
func (c *cursor) scalar() []byte {
	start := c.pos
	if c.raw[c.pos] != '"' {
		for c.pos < len(c.raw) && !strings.ContainsRune(" \t\r\n,:]}", rune(c.raw[c.pos])) {
			c.pos++
		}
		return c.raw[start:c.pos]
	}
	for c.pos++; c.raw[c.pos] != '"'; c.pos++ {
		if c.raw[c.pos] == '\\' {
			c.pos++
		}
	}
	c.pos++
	return c.raw[start:c.pos]
}

// children calls each for every member of the object, or element of the list,
// that the cursor stands on, with the member's name as it is written. each passes
// over the value, and returns false to end the walk.
func (c *cursor) children(each func(i int, name []byte) bool) bool {
	isObject := c.raw[c.pos] == '{'
	c.pos++
	for i := 0; ; i++ {
		switch c.next() {
		case '}', ']':
			c.pos++
			return true
		case ',':
			c.pos++
			c.next()
		}
		var name []byte
		if isObject {
			name = c.scalar()
			c.next()
			c.pos++ // the colon
			c.next()
		}
		if !each(i, name) {
			return false
		}
	}
}

// skip passes over a value.
func (c *cursor) skip() {
	if b := c.next(); b != '{' && b != '[' {
		c.scalar()
		return
	}
	depth := 0
	for {
		switch c.next() {
		case '{', '[':
			depth++
			c.pos++
		case '}', ']':
			depth--
			c.pos++
			if depth == 0 {
				return
			}
		case ',', ':':
			c.pos++
		default:
			c.scalar()
		}
	}
}

// unquote returns what a name says that is written as text.
func unquote(text []byte) string {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(text, &s) // it is valid JSON
	return s
}

// bodyScan holds a body against the bounds, and finds names that stand twice in
// one object, of which two readers would see different values.
type bodyScan struct {
	cursor
	found    *problems
	maxItems map[string]int // of the lists that are members of the body, by name
	values   int
	names    []names // of the objects that the cursor is in, reused
	path     []any
}

// scan reports false, and has said why, if a bound is crossed. The body is valid
// JSON.
func (s *bodyScan) scan() bool {
	s.path = []any{"body"}
	return s.value(0)
}

func (s *bodyScan) value(depth int) bool {
	if s.values++; s.values > maxValues {
		s.found.add(s.path[:min(len(s.path), 2)], typeValue, "makes the body hold more than %d values", maxValues)
		return false
	}
	if b := s.next(); b != '{' && b != '[' {
		s.scalar()
		return true
	}
	if depth == maxDepth {
		s.found.add([]any{"body"}, typeJSON, "must not be nested more than %d deep", maxDepth)
		return false
	}
	if depth == len(s.names) {
		s.names = append(s.names, names{})
	}
	s.names[depth].clear()
	most, bounded := s.bound(depth)
	s.path = append(s.path, nil)
	last := len(s.path) - 1
	ok := s.children(func(i int, name []byte) bool {
		if bounded && i == most {
			s.found.add(s.path[:last], typeTooLong, "must have at most %d entries", most)
			return false
		}
		s.path[last] = i
		if name != nil {
			said := unquote(name)
			s.path[last] = said
			if !s.names[depth].add(said) {
				s.found.add(s.path, typeValue, "is there twice")
			}
		}
		return s.value(depth + 1)
	})
	s.path = s.path[:last]
	return ok
}

// bound returns how many entries the list may have that the scan stands on.
func (s *bodyScan) bound(depth int) (most int, bounded bool) {
	if depth != 1 || s.raw[s.pos] != '[' {
		return 0, false
	}
	name := fmt.Sprint(s.path[1])
	most, bounded = s.maxItems[name]
	return most, bounded
}

// names is a set that most often has few members.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) clear() { n.few, n.many = n.few[:0], nil }

// add reports false if the name is there already.
func (n *names) add(name string) bool {
	const maxFew = 16
	if n.many != nil {
		there := n.many[name]
		n.many[name] = true
		return !there
	}
	for _, other := range n.few {
		if other == name {
			return false
		}
	}
	n.few = append(n.few, name)
	if len(n.few) > maxFew {
		n.many = make(map[string]bool, 2*maxFew)
		for _, other := range n.few {
			n.many[other] = true
		}
	}
	return true
}
