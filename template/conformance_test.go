package template

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// conformanceCase is one case of testdata/cases.json: what the real Jinja2 made of a template.
type conformanceCase struct {
	Name     string         `json:"name"`
	Template string         `json:"template"`
	Data     map[string]any `json:"data"`
	Expected string         `json:"expected"`
	Error    string         `json:"error"` // "compile" or "render" where Jinja2 fails; either will do here
}

func conformanceCases(t testing.TB) []conformanceCase {
	t.Helper()
	var file struct {
		Cases []conformanceCase `json:"cases"`
	}
	readJSON(t, "testdata/cases.json", &file)
	require.NotEmpty(t, file.Cases)
	return file.Cases
}

// readJSON decodes a file with its numbers as they stand.
func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	d := json.NewDecoder(f)
	d.UseNumber()
	require.NoError(t, d.Decode(v))
}

func render(t testing.TB, source string, data map[string]any, o Options) (string, error) {
	t.Helper()
	tpl, err := Compile(source, o)
	if err != nil {
		return "", err
	}
	return tpl.Render(t.Context(), data)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range conformanceCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := render(t, c.Template, c.Data, Options{})
			if c.Error != "" {
				require.Error(t, err, "rendered %q", got)
				var e *Error
				require.ErrorAs(t, err, &e)
				require.NotErrorIs(t, err, ErrInternal)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.Expected, got)
		})
	}
}
