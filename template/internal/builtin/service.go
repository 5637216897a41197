package builtin

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A Service is what the service that embeds us adds to the names of templates.
type Service struct {
	Filters   map[string]Func
	Functions map[string]Func
	Ready     Ready
	Location  func(name string) (*time.Location, error) // finds a time zone
	Markup    func(v any) (text string, ok bool)        // of a result that needs no escaping
}

// A Func is a filter or function of the service: Func of package template.
type Func struct {
	Params  string
	Call    func(ctx context.Context, input any, args []any) (any, error)
	Steps   int
	Timeout time.Duration
}

const (
	defaultSteps   = 100
	defaultTimeout = 50 * time.Millisecond
)

// Extend returns the names of base and those of the service. The error says what is wrong with the
// service.
func (s *Service) Extend(base *python.Names) (python.Names, error) {
	names := *base
	if s.Ready&^readyAll != 0 {
		return names, fault.Errorf(fault.ErrOptions, "LibraryConfig.Ready has a set that does not exist")
	}
	names.Filters, names.Globals = maps.Clone(base.Filters), maps.Clone(base.Globals)
	filters, functions := s.Ready.tables(s.Location)
	for _, f := range filters {
		addFilter(&names, f)
	}
	for _, f := range functions {
		addFunction(&names, f)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Filters)) {
		f := s.Filters[name]
		_, taken := names.Filters[name]
		if err := f.check("filter", name, taken); err != nil {
			return names, err
		}
		addFilter(&names, python.Filter{Name: name, Params: f.Params,
			Run: func(st *python.State, in any, p python.Params) (any, error) {
				return f.run(st, s.Markup, in, p)
			}})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Functions)) {
		f := s.Functions[name]
		_, taken := names.Globals[name]
		if err := f.check("function", name, taken); err != nil {
			return names, err
		}
		addFunction(&names, python.Function{Name: name, Params: f.Params,
			Run: func(st *python.State, p python.Params) (any, error) {
				return f.run(st, s.Markup, nil, p)
			}})
	}
	return names, nil
}

func addFilter(names *python.Names, f python.Filter) {
	f.Signature = python.NewParamSpec("the filter "+python.Quoted(f.Name), f.Params)
	names.Filters[f.Name] = &f
}

func addFunction(names *python.Names, f python.Function) {
	f.Signature = python.NewParamSpec(f.Name+"()", f.Params)
	names.Globals[f.Name] = &f
}

func (f *Func) check(kind, name string, taken bool) error {
	fail := func(why string) error {
		return fault.Errorf(fault.ErrOptions, "the %s %s %s", kind, python.Quoted(name), why)
	}
	switch {
	case name == "" || python.IdentifierLength(name) != len(name):
		return fail("must have a name of letters, digits and underscores")
	case taken:
		return fail("has the name of another")
	case f.Call == nil:
		return fail("has no Call")
	case f.Steps < 0 || f.Timeout < 0:
		return fail("must not have negative Steps or Timeout")
	}
	optional := false
	seen := map[string]bool{}
	for _, p := range strings.Fields(f.Params) {
		p, isOptional := strings.CutSuffix(p, "?")
		switch {
		case p == "" || python.IdentifierLength(p) != len(p) || seen[p]:
			return fail("must have Params with different names of letters, digits and underscores")
		case optional && !isOptional:
			return fail("has a parameter that is required after one that is not")
		}
		optional, seen[p] = isOptional, true
	}
	return nil
}

// run is the filter or function in a template.
func (f *Func) run(
	st *python.State, isMarkup func(any) (string, bool), in any, p python.Params,
) (any, error) {
	steps, timeout := f.Steps, f.Timeout
	if steps == 0 {
		steps = defaultSteps
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if err := st.Spend(steps); err != nil {
		return nil, err
	}
	input, err := export(st, in, 0)
	if err != nil {
		return nil, err
	}
	args := make([]any, len(p.Signature.Names))
	for i := range args {
		if p.Has(i) {
			if args[i], err = export(st, p.Values[i], 0); err != nil {
				return nil, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(st.Context, timeout)
	defer cancel()
	result, err := f.call(ctx, p.Owner, input, args)
	if err != nil {
		return nil, err
	}
	if st.Context.Err() == nil && ctx.Err() != nil {
		return nil, fault.Errorf(fault.ErrFunction, "%s took longer than %v", p.Owner, timeout)
	}
	if err := st.Check(); err != nil {
		return nil, err
	}
	return taker{st, isMarkup}.take(result, 0)
}

// call calls the service's code, which may panic. What it panics with may hold data, so only its
// type is kept.
func (f *Func) call(
	ctx context.Context, owner string, input any, args []any,
) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, fault.Errorf(fault.ErrFunction, "%s ended in a panic of type %T", owner, p)
		}
	}()
	if result, err = f.Call(ctx, input, args); err != nil {
		e := fault.Errorf(fault.ErrFunction, "%s failed", owner)
		e.Cause = err
		return nil, e
	}
	return result, nil
}
