package template

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A Library is what templates can use beyond Jinja2: filters and functions of the service that
// embeds this package, and ready ones that it switches on. It is immutable and safe for concurrent
// use. A nil *Library has none.
type Library struct{ env *environment }

// LibraryConfig says what a [Library] offers. The zero value offers nothing.
type LibraryConfig struct {
	// Filters are called as x|name(arguments), under the names of the map.
	Filters map[string]Func
	// Functions are called as name(arguments). An event's field of the same name comes first where
	// it is not called.
	Functions map[string]Func
	// Ready are the ready-made filters and functions to switch on; SYNTAX.md lists them. Defaults
	// to none.
	Ready Ready
	// Location finds a time zone by its IANA name for the ready dates. Defaults to
	// time.LoadLocation, which needs the system's time zone database, or an import of time/tzdata
	// in the program.
	Location func(name string) (*time.Location, error)
}

// Ready is a set of ready-made filters and functions.
type Ready uint

// The sets. They can be joined: ReadyDates | ReadyRegex.
const (
	ReadyDates  Ready = 1 << iota // now, utcnow, as_datetime, as_timestamp, datetimeformat, datetimeformat_as_timezone, strftime
	ReadyRegex                    // regex_match, regex_search, regex_replace, regex_findall
	ReadyJSON                     // from_json, parse_json, to_json, json_dumps, to_nice_json, tojson_pretty
	ReadyBase64                   // base64_encode, base64_decode, b64encode, b64decode
	ReadyHashes                   // md5, sha1, sha256, sha512, hash
	ReadyURLs                     // urlquote, urlunquote

	ReadyAll = ReadyDates | ReadyRegex | ReadyJSON | ReadyBase64 | ReadyHashes | ReadyURLs
)

// A Func is a filter or function of the embedding service.
type Func struct {
	// Params names the parameters, separated by blanks, so that templates can give them by position
	// or by name: one that ends in ? may be left out. Of a filter, the value before the | is not
	// among them. Defaults to none.
	Params string

	// Call computes the result. Call is called by many goroutines at once. Its input is the value
	// before the | of a filter, and nil for a function; its args are in the order of Params, nil
	// where they were left out. Values are nil, bool, int64, float64, json.Number for other
	// integers, string, []any and map[string]any; they are copies. A value that is undefined never
	// gets here: it ends the render.
	//
	// The result may be whatever data of a template may be, or a [Markup]. It is copied, and its
	// size counts for Limits.Memory. An error ends the render: it is found by errors.Is and
	// errors.As in the render's error, whose text does not repeat it, because it may hold data. So
	// does a panic.
	//
	// The context ends with the render, and after Timeout; Call must return then, because nothing
	// else can stop it.
	Call func(ctx context.Context, input any, args []any) (any, error)

	// Steps is what a call costs of Limits.Steps: about one for 0.3 microseconds. Zero means 100; a
	// template can then call it 2,000 times.
	Steps int

	// Timeout is how long a call may take. Zero means 50 ms.
	Timeout time.Duration
}

// Markup is text that is what the template's output is, such as HTML: it is printed without being
// escaped.
type Markup string

const (
	defaultFuncSteps   = 100
	defaultFuncTimeout = 50 * time.Millisecond
)

// NewLibrary makes a Library. The error names what is wrong: a name that is no identifier or is
// taken already, a Func without Call, a negative number.
func NewLibrary(config LibraryConfig) (_ *Library, err error) {
	defer func() { err = exported(err) }()
	base, err := sharedEnvironment()
	if err != nil {
		return nil, err
	}
	if config.Ready&^ReadyAll != 0 {
		return nil, fault.Errorf(fault.ErrOptions, "LibraryConfig.Ready has a set that does not exist")
	}
	if config.Location == nil {
		config.Location = time.LoadLocation
	}
	env := *base
	env.Filters, env.Globals = maps.Clone(base.Filters), maps.Clone(base.Globals)
	l := &Library{&env}
	filters, functions := config.Ready.tables(&config)
	for _, f := range filters {
		l.addFilter(f)
	}
	for _, f := range functions {
		l.addFunction(f)
	}
	for _, name := range slices.Sorted(maps.Keys(config.Filters)) {
		f := config.Filters[name]
		_, taken := env.Filters[name]
		if err := f.check("filter", name, taken); err != nil {
			return nil, err
		}
		l.addFilter(python.Filter{Name: name, Params: f.Params, Run: f.run})
	}
	for _, name := range slices.Sorted(maps.Keys(config.Functions)) {
		f := config.Functions[name]
		_, taken := env.Globals[name]
		if err := f.check("function", name, taken); err != nil {
			return nil, err
		}
		l.addFunction(python.Function{Name: name, Params: f.Params, Run: func(st *python.State, p python.Params) (any, error) { return f.run(st, nil, p) }})
	}
	return l, nil
}

// environment returns what templates of the library are compiled with.
func (l *Library) environment() (*environment, error) {
	if l == nil {
		return sharedEnvironment()
	}
	return l.env, nil
}

func (l *Library) addFilter(f python.Filter) {
	f.Signature = python.NewParamSpec("the filter "+python.Quoted(f.Name), f.Params)
	l.env.Filters[f.Name] = &f
}

func (l *Library) addFunction(f python.Function) {
	f.Signature = python.NewParamSpec(f.Name+"()", f.Params)
	l.env.Globals[f.Name] = &f
}

// tables returns the ready-made filters and functions of the sets.
func (r Ready) tables(config *LibraryConfig) (filters []python.Filter, functions []python.Function) {
	if r&ReadyDates != 0 {
		d := dates{config.Location}
		filters, functions = append(filters, d.filters()...), append(functions, d.functions()...)
	}
	for set, table := range map[Ready]func() []python.Filter{
		ReadyRegex: regexFilters, ReadyJSON: jsonFilters, ReadyBase64: base64Filters, ReadyHashes: hashFilters, ReadyURLs: urlFilters,
	} {
		if r&set != 0 {
			filters = append(filters, table()...)
		}
	}
	return filters, functions
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
func (f *Func) run(st *python.State, in any, p python.Params) (any, error) {
	steps, timeout := f.Steps, f.Timeout
	if steps == 0 {
		steps = defaultFuncSteps
	}
	if timeout == 0 {
		timeout = defaultFuncTimeout
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
	return take(st, result, 0)
}

// call calls the service's code, which may panic. What it panics with may hold data, so only its
// type is kept.
func (f *Func) call(ctx context.Context, owner string, input any, args []any) (result any, err error) {
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
