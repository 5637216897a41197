package examples_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocsSayWhatIsWhere checks the section "What is where" of each doc.go. A section that lists
// files lists all of them, and none that is gone. The section is a part of the package comment: an
// empty line before it would take all that is above it out of go doc.
func TestDocsSayWhatIsWhere(t *testing.T) {
	t.Parallel()
	const title = "// # What is where\n"
	named := regexp.MustCompile(`[a-z0-9_*]+\.go\b`)
	checked := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "doc.go" {
			return err
		}
		folder := filepath.Dir(path)
		all, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		var files []string
		for _, file := range all {
			if name := filepath.Base(file); name != "doc.go" && !strings.HasSuffix(name, "_test.go") {
				files = append(files, name)
			}
		}
		if len(files) == 0 {
			return nil // tests only
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, section, found := strings.Cut(string(text), title)
		assert.True(t, found, "%s has no section %q", path, title)
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
		require.NoError(t, err)
		assert.Regexp(t, "^(Package|Command) ", file.Doc.Text(), "the package comment of %s", path)
		patterns := named.FindAllString(section, -1)
		listed := make(map[string]bool)
		for _, pattern := range patterns {
			matches, err := filepath.Glob(filepath.Join(folder, pattern))
			require.NoError(t, err)
			assert.NotEmpty(t, matches, "%s lists %s, which does not exist", path, pattern)
			for _, match := range matches {
				listed[filepath.Base(match)] = true
			}
		}
		for _, file := range files {
			assert.True(t, listed[file] || len(patterns) == 0, "%s does not list %s", path, file)
		}
		checked++
		return nil
	}))
	assert.Greater(t, checked, 20)
}
