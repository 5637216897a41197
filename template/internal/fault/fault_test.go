package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

func TestError(t *testing.T) {
	t.Parallel()
	err := fault.Pos{Line: 3, Col: 7}.Errorf(fault.ErrType, "%q takes no %s", "upper", "number")
	assert.Equal(t, `wrong type or argument: "upper" takes no number`, err.Error())
	require.ErrorIs(t, err, fault.ErrType)
	assert.NotErrorIs(t, err, fault.ErrSyntax)
	assert.Equal(t, &fault.Error{Kind: fault.ErrType, Line: 3, Column: 7, Msg: err.Msg}, err)
	assert.Equal(t, &fault.Error{Kind: fault.ErrSteps, Msg: "7"},
		fault.Errorf(fault.ErrSteps, "%d", 7))
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, msg, want string }{
		{"short", "short", "short"},
		{"at the limit", strings.Repeat("x", 200), strings.Repeat("x", 200)},
		{"over the limit", strings.Repeat("x", 201), strings.Repeat("x", 200) + "…"},
		{"at the limit, of several bytes", strings.Repeat("ä", 200), strings.Repeat("ä", 200)},
		{"over the limit, of several bytes", strings.Repeat("ä", 201), strings.Repeat("ä", 200) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, fault.Errorf(fault.ErrType, "%s", tt.msg).Msg)
			assert.Equal(t, tt.want, fault.Pos{Line: 1, Col: 1}.Errorf(fault.ErrType, "%s", tt.msg).Msg)
		})
	}
}

// The innermost place is kept: an expression around it must not replace it.
func TestAt(t *testing.T) {
	t.Parallel()
	inner, outer := fault.Pos{Line: 2, Col: 5}, fault.Pos{Line: 1, Col: 1}
	for _, tt := range []struct {
		name string
		err  error
		at   []fault.Pos
		want fault.Pos // zero if the error has no place
	}{
		{"no place yet", fault.Errorf(fault.ErrType, "x"), []fault.Pos{inner}, inner},
		{"a place already", inner.Errorf(fault.ErrType, "x"), []fault.Pos{outer}, inner},
		{"two places", fault.Errorf(fault.ErrType, "x"), []fault.Pos{inner, outer}, inner},
		{"unknown place", fault.Errorf(fault.ErrType, "x"), []fault.Pos{{}}, fault.Pos{}},
		{"unknown place first", fault.Errorf(fault.ErrType, "x"), []fault.Pos{{}, outer}, outer},
		{"wrapped", fmt.Errorf("wrapped: %w", fault.Errorf(fault.ErrType, "x")),
			[]fault.Pos{inner}, inner},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.err
			for _, p := range tt.at {
				err = p.At(err)
			}
			require.Equal(t, tt.err, err)
			var e *fault.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tt.want, fault.Pos{Line: e.Line, Col: e.Column})
		})
	}
	require.NoError(t, inner.At(nil))
	assert.Equal(t, io.EOF, inner.At(io.EOF), "other errors pass unchanged")
}

func TestNear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"nothing", "", ""},
		{"white space", " \n\t ", ""},
		{"short", "  a + b  ", "a + b"},
		{"its first line", "\n a\nb", "a"},
		{"30 characters", strings.Repeat("x", 30), strings.Repeat("x", 30)},
		{"31 characters", strings.Repeat("x", 31), strings.Repeat("x", 30)},
		{"31 characters of several bytes", strings.Repeat("漢", 31), strings.Repeat("漢", 30)},
		{"large", strings.Repeat("x", 1<<20), strings.Repeat("x", 30)},
		{"far behind white space", strings.Repeat(" ", 1<<20) + "x", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near := fault.Near(tt.source)
			assert.Equal(t, tt.want, near)
			assert.True(t, utf8.ValidString(near))
		})
	}
}

func TestKindsDiffer(t *testing.T) {
	t.Parallel()
	kinds := []error{
		fault.ErrSyntax, fault.ErrUnknown, fault.ErrForbidden, fault.ErrUndefined, fault.ErrType,
		fault.ErrArithmetic, fault.ErrData, fault.ErrNotJSON, fault.ErrOptions,
		fault.ErrSourceTooLarge, fault.ErrTooDeep, fault.ErrSteps, fault.ErrOutputTooLarge,
		fault.ErrRangeTooLarge, fault.ErrMemory, fault.ErrFunction, fault.ErrInternal,
	}
	texts := make(map[string]bool)
	for i, kind := range kinds {
		assert.False(t, texts[kind.Error()], "the text %q is used twice", kind)
		texts[kind.Error()] = true
		for j, other := range kinds {
			assert.Equal(t, i == j, errors.Is(fault.Errorf(kind, "x"), other), "%v, %v", kind, other)
		}
	}
}
