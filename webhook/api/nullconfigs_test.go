package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A channel may be stored with configs that are null, or have no members.
func TestSigningOfEmptyConfigs(t *testing.T) {
	t.Parallel()
	for _, configs := range []string{`null`, `{}`, `{"signing_secret": null}`} {
		s, err := readSigning([]byte(configs))
		require.NoError(t, err, configs)
		assert.Empty(t, s.secrets, configs)
		s.secrets = []string{"new"}
		written, err := s.write()
		require.NoError(t, err, configs)
		assert.JSONEq(t, `{"signing_secret": "new"}`, string(written), configs)
	}
}

// RFC 3339 allows "t" and "z" in lower case.
func TestTimesInLowerCase(t *testing.T) {
	t.Parallel()
	want := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, s := range []string{"2025-01-31T12:00:00Z", "2025-01-31t12:00:00z", "2025-01-31t13:00:00+01:00", "2025-01-31t12:00:00"} {
		got, err := parseTime(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
}
