package jsontext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, rule string
		offset     int
		path       []any
	}{
		{``, jsontext.RuleTruncated, 0, nil},
		{` x`, jsontext.RuleSyntax, 1, nil},
		{`{"a":[1, tru]}`, jsontext.RuleSyntax, 9, []any{"a", 1}},
		{`{"a":{"\u0062":1,"b":2}}`, jsontext.RuleDuplicate, 21, []any{"a", "b"}},
		{`[[[[]]]]`, jsontext.RuleDepth, 4, []any{0, 0, 0}},
		{`{"a":"`, jsontext.RuleTruncated, 6, []any{"a"}},
		{`{"a" 1}`, jsontext.RuleSyntax, 5, nil},
	} {
		_, err := jsontext.NewReader([]byte(test.text), 3).Value()
		var invalid *jsontext.Error
		require.ErrorAs(t, err, &invalid, test.text)
		assert.Equal(t, test.rule, invalid.Rule, test.text)
		assert.Equal(t, test.offset, invalid.Offset, test.text)
		assert.Equal(t, test.path, invalid.Path(), test.text)
		assert.NotContains(t, err.Error(), `"`)
	}
}

// Every method reads only the kind of value that its name says.
func TestReaderKinds(t *testing.T) {
	t.Parallel()
	read := map[string]func(r *jsontext.Reader) error{
		"an object": func(r *jsontext.Reader) error { _, err := r.Map(); return err },
		"an array":  func(r *jsontext.Reader) error { return r.Array(r.Skip) },
		"a string":  func(r *jsontext.Reader) error { _, err := r.Text(); return err },
		"a number":  func(r *jsontext.Reader) error { _, err := r.Number(); return err },
		"null": func(r *jsontext.Reader) error {
			if !r.Null() {
				return r.Fail("must be null")
			}
			return nil
		},
	}
	texts := map[string]string{"an object": ` {"a":[1]}`, "an array": ` [{}]`, "a string": ` "x"`,
		"a number": ` -1.5e3`, "null": ` null`, "true": ` true`}
	for kind, f := range read {
		for is, text := range texts {
			r := jsontext.NewReader([]byte(text+" "), 2)
			err := f(r)
			if is != kind {
				require.Error(t, err, "%s as %s", text, kind)
				continue
			}
			require.NoError(t, err, text)
			assert.Equal(t, len(text), r.Offset(), text)
			assert.True(t, r.AtEnd(), text)
		}
	}
}

// The limit counts arrays and objects, and none of them are allowed below 1.
func TestReaderDepth(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{-1, 0, 1, jsontext.MaxDepth} {
		for _, extra := range []int{0, 1} {
			n := max(depth, 0) + extra
			text := strings.Repeat("[", n) + "1" + strings.Repeat("]", n)
			err := jsontext.NewReader([]byte(text), depth).Skip()
			assert.Equal(t, extra == 1, err != nil, "%d in %d", n, depth)
		}
	}
}

func TestReaderReplacesInvalidUTF8(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\"a\xff\xfeb\"": "a\ufffd\ufffdb", "\"\\n\xe2\x82\"": "\n\ufffd\ufffd", `"\ud800x"`: "\ufffdx",
	} {
		s, err := jsontext.NewReader([]byte(text), 0).Text()
		require.NoError(t, err)
		assert.Equal(t, want, string(s))
	}
	assert.False(t, jsontext.NewReader([]byte("\xff"), 0).ValidUTF8())
}

func TestValidNumber(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"0", "-0", "10.50e+3", "1E5", "123456789012345678901234567890"} {
		assert.True(t, jsontext.ValidNumber(s), s)
	}
	for _, s := range []string{"", "-", "01", "1.", ".5", "+1", "1e", " 1", "1 ", "NaN", "1,"} {
		assert.False(t, jsontext.ValidNumber(s), s)
	}
}
