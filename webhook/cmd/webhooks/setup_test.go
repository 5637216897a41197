package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain runs the tests as people far from UTC run the program. A server of httptest that is closed
// does not see the connections of http.DefaultTransport: it would close those that other tests keep,
// and a request that just goes out on one would fail.
func TestMain(m *testing.M) {
	http.DefaultTransport = struct{ http.RoundTripper }{http.DefaultTransport}
	time.Local = time.FixedZone("", 5*60*60+30*60)
	m.Run()
}

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
