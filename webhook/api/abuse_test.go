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
	id := f.create(customWebhook("secretive", `{"list": [`+many(1000, `"s"`)+`]}`))
	for name, body := range map[string]func(n int) string{
		"deep":   func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) },
		"masked": func(n int) string { return customWebhook("secretive", `{"list": [`+many(n, `"********"`)+`]}`) },
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
	}
}
