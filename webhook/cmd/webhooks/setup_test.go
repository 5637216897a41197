package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// call is one call of the program.
type call struct {
	code           int
	stdout, stderr string
}

// env are settings of the environment.
type env map[string]string

// runs calls the program as a shell would, with this standard input.
func runs(t *testing.T, e env, stdin string, args ...string) call {
	t.Helper()
	return runsWith(t.Context(), e, stdin, args...)
}

func runsWith(ctx context.Context, e env, stdin string, args ...string) call {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr,
		func(name string) string { return e[name] })
	return call{code, stdout.String(), stderr.String()}
}

// file writes a file and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}
