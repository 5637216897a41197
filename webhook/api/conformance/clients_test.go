package conformance_test

import (
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

//nolint:gochecknoglobals // where the testing package wants flags
var clients = flag.Bool("clients", false,
	"generate clients from the document and drive them; downloads the generators")

// The versions of the tools that read the document.
const (
	oapiCodegen = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	ogen        = "github.com/ogen-go/ogen/cmd/ogen@v1.24.0"
	spectral    = "@stoplight/spectral-cli@6.15.0"
)

// The clients that Go generators make from the document compile, and all operations work through
// them with a running API. A linter finds no fault in the document.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	if !*clients {
		t.Skip("only with -clients")
	}
	f := newFixture(t)
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	status, answer := f.do("POST", prefix+"/", `{"webhook_name": "n", "event_types": ["*"],
		"channels": [
		{"channel": "sink", "configs": {}}]}`)
	require.Equal(t, 201, status, answer)
	f.emit()

	dir := t.TempDir()
	write := func(name string, content []byte) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run := func(command ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s:\n%s", strings.Join(command, " "), out)
	}
	for _, name := range []string{"go.mod", "main.go", "oapi.go", "ogen.go"} {
		content, err := os.ReadFile("testdata/clients/" + name + ".txt")
		require.NoError(t, err)
		write(name, content)
	}
	_, document := f.do("GET", prefix+"/openapi.json", "")
	write("openapi.json", []byte(document))
	write("oapi/none", nil) // the generator makes no directory
	write(".spectral.yaml",
		[]byte("extends: [\"spectral:oas\"]\nrules: {operation-description: off, info-contact: off}\n"))

	run("npm", "exec", "--yes", "--package="+spectral, "--", "spectral", "lint",
		"--fail-severity=warn", "openapi.json")
	run("go", "run", oapiCodegen, "-generate", "types,client", "-package", "oapi", "-o",
		"oapi/oapi.go", "openapi.json")
	run("go", "run", ogen, "-package", "ogen", "-target", "ogen", "-clean", "openapi.json")
	run("go", "mod", "tidy")
	run("go", "run", ".", server.URL+api.DefaultPrefix, "key")
}
