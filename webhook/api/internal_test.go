package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The type of a problem depends on its code only, and not on its text.
func TestTypeOfProblem(t *testing.T) {
	t.Parallel()
	found := &event.ValidationError{Problems: []event.Problem{
		{Field: "channels[0].configs.url", Code: event.CodeRequired, Rule: "must be there"},
		{Field: "name", Code: event.CodeInvalid, Rule: "is required"},
	}}
	assert.Equal(t, []ValidationProblem{
		{Location: []any{"body", "channels", 0, "configs", "url"}, Message: "must be there",
			Type: typeMissing},
		{Location: []any{"body", "name"}, Message: "is required", Type: typeValue},
	}, bodyProblems(found))
}

func TestErrorTypes(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for status := 400; status < 600; status++ {
		kind := errorType(status)
		if kind != "InternalServerError" {
			assert.Zero(t, seen[kind], kind)
		}
		seen[kind] = status
	}
	assert.Len(t, seen, 12)
}

// RFC 3339 allows "t" and "z" in lower case.
func TestTimesInLowerCase(t *testing.T) {
	t.Parallel()
	want := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, s := range []string{"2025-01-31T12:00:00Z", "2025-01-31t12:00:00z",
		"2025-01-31t13:00:00+01:00", "2025-01-31t12:00:00"} {
		got, err := parseTime(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
}

// Routes returns the API's routes as "METHOD path", the path relative to the prefix.
func (a *API) Routes() []string {
	var list []string
	for _, r := range a.routes() {
		list = append(list, r.method+" "+r.path)
	}
	return list
}

// A list in If-Match may have half a million tags. Not parallel, because it counts what is allocated.
func TestTagsOfIfMatchCostNothingEach(t *testing.T) {
	allocs := func(tags int) float64 {
		r := &request{Request: httptest.NewRequest(http.MethodDelete, "/", nil)}
		r.Header.Set("If-Match", strings.Repeat(`"1",`, tags))
		return testing.AllocsPerRun(10, func() {
			require.Error(t, checkIfMatch(r, &webhook.Subscription{Revision: 1 << 40}))
		})
	}
	assert.InDelta(t, allocs(1), allocs(1_000), 3)
}
