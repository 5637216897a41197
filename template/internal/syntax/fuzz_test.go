package syntax_test

import (
	"encoding/json"
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/cputime"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// addSources seeds a fuzz target with the templates of the conformance cases.
func addSources(f *testing.F) {
	f.Helper()
	text, err := os.ReadFile("../../testdata/cases.json")
	require.NoError(f, err)
	var file struct {
		Cases []struct {
			Template string `json:"template"`
		} `json:"cases"`
	}
	require.NoError(f, json.Unmarshal(text, &file))
	require.NotEmpty(f, file.Cases)
	for _, c := range file.Cases {
		f.Add(c.Template)
	}
	for _, source := range []string{"{% raw %}{{", "{% raw -%} x {%+ endraw +%}", "{{ '\\", "{{ 0x",
		"{{ a.1.5 }}\r\n{#-", "{{ {'}}': [(1e999)]} -}}", "\xff{{"} {
		f.Add(source)
	}
}

// checkSyntaxError fails if err is not a syntax error at a place within the source.
func checkSyntaxError(t *testing.T, source string, err error) {
	t.Helper()
	var e *fault.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, fault.ErrSyntax)
	lines := strings.Count(source, "\n") + strings.Count(source, "\r") + 1
	assert.LessOrEqual(t, e.Line, lines)
	assert.LessOrEqual(t, e.Column, len(source)+1)
	assert.LessOrEqual(t, len(e.Near), len(source))
}

// checkTokens fails if the tokens of a text do not move forward or are more than its bytes. It
// returns how many there are.
func checkTokens(t *testing.T, text string, at fault.Pos) (n int, err error) {
	t.Helper()
	tokens, err := syntax.Tokens(text, at)
	require.NotEmpty(t, tokens)
	require.LessOrEqual(t, len(tokens), len(text)+1)
	for _, token := range tokens {
		require.True(t, token.Pos.Line > at.Line || token.Pos.Line == at.Line && token.Pos.Col >= at.Col,
			"%v is before %v", token.Pos, at)
		at = token.Pos
		assert.LessOrEqual(t, len(token.Text), len(text))
	}
	assert.Equal(t, syntax.TokenEnd, tokens[len(tokens)-1].Kind)
	return len(tokens), err
}

// FuzzScan checks that any source is cut into no more segments, text and tokens than it has bytes,
// or refused at a place within it, and that either takes a bounded amount of work.
func FuzzScan(f *testing.F) {
	addSources(f)
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // the seeds alone cost little
	f.Fuzz(func(t *testing.T, source string) {
		if fuzzing && source != "" && len(source) <= 64<<10 {
			checkWork(t, source)
		}
		segments, err := syntax.Scan(source)
		if err != nil {
			checkSyntaxError(t, source, err)
			return
		}
		bytes, tokens := 0, 0
		for _, s := range segments {
			bytes += len(s.Text) + len(s.Name)
			if s.Kind == syntax.SegmentText {
				require.NotEmpty(t, s.Text)
				continue
			}
			n, err := checkTokens(t, s.Text, s.Pos)
			require.NoError(t, err, "the inside of a tag that was scanned: %q", s.Text)
			tokens += n
		}
		assert.LessOrEqual(t, len(segments), len(source))
		assert.LessOrEqual(t, bytes, len(source))
		assert.LessOrEqual(t, tokens, len(source))
	})
}

// FuzzTokens checks that any text is cut into tokens that move forward, or refused at a place
// within it.
func FuzzTokens(f *testing.F) {
	addSources(f)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := checkTokens(t, text, fault.Pos{Line: 1, Col: 1}); err != nil {
			checkSyntaxError(t, text, err)
		}
		syntax.HasValue(text)
	})
}

// checkWork fails if a source of 64 KiB, the most that package template takes, that repeats a text
// takes more than a second of processor time. It takes milliseconds, or with work that grows with
// the square of the length many seconds.
func checkWork(t *testing.T, text string) {
	t.Helper()
	const size = 64 << 10
	source := strings.Repeat(text, size/len(text))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := cputime.Thread()
	_, _ = syntax.Scan(source)
	syntax.HasValue(source)
	assert.Less(t, cputime.Thread()-start, time.Second, "%.100q", text)
}

func TestWorkIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, text := range []string{"a", "{{ a }}", "{% a %}", "{#-#} ", "{% raw %}{{{% endraw %}", "{ ",
		"{", "{% raw %}{% ", "{%", "{%-", " ", "'\\n'", "[", "{{ [[[a]]] }}", "1_", "1.5e3 + 0x1F ",
		"\r\n", "\\", "#}"} {
		checkWork(t, text)
		checkWork(t, "{% raw %}"+strings.Repeat(text, 30_000/len(text)))
		checkWork(t, "{{ "+strings.Repeat(text, 30_000/len(text)))
	}
}
