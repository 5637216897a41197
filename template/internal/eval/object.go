package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// An Object is a compiled object template. It is immutable and safe for concurrent use.
type Object struct {
	Settings
	parts  []objectPart
	static int // length of all literals
}

// objectPart is JSON as it stands, and then a leaf.
type objectPart struct {
	literal []byte
	leaf    *leaf // nil at the end
}

// leaf is a string that has something to render.
type leaf struct {
	path  *objectPath
	value expr  // of a leaf that is one expression
	text  *Text // of any other
}

// objectPath is a key or an index of the JSON, in what it stands in. Leaves share it, because a
// path as text would cost each of them all the keys above.
type objectPath struct {
	above *objectPath // nil at the top
	key   string
	index bool // the key is an index
	depth int
}

// longestPointer bounds the pointers of errors, in bytes.
const longestPointer = 300

// pointer is the path as a JSON pointer (RFC 6901). The keys in the middle are left out of a long
// one.
func (p *objectPath) pointer() string {
	var keys []string
	for at := p; at != nil; at = at.above {
		keys = append(keys, quotedKey(at.key))
	}
	slices.Reverse(keys)
	size := 0
	for _, key := range keys {
		size += len("/") + len(key)
	}
	for ; size > longestPointer && len(keys) > 2; keys = slices.Delete(keys,
		len(keys)/2, len(keys)/2+1) {
		size -= len("/") + len(keys[len(keys)/2])
		keys[len(keys)/2-1] = strings.TrimSuffix(keys[len(keys)/2-1], "/…") + "/…"
	}
	var s strings.Builder
	for _, key := range keys {
		s.WriteString("/" + key)
	}
	return s.String()
}

// quotedKey is a key as it stands in a JSON pointer, if it is not too long.
func quotedKey(key string) string {
	const longest = longestPointer / 3
	if len(key) > longest {
		key = strings.ToValidUTF8(key[:longest], "") + "…"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// name is the last key that is no index.
func (p *objectPath) name() string {
	for ; p != nil; p = p.above {
		if !p.index {
			return p.key
		}
	}
	return ""
}

// CompileObject compiles an object template. The error joins what is wrong with each of the first
// wrong leaves.
func CompileObject(raw json.RawMessage, s Settings) (*Object, error) {
	c, err := newCompiler(s)
	if err != nil {
		return nil, err
	}
	if len(raw) > c.Limits.Source {
		return nil, fault.Errorf(fault.ErrSourceTooLarge, "%d bytes, the limit is %d", len(raw),
			c.Limits.Source)
	}
	b := objectBuilder{compiler: c, decoder: json.NewDecoder(bytes.NewReader(raw)),
		object: &Object{Settings: c.Settings}}
	b.take = b.compileLeaf
	b.decoder.UseNumber()
	if err := b.document(); err != nil && len(b.errs) < maxLeafErrors {
		return nil, b.jsonError(raw, err)
	}
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	return b.object, nil
}

// EachLeaf calls f for each string of an object template that is a template, and ends where the
// JSON is broken. The pointer is as in errors.
func EachLeaf(raw json.RawMessage, f func(source string, pointer func() string)) {
	// Whatever compiles the template has checked the limits.
	limits := python.Limits{Leaves: math.MaxInt, Depth: math.MaxInt}
	b := objectBuilder{
		compiler: &compiler{Settings: Settings{Limits: limits}},
		decoder:  json.NewDecoder(bytes.NewReader(raw)),
		object:   &Object{},
	}
	b.take = func(source string) error {
		f(source, b.path.pointer)
		return nil
	}
	b.decoder.UseNumber()
	_ = b.document()
}

// objectBuilder turns the tokens of JSON into parts.
type objectBuilder struct {
	*compiler
	decoder *json.Decoder
	object  *Object
	literal []byte
	path    *objectPath               // of what is being read
	take    func(source string) error // takes a string that is a template
	leaves  int
	errs    []error // of the leaves
}

func (b *objectBuilder) document() error {
	t, err := b.decoder.Token()
	if err != nil {
		return err
	}
	if _, ok := t.(json.Delim); !ok {
		return fault.Errorf(fault.ErrNotJSON, "an object template must be an object or an array")
	}
	if err := b.value(t); err != nil {
		return err
	}
	if _, err := b.decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.Errorf(fault.ErrNotJSON, "something follows the object")
	}
	b.object.parts = append(b.object.parts, objectPart{literal: b.literal})
	for _, p := range b.object.parts {
		b.object.static += len(p.literal)
	}
	return nil
}

// value takes the value that begins with t.
func (b *objectBuilder) value(t json.Token) error {
	if b.path != nil && b.path.depth > b.Limits.Depth {
		return python.TooDeep(b.Limits.Depth)
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return b.members()
		}
		return b.elements()
	case string:
		return b.string(t)
	case json.Number:
		b.literal = append(b.literal, t...)
	case bool:
		b.literal = strconv.AppendBool(b.literal, t)
	case nil:
		b.literal = append(b.literal, "null"...)
	}
	return nil
}

func (b *objectBuilder) members() error {
	style := python.ObjectJSON()
	seen := map[string]bool{}
	b.literal = append(b.literal, '{')
	for b.decoder.More() {
		t, err := b.decoder.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if seen[key] {
			return fault.Errorf(fault.ErrNotJSON, "the key %s is repeated in the object at %q",
				python.Quoted(key), b.path.pointer())
		}
		if len(seen) > 0 {
			b.literal = append(b.literal, ',')
		}
		seen[key] = true
		b.literal = append(python.AppendJSONString(b.literal, key, &style), ':')
		if err := b.member(&objectPath{key: key}); err != nil {
			return err
		}
	}
	b.literal = append(b.literal, '}')
	_, err := b.decoder.Token()
	return err
}

