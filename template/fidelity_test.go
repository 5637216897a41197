package template

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// dataInOrder makes data of JSON, with objects in their order.
func dataInOrder(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	d, ok := python.DecodeInOrder(raw).(*python.Dict)
	require.True(t, ok)
	data := make(map[string]any, len(d.Keys))
	for i, k := range d.Keys {
		name, ok := k.(string)
		require.True(t, ok)
		data[name] = d.Values[i]
	}
	return data
}

// TestFidelity holds what once differed from Jinja2.
func TestFidelity(t *testing.T) {
	t.Parallel()
	var file struct {
		Cases []struct {
			Name     string          `json:"name"`
			Template string          `json:"template"`
			Data     json.RawMessage `json:"data"`
			HTML     bool            `json:"html"`
			Expected string          `json:"expected"`
			Error    string          `json:"error"`
		} `json:"cases"`
	}
	readJSON(t, "testdata/fidelity.json", &file)
	require.NotEmpty(t, file.Cases)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := render(t, c.Template, dataInOrder(t, c.Data), Options{Format: htmlIf(c.HTML)})
			if c.Error != "" {
				require.Error(t, err, "rendered %q, Jinja2 fails with %s", got, c.Error)
				require.NotErrorIs(t, err, ErrInternal)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.Expected, got)
		})
	}
}
