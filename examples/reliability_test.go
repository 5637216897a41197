package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReliability checks that the tests which webhook/RELIABILITY.md names exist, and that no line
// of its tables is without one.
func TestReliability(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../webhook/RELIABILITY.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`([a-z0-9/]+) ((?:Test|Fuzz)[A-Za-z0-9]+)((?:/[A-Za-z]+)*)`")
	sources := make(map[string]string)
	source := func(folder, pattern string) string {
		if sources[folder] == "" {
			files, err := filepath.Glob(filepath.Join("..", folder, pattern))
			require.NoError(t, err)
			var all strings.Builder
			for _, name := range files {
				part, err := os.ReadFile(name)
				require.NoError(t, err)
				all.Write(part)
			}
			sources[folder] = all.String()
		}
		return sources[folder]
	}
	groups, err := os.ReadFile("../webhook/storetest/storetest.go")
	require.NoError(t, err)
	must := func(exists bool, name string) { assert.True(t, exists, "there is no %s", name) }
	tests := 0
	for line := range strings.Lines(string(text)) {
		found := named.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| ") && !strings.HasSuffix(line, "| test |\n") {
			assert.NotEmpty(t, found, "%s", line)
		}
		for _, m := range found {
			tests++
			must(strings.Contains(source(m[1], "*_test.go"), "\nfunc "+m[2]+"("), m[0])
			if m[3] != "" { // a case of the suite of stores
				group, name, _ := strings.Cut(m[3][1:], "/")
				suite := source("webhook/storetest", "*.go")
				must(strings.Contains(string(groups), `{"`+group+`", `), m[0])
				must(strings.Contains(suite, `{"`+name+`", `), m[0])
			}
		}
	}
	assert.Greater(t, tests, 50)
}
