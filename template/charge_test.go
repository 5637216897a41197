package template

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// countingContext counts the looks at it.
type countingContext struct {
	context.Context
	looks int
}

func (c *countingContext) Err() error {
	c.looks++
	return c.Context.Err()
}

// A long value is written piece by piece, with looks at the context in between: a cancellation need
// not wait for all of it.
func TestLongValuesAreWrittenPieceByPiece(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	for _, c := range []struct {
		format         Format
		begin, x, tail string
		least          int
	}{
		{FormatHTML, "<a title=", `"`, ">", 40},
		{FormatHTML, `<a title="`, `"`, `">`, 40},
		{FormatHTML, "<p>", "<", "</p>", 40},
		{FormatMarkdown, "", "*", "", 4},
		{FormatMarkdown, "```\n", "a\n", "```", 4},
		{FormatMarkdown, "", "\r", "", 4},
		{FormatMarkdown, "", "\x80", "", 4},
		{FormatMarkdown, "", "\r\n", "", 4},
	} {
		tpl, err := Compile(c.begin+"{{ x }}"+c.tail, Options{Format: c.format})
		require.NoError(t, err)
		ctx := &countingContext{Context: t.Context()}
		_, err = tpl.Render(ctx, map[string]any{"x": repeated(c.x, 180_000/len(c.x))})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, ctx.looks, c.least, c.begin)

		_, err = tpl.Render(t.Context(), map[string]any{"x": repeated(c.x, 2<<20)})
		require.ErrorIs(t, err, ErrOutputTooLarge, "%q", c.x)
	}
}

// What costs a microsecond or more each time costs more than a step.
func TestCallsThatTakeLongCostSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	l := library(t, LibraryConfig{Ready: ReadyAll})
	for _, source := range []string{
		"{% for i in range(20000) %}{% set x = 0|strftime %}{% endfor %}",
		"{% for i in range(20000) %}{% set x = '2025-10-08T16:09:00Z'|datetimeformat %}{% endfor %}",
		"{{ ('Σ' * 30000)|unique|list|length }}", "{{ ('Σ' * 30000)|sort|length }}",
		"{% for i in range(20000) %}{% set x = 'Σ'.lower() %}{% endfor %}",
	} {
		_, err := render(t, source, nil, Options{Library: l})
		require.ErrorIs(t, err, ErrSteps, source)
	}
}
