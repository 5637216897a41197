package api_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// many is n copies of an element, as the elements of a list.
func many(n int, element string) string {
	return strings.TrimSuffix(strings.Repeat(element+",", n), ",")
}

// largeBodies are bodies just below the limit of 1 MiB, and where each of them is
// refused.
func largeBodies() map[string]struct{ body, problem string } {
	subscription := func(types, channels string) string {
		return `{"webhook_name": "n", "event_types": [` + types + `], "channels": [` + channels + `]}`
	}
	hook := func(more string) string {
		return `{"channel": "webhook", "configs": {"url": "https://example.com/"` + more + `}}`
	}
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]struct{ body, problem string }{
		"channels":         {subscription(`"a.b"`, many(340_000, `{}`)), "body.channels: too_long"},
		"types":            {subscription(many(200_000, `"X"`), hook("")), "body.event_types: too_long"},
		"types of nothing": {subscription(many(300_000, `""`), hook("")), "body.event_types: too_long"},
		"headers":          {subscription(`"a.b"`, hook(`, "headers": {`+strings.TrimSuffix(numbered(60_000, `"X-%d": "",`), ",")+`}`)), "body.channels: value_error"},
		"unknown fields":   {subscription(`"a.b"`, hook(numbered(60_000, `, "x%d": 1`))), "body.channels: value_error"},
		"members":          {`{"webhook_name": ""` + numbered(60_000, `, "x%d": 1`) + `}`, ": value_error"},
		"recipients":       {subscription(`"a.b"`, `{"channel": "email", "configs": {"to_addresses": [`+many(300_000, `""`)+`]}}`), "body.channels: value_error"},
		"secrets":          {subscription(`"a.b"`, hook(`, "signing_secrets": [`+many(90_000, `"********"`)+`]`)), "body.channels: value_error"},
		"templates":        {subscription(`"a.b"`, many(16, hook(`, "payload_template": {"a": "`+strings.Repeat(`{{a}}`, 13_000)+`"}`))), "body.channels: value_error"},
		"empty objects":    {`{"template": [` + many(340_000, `{}`) + `]}`, "body.template: value_error"},
		"depth":            {strings.Repeat(`[`, 500_000) + strings.Repeat(`]`, 500_000), ": json_invalid"},
		"depth and width":  {`{"channels": ` + strings.Repeat(`[[],`, 200_000) + `[]` + strings.Repeat(`]`, 200_000) + `}`, ": json_invalid"},
		"one name":         {`{"channels": [{` + many(120_000, `"a": {}`) + `}]}`, "body.channels.0.a: value_error"},
		"no JSON":          {strings.Repeat(`[`, 1_000_000), ": json_invalid"},
	}
}

// allocated is how many bytes work allocates.
func allocated(work func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// A body costs a few times what it weighs, whatever is in it, alone and 16 at
// once: the bounds stop the work where they are crossed.
func TestLargeBodiesCostLittle(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	f := newFixture(t, options{})
	const most = 8 << 20
	for name, test := range largeBodies() {
		path := prefix
		if strings.Contains(test.body[:min(len(test.body), 20)], "template") {
			path += "/preview"
		}
		assert.Less(t, len(test.body), 1<<20, name)
		var a *answer
		cost := allocated(func() { a = f.do("POST", path, test.body) })
		assert.Contains(t, strings.Join(a.problems(), "\n"), test.problem, name)
		assert.LessOrEqual(t, len(a.problems()), 101, name)
		assert.Less(t, len(a.Body), 64<<10, name)
		assert.Less(t, cost, most, "%s: %d KiB", name, cost>>10)
		if !slices.Contains([]string{"channels", "types", "templates"}, name) {
			continue
		}
		together := allocated(func() {
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					assert.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusTooManyRequests}, f.do("POST", path, test.body).Status, name)
				})
			}
			all.Wait()
		})
		assert.Less(t, together, 16*most, name)
	}
}
