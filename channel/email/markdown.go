package email

import (
	"bytes"
	"context"
	"errors"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// What converting one Markdown text may cost. Markdown comes from organizations, and goldmark takes
// time and memory that grow with the square of the text: for quotes in quotes, for tables whose
// rows have fewer cells than the header, for brackets and backticks without their other half.
const (
	maxMarkdown     = 128 << 10 // bytes of the text
	maxMarkdownHTML = 2 << 20   // bytes that come out
	// maxMarkdownWork is in units of about a byte that is looked at: two nanoseconds at most.
	// A text without the above takes about ten units for each byte.
	maxMarkdownWork = 32 << 20
	// nodeWork is the work that an element stands for, because of its memory.
	nodeWork = 128
)

// errTooMuchMarkdown is what a conversion panics with that would cost too much, or that was cancelled:
// goldmark has no way to stop.
var errTooMuchMarkdown = errors.New("email: the Markdown would cost too much to convert")

// convertMarkdown converts Markdown, with tables, to HTML. Raw HTML and links to scripts are
// dropped, as goldmark does unless told otherwise. It returns false if the text is too long, or
// would cost too much, and the error of ctx if that ends first.
func convertMarkdown(ctx context.Context, source string) (html string, ok bool, err error) {
	if len(source) > maxMarkdown {
		return "", false, nil
	}
	m := &meter{ctx: ctx, left: maxMarkdownWork, look: maxMarkdownWork}
	p := &meteredParser{meter: m, config: parser.NewConfig()}
	p.AddOptions(parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithInlineParsers(parser.DefaultInlineParsers()...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...))
	var out bytes.Buffer
	defer func() {
		switch p := recover(); p {
		case nil:
		case errTooMuchMarkdown: // nothing that goldmark made is used
			html, ok, err = "", false, ctx.Err()
		default: // a mistake of ours or of goldmark's, which the Dispatcher logs
			panic(p)
		}
	}()
	converter := goldmark.New(goldmark.WithParser(p), goldmark.WithExtensions(extension.GFM))
	ok = converter.Convert([]byte(source), &meteredWriter{&out, m}) == nil
	return out.String(), ok, nil
}

// meteredWriter takes the HTML. References repeat what they refer to, so that may be long.
type meteredWriter struct {
	out   *bytes.Buffer
	meter *meter
}

func (w *meteredWriter) Write(p []byte) (int, error) {
	if w.out.Len()+len(p) > maxMarkdownHTML {
		panic(errTooMuchMarkdown)
	}
	w.meter.spend(len(p))
	return w.out.Write(p)
}

// A meter counts the work of a conversion, and ends it.
type meter struct {
	ctx        context.Context
	left, look int // the work that is left, and how much there is left at the next look at ctx
	pipes      int // escaped pipes in tables
}

// spend panics if the work, which may be in the past, is too much, or the context has ended.
func (m *meter) spend(work int) {
	m.left -= work
	if m.left < 0 {
		panic(errTooMuchMarkdown)
	}
	if m.left < m.look {
		m.look = m.left - 64<<10
		if m.ctx.Err() != nil {
			panic(errTooMuchMarkdown)
		}
	}
}

// A meteredParser is a parser of which each part spends work. The parts are those that are added to
// it, whichever they are.
type meteredParser struct {
	meter  *meter
	config *parser.Config
}

func (p *meteredParser) AddOptions(options ...parser.Option) {
	for _, o := range options {
		o.SetParserOption(p.config)
	}
}

func (p *meteredParser) Parse(reader text.Reader, options ...parser.ParseOption) ast.Node {
	metered := parser.NewParser(
		parser.WithBlockParsers(wrapParts(p.config.BlockParsers, func(part parser.BlockParser) any {
			return &meteredBlock{part, p.meter}
		})...),
		parser.WithInlineParsers(wrapParts(p.config.InlineParsers, func(part parser.InlineParser) any {
			inline := meteredInline{part, p.meter}
			if closer, ok := part.(parser.CloseBlocker); ok {
				return &closingInline{inline, closer}
			}
			return &inline
		})...),
		parser.WithParagraphTransformers(wrapParts(p.config.ParagraphTransformers,
			func(part parser.ParagraphTransformer) any { return &meteredParagraph{part, p.meter} })...),
		parser.WithASTTransformers(p.config.ASTTransformers...),
	)
	return metered.Parse(reader, options...)
}

// wrapParts wraps each part of a parser, and keeps its priority.
func wrapParts[T any](parts util.PrioritizedSlice, wrap func(T) any) []util.PrioritizedValue {
	wrapped := make([]util.PrioritizedValue, len(parts))
	for i, part := range parts {
		wrapped[i] = util.Prioritized(wrap(part.Value.(T)), part.Priority)
	}
	return wrapped
}

// meteredBlock spends the rest of a line for each look at it: each of the blocks that are open looks
// at each line, from where the one around it has stopped.
type meteredBlock struct {
	parser.BlockParser
	meter *meter
}

func (b *meteredBlock) Open(
	parent ast.Node, reader text.Reader, pc parser.Context,
) (ast.Node, parser.State) {
	b.meter.spend(16 + restOfLine(reader))
	node, state := b.BlockParser.Open(parent, reader, pc)
	if node != nil {
		b.meter.spend(nodeWork)
	}
	return node, state
}

func (b *meteredBlock) Continue(
	node ast.Node, reader text.Reader, pc parser.Context,
) parser.State {
	b.meter.spend(nodeWork + restOfLine(reader)) // goldmark notes something for each block and line
	return b.BlockParser.Continue(node, reader, pc)
}

// restOfLine does not ask for the line, which would change what the reader does next.
func restOfLine(reader text.Reader) int {
	_, line := reader.Position()
	return line.Stop - line.Start
}

// meteredInline spends what a part has read of a block: if it finds nothing, that may be all that is
// left of it.
type meteredInline struct {
	parser.InlineParser
	meter *meter
}

func (i *meteredInline) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	line, before := block.PeekLine()
	lines := parent.Lines()
	begin, end := lines.At(0).Start, lines.At(lines.Len()-1).Stop
	node := i.InlineParser.Parse(parent, block, pc)
	rest := end - before.Start
	switch _, isText := node.(*ast.Text); {
	case line[0] == ']':
		// It looks for links between the brackets, and at delimiters before them.
		i.meter.spend(nodeWork + before.Start - begin)
		if node == nil {
			i.meter.spend(2 * rest)
		}
	case line[0] == '`' && isText: // there was no other backtick, on any line
		i.meter.spend(rest + nodeWork*lines.Len())
	case node != nil:
		_, after := block.Position()
		i.meter.spend(nodeWork + max(after.Start-before.Start, 0))
	case line[0] == '<' && len(line) > 1 && line[1] != ' ':
		i.meter.spend(16 * rest) // by regular expressions
	default:
		i.meter.spend(16 + wordLength(line))
	}
	switch node := node.(type) {
	case *ast.Link:
		i.meter.spend(len(node.Destination) + len(node.Title)) // which a reference repeats
	case *ast.Image:
		i.meter.spend(len(node.Destination) + len(node.Title))
	case *parser.Delimiter:
		node.Processor = &meteredDelimiter{node.Processor, i.meter}
	}
	return node
}

