package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// However many things are wrong, the answer stays short, and says so.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"x%d":1`, i)
		}
		return b.String()
	}
	for body, want := range map[string]string{
		`{"webhook_name": 1` + fields(97) + `}`:                    "",
		`{"webhook_name": 1` + fields(98) + `}`:                    "has 1 more problems",
		`{"webhook_name": 1` + fields(15_000) + `}`:                "has 14903 more problems",
		`{"event_types": [""` + strings.Repeat(`,"X"`, 400) + `]}`: "has 303 more problems",
		`{"channels": [{}` + strings.Repeat(`,{"a":1}`, 49) + `]}`: "has 51 more problems",
	} {
		a := f.do("POST", prefix, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status)
		var res api.ValidationResponse
		require.NoError(t, json.Unmarshal(a.Body, &res))
		last := res.Detail[len(res.Detail)-1]
		if want == "" {
			assert.Len(t, res.Detail, 100)
			assert.NotEqual(t, "too_many_problems", last.Type)
			continue
		}
		assert.Len(t, res.Detail, 101)
		assert.Equal(t, want, last.Message)
		assert.Equal(t, "too_many_problems", last.Type)
	}
}

// A location names all that it is in, so that many of them could be many times as
// large as the body.
func TestAnswersAreNoAmplifier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	below := func(names, length int, inner string) string {
		name := `{"` + strings.Repeat("n", length) + `":`
		return strings.Repeat(name, names) + inner + strings.Repeat("}", names)
	}
	headers := func(value string) string {
		return `{"channels": [{"channel": "webhook", "configs": {"url": "https://example.com/", "headers": ` + value + `}}]}`
	}
	const long = 4000
	for name, body := range map[string]string{
		"names that stand twice": `{"a": ` + below(200, long, `{`+many(150, `"a": 1`)+`}`) + `}`,
		"masks":                  headers(below(50, long, `[`+many(150, `"********"`)+`]`)),
		"masks, deep":            headers(below(240, 20, `[`+many(150, `"********"`)+`]`)),
		"unknown names":          `{` + unknown(100, strings.Repeat("<", long)) + `}`,
	} {
		a := f.do("POST", prefix, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, name)
		assert.Less(t, len(a.Body), 128<<10, name)
		assert.Contains(t, string(a.Body), "…", name)
		assert.Contains(t, string(a.Body), "more problems", name)
	}
	assert.Less(t, len(f.do("GET", prefix+"/deliveries?"+strings.Repeat("<", 500_000), "").Body), 1000)
}

// unknown is n members of names that begin with the text.
func unknown(n int, text string) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d%s": 1`, i, text)
	}
	return strings.Join(members, ",")
}

// What a secret costs does not depend on the names of what it is in.
func TestLongNamesCostLittle(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("secretive", takesAll{}))
	configs := func(value string) string {
		return `{"` + strings.Repeat("n", 30_000) + `": [` + many(10_000, value) + `]}`
	}
	id := f.create(customSubscription("secretive", configs("1")))
	for name, work := range map[string]func() *answer{
		"masks": func() *answer {
			return f.do("PUT", prefix+"/"+id, customSubscription("secretive", configs(`"********"`)))
		},
		"reveal": func() *answer {
			return f.do("GET", prefix+"/"+id+"?reveal=channels.0.configs."+strings.Repeat("n", 29_999)+"x.1", "")
		},
	} {
		assert.Less(t, allocated(func() { work() }), 80<<20, name)
	}
	f.do("PUT", prefix+"/"+id, customSubscription("secretive", configs(`"********"`))).want(http.StatusOK)
	shown := f.do("GET", prefix+"/"+id+"?reveal=channels.0.configs."+strings.Repeat("n", 30_000)+".9999", "").want(http.StatusOK)
	assert.Equal(t, 1, strings.Count(jsonString(shown), "1]"), "the last one, and no other")
	many := "?" + strings.Repeat("reveal=x&", 101)
	assert.Equal(t, []string{"query.reveal: too_long"}, f.do("GET", prefix+"/"+id+many, "").problems())
}

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	nested := func(depth int) string {
		return `{"template": ` + strings.Repeat(`{"a":`, depth-1) + `"x"` + strings.Repeat(`}`, depth-1) + `}`
	}
	assert.Equal(t, []string{"body: json_invalid"}, f.do("POST", prefix+"/preview", nested(257)).problems())
	assert.Equal(t, []string{"body.template: template_error"}, f.do("POST", prefix+"/preview", nested(256)).problems())
}

// What a body costs grows with its size and not with the square of it. Memory
// says so where time would depend on the machine.
func TestBodiesCostWhatTheyWeigh(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	f := newFixture(t, options{})
	require.NoError(t, f.registry.Register("secretive", takesAll{}))
	many := func(n int, format string) string {
		return strings.TrimSuffix(strings.Repeat(format+",", n), ",")
	}
	id := f.create(customSubscription("secretive", `{"list": [`+many(1000, `"s"`)+`]}`))
	for name, body := range map[string]func(n int) string{
		"deep":   func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) },
		"masked": func(n int) string { return customSubscription("secretive", `{"list": [`+many(n, `"********"`)+`]}`) },
		"channels": func(n int) string {
			return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + many(n, `{"channel": "secretive", "configs": {"list": []}}`) + `]}`
		},
		"unknown": func(n int) string {
			return `{"channels": [` + many(n, `{"a": 1}`) + `], "event_types": [` + many(n, `1`) + `]}`
		},
	} {
		cost := func(n int) float64 {
			body := body(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f.do("PUT", prefix+"/"+id, body)
			runtime.ReadMemStats(&after)
			return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
		}
		cost(1000)
		small, large := cost(1000), cost(8000)
		assert.Less(t, large, 3*small, "%s: bytes allocated for each byte of the body", name)
	}
}

// A filter whose escapes are wrong is refused; passed over, it would select
// everything.
func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, query := range []string{"status=%zz", "status=dead;limit=1", "%"} {
		assert.Equal(t, []string{"query: value_error"}, f.do("GET", prefix+"/deliveries?"+query, "").problems(), query)
		assert.Equal(t, []string{"query: value_error"}, f.do("GET", prefix+"/wh_0123456789abcdef?reveal="+query, "").problems(), query)
	}
}
