package template

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/builtin"
	"github.com/mixpeek/webhooks-go/template/internal/eval"
)

// A Library is what templates can use beyond Jinja2: filters and functions of the service that
// embeds this package, and ready ones that it switches on. It is immutable and safe for concurrent
// use. A nil *Library has none.
type Library struct{ env *eval.Environment }

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
	// now, utcnow, as_datetime, as_timestamp, datetimeformat, datetimeformat_as_timezone, strftime
	ReadyDates Ready = Ready(builtin.ReadyDates)
	// regex_match, regex_search, regex_replace, regex_findall
	ReadyRegex Ready = Ready(builtin.ReadyRegex)
	// from_json, parse_json, to_json, json_dumps, to_nice_json, tojson_pretty
	ReadyJSON Ready = Ready(builtin.ReadyJSON)
	// base64_encode, base64_decode, b64encode, b64decode
	ReadyBase64 Ready = Ready(builtin.ReadyBase64)
	// md5, sha1, sha256, sha512, hash
	ReadyHashes Ready = Ready(builtin.ReadyHashes)
	// urlquote, urlunquote
	ReadyURLs Ready = Ready(builtin.ReadyURLs)

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

// NewLibrary makes a Library. The error names what is wrong: a name that is no identifier or is
// taken already, a Func without Call, a negative number.
func NewLibrary(config LibraryConfig) (*Library, error) {
	base, err := eval.Shared()
	if err != nil {
		return nil, exported(err)
	}
	if config.Location == nil {
		config.Location = time.LoadLocation
	}
	env, err := base.Extend(&builtin.Service{
		Filters: serviceFuncs(config.Filters), Functions: serviceFuncs(config.Functions),
		Ready: builtin.Ready(config.Ready), Location: config.Location, Markup: markupOf,
	})
	if err != nil {
		return nil, exported(err)
	}
	return &Library{env}, nil
}

func serviceFuncs(public map[string]Func) map[string]builtin.Func {
	funcs := make(map[string]builtin.Func, len(public))
	for name, f := range public {
		funcs[name] = builtin.Func(f)
	}
	return funcs
}

// markupOf returns the text of a Markup.
func markupOf(v any) (string, bool) {
	m, ok := v.(Markup)
	return string(m), ok
}

// environment returns what templates of the library are compiled with.
func (l *Library) environment() (*eval.Environment, error) {
	if l == nil {
		return eval.Shared()
	}
	return l.env, nil
}