// wordLength returns how far it is to the next white space after the first byte of a line: what looks
// for addresses goes no further.
func wordLength(line []byte) int {
	if end := bytes.IndexAny(line[1:], " \t\r\n"); end >= 0 {
		return end + 1
	}
	return len(line)
}

// closingInline is a meteredInline that is told of the end of a block.
type closingInline struct {
	meteredInline
	parser.CloseBlocker
}

// meteredDelimiter spends work for each opener that a closer looks at.
type meteredDelimiter struct {
	parser.DelimiterProcessor
	meter *meter
}

func (d *meteredDelimiter) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	d.meter.spend(8)
	return d.DelimiterProcessor.CanOpenCloser(opener, closer)
}

// meteredParagraph spends work for tables and definitions of links before they are made.
type meteredParagraph struct {
	parser.ParagraphTransformer
	meter *meter
}

func (p *meteredParagraph) Transform(node *ast.Paragraph, reader text.Reader, pc parser.Context) {
	lines, source := node.Lines(), reader.Source()
	size, definitions, pipes := 0, 0, 0
	for i := range lines.Len() {
		segment := lines.At(i)
		line := segment.Value(source)
		size += len(line)
		switch trimmed := bytes.TrimLeft(line, " \t"); {
		case len(trimmed) == 0:
		case trimmed[0] == '[':
			definitions++
		case bytes.IndexByte(trimmed, '-') >= 0 && len(bytes.Trim(trimmed, "|-: \t\r\n")) == 0:
			// All rows get as many cells as this line says that the header has.
			columns := 1 + bytes.Count(trimmed, []byte("|"))
			p.meter.spend(nodeWork * columns * (lines.Len() - i))
		}
		pipes += bytes.Count(line, []byte(`\|`))
	}
	// Each definition is cut out of the lines, and each escaped pipe looked for in all cells with one.
	p.meter.pipes += pipes
	p.meter.spend(16 + size + definitions*size/4 + pipes*p.meter.pipes)
	p.ParagraphTransformer.Transform(node, reader, pc)
}
