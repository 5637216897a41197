package eval

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flosch/pongo2/v6"

	"github.com/mixpeek/webhooks-go/template/internal/builtin"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// An Environment is what all templates share: the tables of filters, tests, methods, globals and
// blocks. It is built once, when the process starts, and never changes.
type Environment struct {
	python.Names
	Blocks map[string]*blockKind
}

// shared is the environment of this process. It is complete before main begins, and only read from
// then on.
var shared struct {
	env *Environment
	err error // why pongo2 does not take our tags, for the first who compiles a template

	// sessions are the environments of the templates that are being compiled right now, by a number
	// that their tags carry: pongo2 hands nothing else to the parser of a tag. A template without a
	// library needs no session.
	sessions    sync.Map
	lastSession atomic.Int64
}

// init registers our tags with pongo2. It is the only init of this module. pongo2 keeps tags in a
// map of the process without a lock, and reads it whenever anyone compiles a template: a tag that
// is registered while another goroutine of the program compiles a pongo2 template of its own ends
// the process with "concurrent map read and map write". Only an init is sure to run before the
// program can start such a goroutine; pongo2 registers its own tags the same way.
func init() {
	shared.env, shared.err = newEnvironment()
}

// Shared returns the environment of Jinja2 alone, which the process has from its beginning.
func Shared() (*Environment, error) { return shared.env, shared.err }

func newEnvironment() (*Environment, error) {
	env := &Environment{Names: builtin.Names(), Blocks: map[string]*blockKind{}}
	env.Methods.Loop = python.MethodTable(loopMethods())
	for _, kind := range blockKinds() {
		env.Blocks[kind.name] = &kind
	}
	return env, env.register()
}

// Extend returns the environment with the names of a service as well.
func (env *Environment) Extend(s *builtin.Service) (*Environment, error) {
	names, err := s.Extend(&env.Names)
	if err != nil {
		return nil, err
	}
	return &Environment{Names: names, Blocks: env.Blocks}, nil
}

// register adds our tags to pongo2's registry, which is process-wide and has no other way in. Their
// prefix keeps them out of the way of all others, and they do nothing in a template that this
// package has not written.
func (env *Environment) register() error {
	var errs []error
	add := func(name string, compile func(t *tagSource) (statement, error)) {
		errs = append(errs, pongo2.RegisterTag(name, env.tagParser(compile)))
	}
	add(rootTag, compileRoot)
	add(textTag, compileTextTag)
	add(printTag, compilePrint)
	for name, kind := range env.Blocks {
		if kind.compile != nil {
			add(tagPrefix+name, kind.compile)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.Errorf(fault.ErrInternal, "pongo2 does not take our tags: %v", err)
	}
	return nil
}

// openSession returns the number under which tags find the environment until end is called.
func openSession(env *Environment) (session int, end func()) {
	if env == shared.env {
		return 0, func() {}
	}
	session = int(shared.lastSession.Add(1))
	shared.sessions.Store(session, env)
	return session, func() { shared.sessions.Delete(session) }
}

// A statement is a compiled tag.
type statement interface {
	run(out *output) error
}

// tagNode makes a statement a node of pongo2's tree.
type tagNode struct{ statement }

func (n tagNode) Execute(exec *pongo2.ExecutionContext, w pongo2.TemplateWriter) *pongo2.Error {
	out, ok := w.(*output)
	if !ok { // the root: everything inside it writes to our output
		out, ok = exec.Public[outputKey].(*output)
	}
	if !ok {
		return pongoError(fault.Errorf(fault.ErrInternal, "not run by this package"))
	}
	if out.st.exec == nil {
		out.st.exec = exec
	}
	if err := n.run(out); err != nil {
		return pongoError(err)
	}
	return nil
}

// outputKey is where the root tag finds the output in pongo2's context.
const outputKey = "output"

func pongoError(err error) *pongo2.Error {
	return &pongo2.Error{Sender: "template", OrigError: err}
}

// ourError takes the error of this package out of pongo2's.
func ourError(err error) error {
	var e *fault.Error
	var p *pongo2.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p) && errors.As(p.OrigError, &e), errors.As(err, &e):
		return e
	}
	return fault.Errorf(fault.ErrInternal, "pongo2 refused what it was given")
}

// tagSource is what a tag is compiled from: a parser of its arguments, and pongo2's parser for its
// body.
type tagSource struct {
	*parser
	tagArguments
	doc *pongo2.Parser
}

func (env *Environment) tagParser(compile func(t *tagSource) (statement, error)) pongo2.TagParser {
	return func(
		doc *pongo2.Parser, _ *pongo2.Token, arguments *pongo2.Parser,
	) (pongo2.INodeTag, *pongo2.Error) {
		t, err := env.tagSource(doc, arguments)
		if err != nil {
			return nil, pongoError(err)
		}
		s, err := compile(t)
		if err != nil {
			return nil, pongoError(err)
		}
		return tagNode{s}, nil
	}
}

