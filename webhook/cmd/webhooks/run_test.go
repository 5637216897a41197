package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each command has a help with an example that calls it, and only help goes to the standard output.
func TestHelp(t *testing.T) {
	t.Parallel()
	overview := runs(t, nil, "", "help")
	require.Equal(t, exitOK, overview.code)
	for _, c := range commands() {
		assert.Contains(t, overview.stdout, "  "+c.name+" ")
		for _, args := range [][]string{
			append([]string{"help"}, strings.Fields(c.name)...), append(strings.Fields(c.name), "--help"),
			append(strings.Fields(c.name), "-h"),
		} {
			got := runs(t, nil, "", args...)
			assert.Equal(t, exitOK, got.code, args)
			assert.Empty(t, got.stderr)
			assert.Contains(t, got.stdout, "webhooks "+c.name+" [flags]")
			assert.Contains(t, got.stdout, "\nExample:\n")
			for line := range strings.Lines(c.long + "\n" + c.example) {
				assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 80, line)
			}
		}
		assert.Contains(t, c.example, "webhooks "+c.name, "the example is of another command")
	}
}

func TestCalledWrongly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		says string
	}{
		{"", "no command"},
		{"frobnicate", `no command "frobnicate"`},
		{"secret frobnicate", `no command "secret frobnicate"`},
		{"help frobnicate", `no command "frobnicate"`},
		{"sign --frobnicate", "sign: no flag --frobnicate"},
		{"sign --secret=whsec_dG9wc2VjcmV0", "secrets come from a file or the environment"},
		{"sign a b", `"b" is one argument too many`},
		{"completion", "SHELL is missing"},
		{"completion powershell", "bash, zsh and fish"},
		{"sign", "no secret"},
		{"sign --secret-file /does/not/exist", "/does/not/exist"},
		{"sign --secret-file -", "the file is empty"},
		{"verify --tolerance -1s", "--tolerance must be positive"},
		{"verify --at yesterday", "must be a time such as"},
	} {
		got := runs(t, nil, "", strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, got.code, c.args)
		assert.Empty(t, got.stdout, c.args)
		assert.Contains(t, got.stderr, c.says, c.args)
		assert.NotContains(t, got.stderr, "dG9wc2VjcmV0", "a secret is printed")
	}
}

// One stream cannot be read twice.
func TestStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	got := runs(t, nil, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sign",
		"--secret-file", "-", "-")
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.stderr, "cannot both be read from the standard input")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	got := runs(t, nil, "", "--version")
	assert.Equal(t, exitOK, got.code)
	assert.Contains(t, got.stdout, "webhooks ")
	assert.Contains(t, runs(t, nil, "", "version", "--json").stdout, `"go":"go1`)
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ words, want string }{
		{"ver", "verify version"},
		{"secret |", "new"},
		{"completion |", "bash zsh fish"},
		{"completion f", "fish"},
		{"sign --stat", "--static-header --static-secret-file"},
		{"sign event", ""},
		{"help sig", "sign"},
		{"nothing |", ""},
	} {
		words := append([]string{"__complete"}, strings.Fields(c.words)...)
		if last := len(words) - 1; words[last] == "|" {
			words[last] = ""
		}
		got := runs(t, nil, "", words...)
		assert.Equal(t, exitOK, got.code)
		for _, want := range strings.Fields(c.want) {
			assert.Contains(t, strings.Fields(got.stdout), want, c.words)
		}
		if c.want == "" {
			assert.Empty(t, got.stdout, c.words)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `a\x1b[2Jb\r\n\u202e ü…`, visible("a\x1b[2Jb\r\n\u202e ü…"))
	assert.Equal(t, `\xff`, visible("\xff"))
}

// What strangers write cannot steer the terminal, or show another text, through JSON either, and a
// program reads the same.
func TestJSONIsVisible(t *testing.T) {
	t.Parallel()
	const text = "a\x7f\u009b31m\u202eb\u2066\u200b\U000e0001 ü…\U0001f600<&"
	var out strings.Builder
	p := newPrinter(&out, io.Discard, func(string) string { return "" })
	require.NoError(t, p.object(map[string]any{"text": text, "raw": json.RawMessage("\"\x9b\u009b\"")}))
	require.NoError(t, p.flush())
	line := out.String()
	assert.Contains(t, line, `:"\ufffd\u009b",`)
	assert.Contains(t, line, `:"a\u007f\u009b31m\u202eb\u2066\u200b\udb40\udc01 ü…`+"\U0001f600<&\"}\n")
	assert.Equal(t, text, decode[map[string]string](t, line)["text"])
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// An output that is not written is no success.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	code := run(t.Context(), []string{"version"}, strings.NewReader(""), fullDisk{}, &stderr,
		func(string) string { return "" })
	assert.Equal(t, exitNo, code)
	assert.Contains(t, stderr.String(), "no space left on device")
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, text, _ := explain(ctx, context.Canceled)
	assert.Equal(t, exitInterrupted, code)
	assert.Equal(t, "interrupted", text)
}

// The page of each alert has commands, and they are commands of this program.
func TestCommandsOfTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../examples/monitoring/README.md")
	require.NoError(t, err)
	sections := strings.Split(string(text), "\n### ")
	require.Greater(t, len(sections), 10)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // nothing is asked for; what is wrong with a command is found before
	settings := env{envURL: "http://127.0.0.1:1", envAPIKey: "key"}
	fill := strings.NewReplacer("wh_…", webhookID, "dlv_…", "dlv_1")
	for i, section := range sections {
		n := 0
		for line := range strings.Lines(section) {
			words, is := strings.CutPrefix(line, "    webhooks ")
			if !is {
				continue
			}
			n++
			words, _, _ = strings.Cut(words, "#")
			got := runsWith(ended, settings, "", strings.Fields(fill.Replace(words))...)
			assert.NotEqual(t, exitUsage, got.code, "%s%s", line, got.stderr)
			assert.NotEqual(t, exitOK, got.code, "it is not run")
		}
		if i > 0 {
			assert.NotZero(t, n, "no commands for %s", first(strings.Fields(section)))
		}
	}
}
