package email

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A-labels of 128 KiB took seconds. The space, which they cannot hold, tells whether they are made.
func TestLongDomains(t *testing.T) {
	t.Parallel()
	domain, err := asciiDomain("BÜCHER.example")
	require.NoError(t, err)
	assert.Equal(t, "xn--bcher-kva.example", domain)

	_, err = asciiDomain("ü. " + strings.Repeat("ü.", 200) + "example")
	require.Error(t, err)
	require.NotErrorIs(t, err, errNoMailbox, "a domain of a length that may occur is looked into")
	_, err = asciiDomain("ü. " + strings.Repeat("ü.", 400) + "example")
	require.ErrorIs(t, err, errNoMailbox)
}