func (b *objectBuilder) elements() error {
	b.literal = append(b.literal, '[')
	for i := 0; b.decoder.More(); i++ {
		if i > 0 {
			b.literal = append(b.literal, ',')
		}
		if err := b.member(&objectPath{key: strconv.Itoa(i), index: true}); err != nil {
			return err
		}
	}
	b.literal = append(b.literal, ']')
	_, err := b.decoder.Token()
	return err
}

// member takes the value under a key or index.
func (b *objectBuilder) member(at *objectPath) error {
	at.above, at.depth = b.path, 1
	if at.above != nil {
		at.depth += at.above.depth
	}
	b.path = at
	defer func() { b.path = at.above }()
	t, err := b.decoder.Token()
	if err != nil {
		return err
	}
	return b.value(t)
}

// string takes a string: as it is if nothing in it is a template, else as a leaf.
func (b *objectBuilder) string(source string) error {
	if syntax.NextDelimiter(source) == len(source) {
		style := python.ObjectJSON()
		b.literal = python.AppendJSONString(b.literal, source, &style)
		return nil
	}
	if b.leaves++; b.leaves > b.Limits.Leaves {
		return fault.Errorf(fault.ErrSourceTooLarge, "more than %d strings are templates",
			b.Limits.Leaves)
	}
	return b.take(source)
}

func (b *objectBuilder) compileLeaf(source string) error {
	l := &leaf{path: b.path}
	if err := b.leaf(l, source); err != nil {
		if b.errs = append(b.errs, l.at(err)); len(b.errs) == maxLeafErrors {
			return err
		}
		return nil
	}
	b.object.parts = append(b.object.parts, objectPart{b.literal, l})
	b.literal = nil
	return nil
}

// maxLeafErrors is how many wrong leaves are named.
const maxLeafErrors = 20

func (b *objectBuilder) leaf(l *leaf, source string) error {
	segments, err := b.scan(source)
	if err != nil {
		return err
	}
	if len(segments) == 1 && segments[0].Kind == syntax.SegmentPrint {
		p := newParser(b.Env, segments[0].Text, segments[0].Pos, b.Limits.Depth)
		l.value = p.tuple(tupleMode{})
		return p.finish()
	}
	l.text, err = b.compile(segments)
	return err
}

// at says in an error which leaf it is about.
func (l *leaf) at(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Leaf == "" {
		e.Leaf = l.path.pointer()
	}
	return err
}

// jsonError says where JSON is broken.
func (b *objectBuilder) jsonError(raw []byte, err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	at, _ := jsonPos(raw)
	return at.Errorf(fault.ErrNotJSON, "the JSON is broken here")
}

// jsonPos is where JSON breaks. (The offsets in a decoder's own errors differ from token to token.)
func jsonPos(raw []byte) (at fault.Pos, offset int64) {
	var v json.RawMessage
	var broken *json.SyntaxError
	offset = int64(len(raw))
	if errors.As(json.Unmarshal(raw, &v), &broken) {
		offset = broken.Offset
	}
	return offsetPos(raw, offset), offset
}

// offsetPos turns an offset into a line and column.
func offsetPos(b []byte, offset int64) fault.Pos {
	return syntax.PosOf(string(b), int(max(0, min(offset-1, int64(len(b))))))
}

// Render renders the object with data and returns compact JSON.
func (o *Object) Render(ctx context.Context, data map[string]any) (_ []byte, err error) {
	st := newRendering(ctx, &o.Settings, data)
	var style python.JSONStyle
	b := make([]byte, 0, 2*o.static)
	for _, p := range o.parts {
		b = append(b, p.literal...)
		if p.leaf != nil {
			if b, err = p.leaf.render(st, b, &style); err != nil {
				return nil, p.leaf.at(err)
			}
		}
		if len(b) > o.Limits.Output {
			return nil, fault.Errorf(fault.ErrOutputTooLarge, "the limit is %d bytes", o.Limits.Output)
		}
	}
	return b, nil
}

// stepsPerLeaf is what it costs to begin with a leaf.
const stepsPerLeaf = 4

// render appends the JSON of a leaf. The leaves share a budget and memory that they write to before
// they read it, such as style, and nothing else.
func (l *leaf) render(st *rendering, b []byte, style *python.JSONStyle) (_ []byte, err error) {
	defer recoverError(&err)
	if err := st.Spend(stepsPerLeaf); err != nil {
		return nil, err
	}
	st.root.clear()
	st.scope, st.exec = st.root, nil
	st.Autoescape = st.Format != escaping.Plain
	*style = python.ObjectJSON()
	style.Lenient = true
	style.Slack = st.SlackEscape()
	if st.Format == escaping.Mrkdwn && !escaping.MrkdwnText(l.path.name()) {
		st.Autoescape = false
	}
	style.Escape = st.JSONEscape()
	if l.value == nil {
		out := &st.top
		out.html, out.md = nil, nil // another leaf's
		if err := l.text.run(out); err != nil {
			return nil, err
		}
		return st.AppendJSONString(b, string(out.b), style)
	}
	v, err := l.value.eval(st)
	if err != nil {
		return nil, err
	}
	if st.Format == escaping.Mrkdwn {
		v = slackLeaf(v)
	}
	if b, err = st.AppendJSON(b, v, style, 0); err != nil {
		return nil, l.value.base().At(err)
	}
	return b, st.Check()
}

// slackLeaf makes text of what Slack takes as text only: numbers, and what is undefined.
func slackLeaf(v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return string(python.AppendFloat(nil, v))
	case python.BigInt:
		return string(v)
	case *python.Undefined:
		if !v.Loud() {
			return ""
		}
	}
	return v
}
