package template

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

func library(t testing.TB, config LibraryConfig) *Library {
	t.Helper()
	l, err := NewLibrary(config)
	require.NoError(t, err)
	return l
}

func TestOwnFiltersAndFunctions(t *testing.T) {
	t.Parallel()
	secret := errors.New("hush")
	l := library(t, LibraryConfig{
		Filters: map[string]Func{
			"shout": {Params: "times? mark?",
				Call: func(_ context.Context, input any, args []any) (any, error) {
					n, mark := int64(1), "!"
					if args[0] != nil {
						n, _ = args[0].(int64)
					}
					if args[1] != nil {
						mark, _ = args[1].(string)
					}
					s, _ := input.(string)
					return strings.ToUpper(s) + strings.Repeat(mark, int(n)), nil
				}},
			"bold": {Call: func(_ context.Context, input any, _ []any) (any, error) {
				return Markup("<b>" + input.(string) + "</b>"), nil
			}},
			"same":  {Call: func(_ context.Context, input any, _ []any) (any, error) { return input, nil }},
			"fails": {Call: func(context.Context, any, []any) (any, error) { return nil, secret }},
		},
		Functions: map[string]Func{
			"lookup": {Params: "id", Call: func(_ context.Context, _ any, args []any) (any, error) {
				return map[string]any{"id": args[0], "tags": []string{"a", "b"}}, nil
			}},
			"subject": {Call: func(context.Context, any, []any) (any, error) { return "function", nil }},
		},
	})
	data := map[string]any{"x": "a<b", "list": []any{"p", "q"}, "subject": "field",
		"deep": map[string]any{"a": []any{1, 2.5, nil, true, "s"}}}
	for source, want := range map[string]string{
		"{{ x|shout }} {{ x|shout(2) }} {{ x|shout(mark='?', times=3) }}": "A&lt;B! A&lt;B!! A&lt;B???",
		"{{ list|map('shout', 2)|join(' ') }}":                            "P!! Q!!",
		"{% filter shout(2) %}hi {{ list[0] }}{% endfilter %}":            "HI P!!",
		"{% set y | shout %}z{% endset %}{{ y }}":                         "Z!",
		"{{ 'q'|bold }}":                                     "<b>q</b>",
		"{{ deep|same }}":                                    "{&#39;a&#39;: [1, 2.5, None, True, &#39;s&#39;]}",
		"{{ (list|same).append('r') }}{{ list }}":            "None[&#39;p&#39;, &#39;q&#39;]",
		"{{ lookup(7).id + 1 }} {{ lookup('k').tags|last }}": "8 b",
		"{{ subject }} {{ subject() }}":                      "field function",
		"{{ 'shout' is filter }} {{ 'nope' is filter }} {{ lookup is callable }}":           "True False True",
		"{% macro m() %}{{ x|shout }}{% endmacro %}{% for i in [1] %}{{ m() }}{% endfor %}": "A&lt;B!",
	} {
		got, err := render(t, source, data, Options{Format: FormatHTML, Library: l})
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
	for source, want := range map[string]string{
		"{{ missing|shout }}":    "template: line 1, column 13: undefined value used: 'missing' is undefined",
		"{{ x|shout(1, 2, 3) }}": "template: line 1, column 7: wrong type or argument: the filter 'shout' takes at most 2 arguments, got 3",
		"{{ lookup() }}":         `template: line 1, column 10: wrong type or argument: lookup() needs the argument "id"`,
		"{{ x|fails }}":          "template: line 1, column 7: function failed: the filter 'fails' failed",
	} {
		_, err := render(t, source, data, Options{Library: l})
		require.Error(t, err, source)
		assert.NotContains(t, err.Error(), "hush")
		assert.Contains(t, err.Error(), strings.SplitN(want, ": ", 3)[2], source)
	}
	_, err := render(t, "{{ x|fails }}", data, Options{Library: l})
	require.ErrorIs(t, err, ErrFunction)
	require.ErrorIs(t, err, secret)

	// What one library has, templates without it do not.
	_, err = Compile("ab\n {{ x|shout }}", Options{})
	require.ErrorIs(t, err, ErrUnknown)
	assert.ErrorContains(t, err, "line 2, column 7")
	_, err = CompileObject([]byte(`{"a": "{{ x|shuot }}"}`), Options{Library: l})
	require.ErrorIs(t, err, ErrUnknown)
	assert.ErrorContains(t, err, `"shuot"`)
	o, err := CompileObject([]byte(`{"a": "{{ x|shout }}", "b": "{{ lookup(1).id }}"}`),
		Options{Library: l})
	require.NoError(t, err)
	b, err := o.Render(t.Context(), data)
	require.NoError(t, err)
	assert.JSONEq(t, `{"a": "A<B!", "b": 1}`, string(b))
}

func TestHostileFunctions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		l := library(t, LibraryConfig{Functions: map[string]Func{
			"panics": {Call: func(context.Context, any, []any) (any, error) { panic("hush") }},
			"huge": {Call: func(context.Context, any, []any) (any,
				error) {
				return strings.Repeat("x", 16<<20), nil
			}},
			"wide": {Call: func(context.Context, any, []any) (any, error) {
				return make([]any, 1<<20),
					nil
			}},
			"cyclic": {Call: func(context.Context, any, []any) (any, error) {
				m := map[string]any{}
				m["self"] = m
				return m, nil
			}},
			"channel": {Call: func(context.Context, any, []any) (any, error) { return make(chan int), nil }},
			"slow": {Call: func(ctx context.Context, _ any, _ []any) (any, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}},
			"deaf": {Timeout: time.Second, Call: func(context.Context, any, []any) (any, error) {
				time.Sleep(2 * time.Second)
				return "late", nil
			}},
			"count": {Call: func(context.Context, any, []any) (any, error) { calls++; return nil, nil }},
			"takes": {Params: "x", Call: func(context.Context, any, []any) (any, error) { return nil, nil }},
		}})
		for source, want := range map[string]error{
			"{{ panics() }}":  ErrFunction,
			"{{ huge() }}":    ErrMemory,
			"{{ wide() }}":    ErrMemory,
			"{{ cyclic() }}":  ErrTooDeep,
			"{{ channel() }}": ErrData,
			"{{ slow() }}":    context.DeadlineExceeded,
			"{{ deaf() }}":    ErrFunction,
			"{% for i in range(100000) %}{{ count() }}{% endfor %}": ErrSteps,
			"{{ takes(takes) }}": ErrType,
			"{% set l = [] %}{% set _ = l.append(l) %}{{ takes(l) }}": ErrTooDeep,
			"{% set l = [1] * 400000 %}{{ takes(l) }}{{ takes(l) }}":  ErrSteps,
		} {
			_, err := render(t, source, nil, Options{Library: l})
			assert.ErrorIs(t, err, want, source)
			assert.NotErrorIs(t, err, ErrInternal, source)
			assert.NotContains(t, err.Error(), "hush", source)
		}
		assert.LessOrEqual(t, calls, 2000)

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		tpl, err := Compile("{{ slow() }}", Options{Library: l})
		require.NoError(t, err)
		begun := time.Now()
		_, err = tpl.Render(ctx, nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Millisecond, time.Since(begun), "the render's context ends the call")
	})
}