func (env *Environment) tagSource(doc, arguments *pongo2.Parser) (*tagSource, error) {
	t := &tagSource{doc: doc}
	if token := arguments.MatchType(pongo2.TokenString); token != nil {
		var err error
		if t.tagArguments, err = decodeTag(token.Val); err != nil {
			return nil, err
		}
	}
	if own, ok := shared.sessions.Load(t.session); ok {
		env, _ = own.(*Environment)
	}
	t.parser = newParser(env, t.text, t.pos, t.depth)
	return t, nil
}

// done checks that the arguments have been used up. A colon at the end is allowed, as in Python.
func (t *tagSource) done() error {
	t.skipOp(":")
	return t.finish()
}

// body returns what stands up to the tag that ends this part of the block, which is endTag or one
// of the middle tags.
func (t *tagSource) body(middle ...string) (body, string, *tagSource, error) {
	names := []string{endTag}
	for _, m := range middle {
		names = append(names, tagPrefix+m)
	}
	wrapper, arguments, err := t.doc.WrapUntilTag(names...)
	if err != nil {
		return body{}, "", nil, ourError(err)
	}
	next, nextErr := t.env.tagSource(t.doc, arguments)
	return body{wrapper}, strings.TrimPrefix(wrapper.Endtag, tagPrefix), next, nextErr
}

// lastBody returns the body of a block without middle tags.
func (t *tagSource) lastBody() (body, error) {
	b, _, _, err := t.body()
	return b, err
}

// A body is a part of a block, run by pongo2.
type body struct{ wrapper *pongo2.NodeWrapper }

func (b body) run(out *output) error {
	if err := b.wrapper.Execute(out.st.exec, out); err != nil {
		return ourError(err)
	}
	return nil
}

// newSet returns a set of pongo2 for the templates that are compiled together. It cannot load
// anything, and has none of pongo2's own tags: what it is given contains only ours, so both are
// second lines of defence.
func newSet() (*pongo2.TemplateSet, error) {
	set := pongo2.NewSet("template", noLoader{})
	for _, name := range pongoTags() {
		if err := set.BanTag(name); err != nil {
			return nil, fault.Errorf(fault.ErrInternal, "pongo2 cannot ban its tag %s: %v", name, err)
		}
	}
	return set, nil
}

// pongoTags are the tags that come with pongo2.
func pongoTags() []string {
	return []string{"autoescape", "block", "comment", "cycle", "extends", "filter", "firstof", "for",
		"if", "ifchanged",
		"ifequal", "ifnotequal", "import", "include", "lorem", "macro", "now", "set", "spaceless", "ssi",
		"templatetag",
		"widthratio", "with"}
}

// noLoader is a pongo2.TemplateLoader that has no templates.
type noLoader struct{}

func (noLoader) Abs(_, name string) string { return name }

func (noLoader) Get(string) (io.Reader, error) {
	return nil, fmt.Errorf("templates cannot load others: %w", fault.ErrForbidden)
}

// blockKind describes a tag of Jinja2.
type blockKind struct {
	name    string
	End     string                 // the tag that ends it; "" if it has no body
	middle  []string               // tags that stand between
	Refused string                 // why the tag is not available, if it is not
	inline  func(text string) bool // whether the tag has no body although others of the name do
	compile func(t *tagSource) (statement, error)
}

func (k *blockKind) hasMiddle(name string) bool { return slices.Contains(k.middle, name) }

// blockKinds is the table of all tags. (raw is the scanner's.)
func blockKinds() []blockKind {
	const noOthers = "a template stands alone and cannot use another"
	return []blockKind{
		{name: "if", End: "endif", middle: []string{"elif", "else"}, compile: compileIf},
		{name: "for", End: "endfor", middle: []string{"else"}, compile: compileFor},
		{name: "set", End: "endset", inline: syntax.HasValue, compile: compileSet},
		{name: "with", End: "endwith", compile: compileWith},
		{name: "macro", End: "endmacro", compile: compileMacro},
		{name: "call", End: "endcall", compile: compileCall},
		{name: "filter", End: "endfilter", compile: compileFilterBlock},
		{name: "autoescape", End: "endautoescape", compile: compileAutoescape},
		{name: "block", End: "endblock", compile: compileBlock},
		{name: "print", compile: compilePrintTag},
		{name: "include", Refused: noOthers},
		{name: "import", Refused: noOthers},
		{name: "from", Refused: noOthers},
		{name: "extends", Refused: noOthers},
	}
}
