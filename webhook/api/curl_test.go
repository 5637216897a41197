package api_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The commands of the contract's documentation work as they are printed.
func TestCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is not installed")
		}
		t.Skip("curl is not installed")
	}
	f := newFixture(t, options{})
	mux := http.NewServeMux()
	f.api.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	text, err := os.ReadFile("testdata/curl.txt")
	require.NoError(t, err)
	replace := strings.NewReplacer(
		"https://api.mixpeek.com", server.URL, "<token>", f.keys[orgA], "{identifier}", "wh_abc123def4",
		"curl ", "curl --silent --show-error --write-out '%{http_code}' ")
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")[1:]
	require.Len(t, blocks, 8)
	for _, block := range blocks {
		status, command, _ := strings.Cut(block, "\n")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", replace.Replace(command)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, status, string(out[max(0, len(out)-3):]), "%s\n%s", command, out)
	}
}
