package event_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	var none event.Problems
	require.NoError(t, none.Err())
	none.AddError("x", nil)
	require.NoError(t, none.Err())

	var inner event.Problems
	inner.Required("url")
	inner.Add("[3]", "must be %d to %d", 1, 5)
	inner.Add("", "must be an object")
	var outer event.Problems
	outer.Required("webhook_name")
	outer.AddError("channels[0].configs", fmt.Errorf("open: %w", inner.Err()))
	outer.AddError("channels[1]", errors.New("unknown channel"))
	outer.AddError("", inner.Err())

	err := fmt.Errorf("create: %w", outer.Err())
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []event.Problem{
		{Field: "webhook_name", Code: event.CodeRequired, Rule: "is required"},
		{Field: "channels[0].configs.url", Code: event.CodeRequired, Rule: "is required"},
		{Field: "channels[0].configs[3]", Code: event.CodeInvalid, Rule: "must be 1 to 5"},
		{Field: "channels[0].configs", Code: event.CodeInvalid, Rule: "must be an object"},
		{Field: "channels[1]", Code: event.CodeInvalid, Rule: "unknown channel"},
		{Field: "url", Code: event.CodeRequired, Rule: "is required"},
		{Field: "[3]", Code: event.CodeInvalid, Rule: "must be 1 to 5"},
		{Field: "", Code: event.CodeInvalid, Rule: "must be an object"},
	}, invalid.Problems)
	assert.Equal(t, "invalid: webhook_name: is required; channels[0].configs.url: is required; "+
		"channels[0].configs[3]: must be 1 to 5; channels[0].configs: must be an object; channels[1]: unknown channel; "+
		"url: is required; [3]: must be 1 to 5; must be an object", invalid.Error())

	// Merging did not change the merged error.
	require.EqualError(t, inner.Err(),
		"invalid: url: is required; [3]: must be 1 to 5; must be an object")
}

// Adding problems does not change an error that Err returned before.
func TestProblemsErrIsASnapshot(t *testing.T) {
	t.Parallel()
	var p event.Problems
	p.Add("a", "is required")
	p.Add("b", "is required")
	p.Add("c", "is required")
	first := p.Err()
	p.Add("d", "is required")
	other := p.Err()
	require.EqualError(t, first, "invalid: a: is required; b: is required; c: is required")
	require.EqualError(t, other,
		"invalid: a: is required; b: is required; c: is required; d: is required")
}

// The number of kept problems and the length of the text are limited.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var inner, outer event.Problems
	for i := range 150 {
		inner.Add("field", "must not be %d", i)
	}
	outer.Add("first", "is required")
	outer.AddError("list[1]", inner.Err())
	outer.AddError("list[2]", errors.New("is wrong"))
	outer.Add("last", "is required")
	var invalid *event.ValidationError
	require.ErrorAs(t, outer.Err(), &invalid)
	require.Len(t, invalid.Problems, event.MaxProblems)
	require.Equal(t, 53, invalid.More, "1 + 150 + 2 problems")
	require.Equal(t, event.Problem{Field: "list[1].field", Code: event.CodeInvalid,
		Rule: "must not be 98"}, invalid.Problems[99])
	require.True(t, strings.HasSuffix(invalid.Error(), "must not be 98; and 53 more"))
}

func TestProblemPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]any{
		"":                                  nil,
		"webhook_name":                      {"webhook_name"},
		"channels[0].configs.url":           {"channels", 0, "configs", "url"},
		"a[10][2]":                          {"a", 10, 2},
		`headers["a b\"].c"].d`:             {"headers", `a b"].c`, "d"},
		"[1]":                               {1},
		"a[x].b":                            {"a", "x", "b"},
		"a[":                                {"a", ""},
		"event_types[3]":                    {"event_types", 3},
		".":                                 {""},
		`channels[0].configs["zwölf"]`:      {"channels", 0, "configs", "zwölf"},
		`channels[1].configs.headers["é"].`: {"channels", 1, "configs", "headers", "é"},
	} {
		assert.Equal(t, want, event.Problem{Field: path}.Path(), path)
	}
}
