package template

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/builtin"
	"github.com/mixpeek/webhooks-go/template/internal/eval"
)

// A Library has what templates can use beyond Jinja2: filters and functions of the service that
// embeds this package, and ready-made ones that the service switches on. It is immutable and safe
// for concurrent use. A nil *Library has none.
type Library struct{ env *eval.Environment }

// LibraryConfig says what a [Library] offers. The zero value offers nothing.
type LibraryConfig struct {
	// Filters are called as x|name(arguments), under the names of the map.
	Filters map[string]Func
	// Functions are called as name(arguments). Without parentheses the name means the event's field of
	// that name.
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
	// ReadyDates has now, utcnow, as_datetime, as_timestamp, datetimeformat,
	// datetimeformat_as_timezone and strftime.
	ReadyDates Ready = Ready(builtin.ReadyDates)
	// ReadyRegex has regex_match, regex_search, regex_replace and regex_findall.
	ReadyRegex Ready = Ready(builtin.ReadyRegex)
	// ReadyJSON has from_json, parse_json, to_json, json_dumps, to_nice_json and tojson_pretty.
	ReadyJSON Ready = Ready(builtin.ReadyJSON)
	// ReadyBase64 has base64_encode, base64_decode, b64encode and b64decode.
	ReadyBase64 Ready = Ready(builtin.ReadyBase64)
	// ReadyHashes has md5, sha1, sha256, sha512 and hash.
	ReadyHashes Ready = Ready(builtin.ReadyHashes)
	// ReadyURLs has urlquote and urlunquote.
	ReadyURLs Ready = Ready(builtin.ReadyURLs)

	// ReadyAll has all sets.
	ReadyAll = ReadyDates | ReadyRegex | ReadyJSON | ReadyBase64 | ReadyHashes | ReadyURLs
)

// A Func is a filter or function of the embedding service.
type Func struct {
	// Params names the parameters, separated by blanks, so that templates can give them by position or
	// by name. A parameter whose name ends in ? may be left out. The value before the | of a filter is
	// not a parameter. Defaults to none.
	Params string

	// Call computes the result. Call is called by many goroutines at once. Its input is the value
	// before the | of a filter, and nil for a function; its args are in the order of Params, nil where
	// they were left out. Values are nil, bool, int64, float64, json.Number for other integers,
	// string, []any and map[string]any; they are copies. An undefined value is never passed: the
	// render ends with an error instead.
	//
	// The result may be any value that Render accepts as data, or a [Markup]. It is copied, and its
	// size counts for Limits.Memory. If Call returns an error or panics, the render ends with
	// ErrFunction. errors.Is and errors.As find the error of Call in that of the render, whose text
	// does not repeat it, because it may contain data.
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

// Markup is text that is already in the format of the template's output, such as HTML. It is
// printed without being escaped.
type Markup string

// NewLibrary returns a Library. It returns an error that matches ErrOptions if a name is not an
// identifier or is already in use, a Func has no Call, or a number is negative.
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