func TestLibraryProblems(t *testing.T) {
	t.Parallel()
	call := func(context.Context, any, []any) (any, error) { return nil, nil }
	for want, config := range map[string]LibraryConfig{
		"the filter 'upper' has the name of another":                          {Filters: map[string]Func{"upper": {Call: call}}},
		"the function 'now' has the name of another":                          {Functions: map[string]Func{"now": {Call: call}}, Ready: ReadyDates},
		"the filter 'a-b' must have a name":                                   {Filters: map[string]Func{"a-b": {Call: call}}},
		"the filter '' must have a name":                                      {Filters: map[string]Func{"": {Call: call}}},
		"the function 'f' has no Call":                                        {Functions: map[string]Func{"f": {}}},
		"the function 'f' must not have negative Steps or Timeout":            {Functions: map[string]Func{"f": {Call: call, Steps: -1}}},
		"the filter 'f' must not have negative Steps or Timeout":              {Filters: map[string]Func{"f": {Call: call, Timeout: -1}}},
		"the filter 'f' must have Params with different names":                {Filters: map[string]Func{"f": {Call: call, Params: "a a"}}},
		"the function 'f' must have Params with":                              {Functions: map[string]Func{"f": {Call: call, Params: "*"}}},
		"the function 'f' has a parameter that is required after one that is": {Functions: map[string]Func{"f": {Call: call, Params: "a? b"}}},
		"Ready has a set that does not exist":                                 {Ready: 1 << 20},
	} {
		_, err := NewLibrary(config)
		assert.ErrorContains(t, err, want)
	}
	_, err := NewLibrary(LibraryConfig{Functions: map[string]Func{"now": {Call: call}}})
	assert.NoError(t, err, "the ready ones that are off take no names")
}

func TestReadyOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it is midnight of 2000-01-01 UTC
		l := library(t, LibraryConfig{Ready: ReadyAll,
			Location: func(name string) (*time.Location, error) {
				if name != "Europe/Berlin" {
					return nil, errors.New("no such zone")
				}
				return time.FixedZone("CET", 3600), nil
			}})
		data := map[string]any{"at": "2025-10-08T16:09:05.25Z", "epoch": 1759939745,
			"text": "order 12 of 345", "json": `{"b": [1, 2.5, 12345678901234567890], "a": "x"}`,
			"uml": "Grüße/ &+~"}
		for source, want := range map[string]string{
			"{{ now() }} {{ utcnow() }} {{ now('Europe/Berlin') }}":                                                                                             "2000-01-01 00:00:00+00:00 2000-01-01 00:00:00+00:00 2000-01-01 01:00:00+01:00",
			"{{ now().year }}-{{ now().month }} {{ now().isoformat() }}":                                                                                        "2000-1 2000-01-01T00:00:00+00:00",
			"{{ now().strftime('%A %d %B') }} {{ now().timestamp() }}":                                                                                          "Saturday 01 January 946684800.0",
			"{{ as_datetime(at) }} {{ at|as_timestamp }} {{ 'x'|as_timestamp(0) }}":                                                                             "2025-10-08 16:09:05.250000+00:00 1759939745.25 0",
			"{{ as_datetime(at) > now() }} {{ as_datetime(epoch) == as_datetime(epoch|string) }}":                                                               "True True",
			"{{ at|datetimeformat }} {{ epoch|datetimeformat('%Y-%m-%d') }}":                                                                                    "16:09 / 08-10-2025 2025-10-08",
			"{{ at|datetimeformat_as_timezone('%H:%M %Z', 'Europe/Berlin') }}":                                                                                  "17:09 CET",
			"{{ at|strftime('%F') }} {{ '%Y'|strftime(epoch) }} {{ '%Y'|strftime }}":                                                                            "2025-10-08 2025 2000",
			"{{ at|strftime('%-d.%-m. %j %U %W %V %G %u %w %f %s %% %e %I%p %y %z %C') }}":                                                                      "8.10. 281 40 40 41 2025 3 3 250000 1759939745 %  8 04PM 25 +0000 20",
			"{{ text|regex_search('[0-9]+') }} {{ text|regex_match('[0-9]+') }}":                                                                                "True False",
			"{{ text|regex_findall('[0-9]+') }} {{ text|regex_findall('(o)(r|f)') }}":                                                                           "['12', '345'] [('o', 'r'), ('o', 'f')]",
			"{{ 'a b'|regex_replace('\\\\b', '|') }} {{ 'xay'|regex_findall('a*') }} {{ 'éab'|regex_replace('b?', '-') }} {{ 'aaa'|regex_replace('^a', 'b') }}": "|a| |b| ['', 'a', ''] -é-a- baa",
			`{{ text|regex_replace('([a-z]+) ([0-9]+)', '\\2 \\g<1>$1') }}`:                                                                                     "12 order$1 345 of$1",
			"{{ text|regex_replace('ORDER', 'x', true) }} {{ text|regex_replace('ORDER', 'x') }}":                                                               "x 12 of 345 order 12 of 345",
			"{{ (json|from_json).b[2] }} {{ json|parse_json|to_json }}":                                                                                         `12345678901234567890 {"a": "x", "b": [1, 2.5, 12345678901234567890]}`,
			"{{ 'no'|from_json('none') }} {{ {'ü': 1}|json_dumps }}":                                                                                            `none {"ü": 1}`,
			"{{ [1]|to_nice_json }}": "[\n    1\n]",
			"{{ 'hé'|base64_encode }} {{ 'aMOp'|b64decode }} {{ 'aMOp'|b64decode|b64encode }} {{ 'fn5-fg'|base64_decode }}": "aMOp hé aMOp ~~~~",
			"{{ ''|md5 }} {{ 'a'|hash }} {{ 'a'|hash('md5') }}":                                                             "d41d8cd98f00b204e9800998ecf8427e 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8 0cc175b9c0f1b6a831c399e269772661",
			"{{ 'a'|sha256 }} {{ ('a'|sha512)[:8] }} {{ 'a'|sha1 == 'a'|hash('sha1') }}":                                    "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb 1f40fc92 True",
			"{{ uml|urlquote }} {{ uml|urlquote|urlunquote }}":                                                              "Gr%C3%BC%C3%9Fe%2F%20%26%2B~ Grüße/ &+~",
		} {
			got, err := render(t, source, data, Options{Library: l})
			if assert.NoError(t, err, source) {
				assert.Equal(t, want, got, source)
			}
		}
	})
}

