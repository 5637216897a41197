package event_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each testdata/envelopes/NAME.json is an envelope of a sender, including the documented examples.
// NAME.encoded.golden is its encoding. NAME.invalid.golden has the problems that Validate reports,
// one per line, and is empty if there are none.
func TestGoldenEnvelopes(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/envelopes/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(input)
			require.NoError(t, err)
			e, err := event.Decode(data)
			require.NoError(t, err)

			encoded, err := e.MarshalJSON()
			require.NoError(t, err)
			golden(t, name+".encoded.golden", string(encoded)+"\n")
			golden(t, name+".invalid.golden", problemLines(t, e.Validate()))

			again, err := event.Decode(encoded)
			require.NoError(t, err)
			reencoded, err := again.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, string(encoded), string(reencoded))
			assert.Equal(t, e.Validate(), again.Validate())
		})
	}
}

// Decoding and encoding the documented examples does not change their meaning.
func TestDocumentedExamplesSurvive(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"full", "by_id", "partial_no_identity", "partial_no_subject",
		"unknown_fields"} {
		data, err := os.ReadFile("testdata/envelopes/" + name + ".json")
		require.NoError(t, err)
		e, err := event.Decode(data)
		require.NoError(t, err)
		encoded, err := json.Marshal(e)
		require.NoError(t, err)
		if name == "unknown_fields" { // its time has an offset
			data = []byte(strings.Replace(string(data), "18:09:00.123456789+02:00", "16:09:00.123456789Z",
				1))
			data = []byte(strings.Replace(string(data), "1e400", "1", 1)) // encoding/json cannot read it
			encoded = []byte(strings.Replace(string(encoded), "1e400", "1", 1))
		}
		assert.JSONEq(t, string(data), string(encoded), name)
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, path)
}

func problemLines(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var b strings.Builder
	for _, p := range invalid.Problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}
