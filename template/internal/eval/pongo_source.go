package eval

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// What pongo2 is given. A template is scanned by us and written again as a template of pongo2 that
// holds plain text and our own tags, with all of a tag's arguments in one encoded string: pongo2's
// lexer and expressions never see Jinja2. pongo2 then matches the blocks, builds the tree and runs
// it.

// tagPrefix keeps our tags apart from any other in pongo2's registry, which the whole process
// shares.
const tagPrefix = "mixpeek_webhooks_jinja_"

const (
	rootTag  = tagPrefix + "root"
	textTag  = tagPrefix + "text"
	printTag = tagPrefix + "expression"
	endTag   = tagPrefix + "end" // of any block; that ends match is checked here
)

// emitter writes segments as pongo2's source, and checks that blocks nest.
type emitter struct {
	env     *Environment
	session int // see openSession
	limit   int // of block depth
	parts   []string
	open    []openBlock
	names   map[string]bool // of the blocks, which must differ
}

type openBlock struct {
	syntax.Segment
	kind *blockKind
	part int   // where its opening tag is in parts
	uses uint8 // special names inside
	last bool  // its last section, the else, has begun
}

// emit returns the source for pongo2.
func emit(env *Environment, session int, segments []syntax.Segment, limit int) (string, error) {
	e := emitter{env: env, session: session, limit: limit, names: map[string]bool{}}
	e.parts = append(e.parts, "{% "+rootTag+" %}")
	for i := range segments {
		if err := e.segment(&segments[i]); err != nil {
			return "", err
		}
	}
	if n := len(e.open); n > 0 {
		b := e.open[n-1]
		return "", b.Tag.Errorf(fault.ErrSyntax, "the block %q is not closed, expected %q", b.Name,
			b.kind.End)
	}
	e.parts = append(e.parts, "{% "+endTag+" %}")
	return strings.Join(e.parts, ""), nil
}

func (e *emitter) segment(s *syntax.Segment) error {
	for i := range e.open {
		e.open[i].uses |= s.Uses // a macro counts what the macros inside it use, as Jinja2 does
	}
	switch s.Kind {
	case syntax.SegmentText:
		if plainForPongo(s.Text) {
			e.parts = append(e.parts, s.Text)
		} else {
			e.tag(textTag, s)
		}
		return nil
	case syntax.SegmentPrint:
		e.tag(printTag, s)
		return nil
	}
	return e.block(s)
}

// plainForPongo reports whether pongo2 takes text for text: it must not look like a tag, alone or
// with the one that follows, and U+0001 ends pongo2's input.
func plainForPongo(text string) bool {
	return syntax.NextDelimiter(text) == len(text) && !strings.HasSuffix(text, "{") &&
		strings.IndexByte(text, 1) < 0
}

func (e *emitter) tag(name string, s *syntax.Segment) {
	e.parts = append(e.parts, e.encode(name, s, 0))
}

// encode returns {% name "line:column:uses:depth:session:base64" %}.
func (e *emitter) encode(name string, s *syntax.Segment, uses uint8) string {
	return fmt.Sprintf(`{%% %s "%d:%d:%d:%d:%d:%s" %%}`, name, s.Pos.Line, s.Pos.Col, uses, e.limit,
		e.session,
		base64.StdEncoding.EncodeToString([]byte(s.Text)))
}

func (e *emitter) block(s *syntax.Segment) error {
	if n := len(e.open); n > 0 {
		if b := &e.open[n-1]; s.Name == b.kind.End || b.kind.hasMiddle(s.Name) {
			return e.continueBlock(b, s)
		}
	}
	kind, ok := e.env.Blocks[s.Name]
	if !ok {
		return e.unknownTag(s)
	}
	if kind.Refused != "" {
		return s.Tag.Errorf(fault.ErrForbidden, "%q is not available: %s", s.Name, kind.Refused)
	}
	if kind.End == "" || kind.inline != nil && kind.inline(s.Text) {
		e.tag(tagPrefix+s.Name, s)
		return nil
	}
	if len(e.open) >= e.limit {
		return s.Tag.At(python.TooDeep(e.limit))
	}
	if s.Name == "block" {
		name := strings.TrimSpace(s.Text)
		name = name[:python.IdentifierLength(name)]
		if e.names[name] {
			return s.Tag.Errorf(fault.ErrSyntax, "block %q defined twice", name)
		}
		e.names[name] = true
	}
	e.open = append(e.open, openBlock{Segment: *s, kind: kind, part: len(e.parts)})
	e.parts = append(e.parts, "") // written at the end of the block, when what it uses is known
	return nil
}

// continueBlock writes a tag that goes on with the innermost block or ends it.
func (e *emitter) continueBlock(b *openBlock, s *syntax.Segment) error {
	if s.Name != b.kind.End {
		if b.last {
			return s.Tag.Errorf(fault.ErrSyntax, "%q after the else of %q", s.Name, b.Name)
		}
		b.last = s.Name == "else"
		if b.last && blank(s.Text) != "" {
			return s.Pos.Errorf(fault.ErrSyntax, "%q takes nothing", s.Name)
		}
		e.tag(tagPrefix+s.Name, s)
		return nil
	}
	if rest := blank(s.Text); rest != "" && (b.Name != "block" || rest != blank(b.Text)) {
		return s.Pos.Errorf(fault.ErrSyntax, "%q takes nothing", s.Name)
	}
	e.parts[b.part] = e.encode(tagPrefix+b.Name, &b.Segment, b.uses)
	e.parts = append(e.parts, "{% "+endTag+" %}")
	e.open = e.open[:len(e.open)-1]
	return nil
}

// blank is the text of a tag that should have none; a colon at the end is allowed, as in Python.
func blank(text string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ":"))
}

func (e *emitter) unknownTag(s *syntax.Segment) error {
	if n := len(e.open); n > 0 {
		b := e.open[n-1]
		return s.Tag.Errorf(fault.ErrUnknown,
			"no tag named %q here; the open block is %q of line %s, which ends with %q",
			fault.Near(s.Name), b.Name, strconv.Itoa(b.Tag.Line), b.kind.End)
	}
	return s.Tag.Errorf(fault.ErrUnknown, "no tag named %q here", fault.Near(s.Name))
}

// decodeTag reads what emitter.encode has written.
func decodeTag(encoded string) (tagArguments, error) {
	var t tagArguments
	fields := strings.SplitN(encoded, ":", 6)
	if len(fields) != 6 {
		return t, fault.Errorf(fault.ErrInternal, "the arguments of a tag are damaged")
	}
	var numbers [5]int
	for i := range numbers {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return t, fault.Errorf(fault.ErrInternal, "the arguments of a tag are damaged")
		}
		numbers[i] = n
	}
	text, err := base64.StdEncoding.DecodeString(fields[5])
	if err != nil {
		return t, fault.Errorf(fault.ErrInternal, "the arguments of a tag are damaged")
	}
	return tagArguments{fault.Pos{Line: numbers[0], Col: numbers[1]}, uint8(numbers[2]), numbers[3],
		numbers[4], string(text)}, nil
}

// tagArguments are what one of our tags is given.
type tagArguments struct {
	pos     fault.Pos // of text
	uses    uint8
	depth   int
	session int
	text    string
}