// A hostile use of each of the ready ones is an error, within the limits.
func TestHostileUseOfReadyOnes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	l := library(t, LibraryConfig{Ready: ReadyAll})
	big := strings.Repeat("ab ", 1<<20)
	data := map[string]any{"big": big, "brackets": strings.Repeat("[", 100_000),
		"zeros": "[" + strings.Repeat("0,", 1<<20) + "0]"}
	for source, want := range map[string]error{
		"{{ 'x'|strftime('%F') }}":                                                ErrType,
		"{{ 1e300|strftime('%F') }}":                                              ErrType,
		"{{ (0/1)|datetimeformat('%Q') }}":                                        ErrType,
		"{{ 0|datetimeformat('%F', 'Local') }}":                                   ErrType,
		"{{ 0|datetimeformat('%F', '../../etc/passwd') }}":                        ErrType,
		"{{ 0|datetimeformat('%F', 'Europe/Atlantis') }}":                         ErrType,
		"{{ 0|datetimeformat('%c' * 1000000) }}":                                  ErrMemory,
		"{{ missing|datetimeformat }}":                                            ErrUndefined,
		"{% for i in range(100000) %}{{ now('UTC') }}{% endfor %}":                ErrSteps,
		"{{ 'a'|regex_search('(') }}":                                             ErrType,
		`{{ 'a'|regex_search('(a)\\1') }}`:                                        ErrType,
		"{{ 'a'|regex_search('(a{100}){100}') }}":                                 ErrType,
		"{{ 'a'|regex_search('((a?){30}){30}(a{1000})') }}":                       ErrType,
		"{{ 'a'|regex_search('a' * 2000) }}":                                      ErrType,
		"{{ big|regex_search('(a|ab|b)*c') }}":                                    ErrSteps,
		"{{ big|regex_findall('') }}":                                             ErrSteps,
		"{{ big|regex_replace('', 'x') }}":                                        ErrSteps,
		"{{ (big[:30000])|regex_replace('', big[:30000]) }}":                      ErrSteps,
		`{{ 'a'|regex_replace('a', '\\7') }}`:                                     ErrType,
		`{{ 'a'|regex_replace('a', '\\g<b>') }}`:                                  ErrType,
		"{% for i in range(100000) %}{{ 'a'|regex_search('a' ~ i) }}{% endfor %}": ErrSteps,
		"{{ big|from_json }}":                                                     ErrMemory,
		"{{ zeros|from_json }}":                                                   ErrMemory,
		"{{ brackets|from_json }}":                                                ErrType,
		"{{ 'x'|from_json }}":                                                     ErrType,
		"{{ '1 2'|from_json }}":                                                   ErrType,
		"{{ now|to_json }}":                                                       ErrType,
		"{{ big|b64encode|b64encode }}":                                           ErrSteps,
		"{{ '%%'|b64decode }}":                                                    ErrType,
		"{{ '/////w'|b64decode }}":                                                ErrType,
		"{{ 'a'|hash('crc32') }}":                                                 ErrType,
		"{% for i in range(9) %}{{ big|sha512 }}{% endfor %}":                     ErrSteps,
		"{{ big|urlquote }}":                                                      ErrMemory,
		"{{ '%zz'|urlunquote }}":                                                  ErrType,
	} {
		_, err := render(t, source, data, Options{Library: l})
		assert.ErrorIs(t, err, want, source)
		assert.NotErrorIs(t, err, ErrInternal, source)
	}
}

// SYNTAX.md lists all ready ones, each with its set.
func TestReadyTable(t *testing.T) {
	t.Parallel()
	base, err := eval.Shared()
	require.NoError(t, err)
	const heading = "## Filters and functions of the service"
	arguments, sets := documented(t, heading), map[string]string{}
	for _, row := range syntaxTable(t, heading) {
		sets[row[0][0]] = row[2][0]
	}
	for name, set := range map[string]Ready{
		"ReadyDates": ReadyDates, "ReadyRegex": ReadyRegex, "ReadyJSON": ReadyJSON,
		"ReadyBase64": ReadyBase64, "ReadyHashes": ReadyHashes, "ReadyURLs": ReadyURLs,
	} {
		l := library(t, LibraryConfig{Ready: set})
		for filter, f := range l.env.Filters {
			if _, ok := base.Filters[filter]; ok {
				continue
			}
			assert.Equal(t, name, sets[filter], filter)
			assert.Equal(t, f.Params, arguments[filter], filter)
			delete(sets, filter)
		}
	}
	assert.Empty(t, sets, "what SYNTAX.md has and we do not")
	var functions []string
	for name, g := range library(t, LibraryConfig{Ready: ReadyAll}).env.Globals {
		if _, ok := base.Globals[name]; !ok {
			functions = append(functions, "`"+name+"("+g.(*python.Function).Params+")`")
		}
	}
	b, err := os.ReadFile("SYNTAX.md")
	require.NoError(t, err)
	for _, f := range functions {
		assert.Contains(t, string(b), f)
	}
}
