package apikey

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestSeenKeysAreBounded(t *testing.T) {
	t.Parallel()
	const most = 3
	s := newSeenKeys(most)
	n := 0
	note := func(organizationID string) webhook.APIKeyHash {
		n++
		hash := webhook.APIKeyHash{byte(n), byte(n >> 8), byte(n >> 16), 1}
		s.note(hash, &webhook.APIKey{ID: strconv.Itoa(n), OrganizationID: organizationID}, time.Unix(1, 0))
		return hash
	}
	first := note("first")
	for i := range maxSeen {
		note(strconv.Itoa(i / most))
		if i%1_000 == 0 {
			require.True(t, s.has(note("first")))
		}
	}
	assert.Len(t, s.organizationOf, maxSeen)
	assert.LessOrEqual(t, len(s.organizations["first"]), most)

	s.forget(first)
	s.forget(first)
	assert.False(t, s.has(first))
	last := note("last")
	s.forgetID("another", strconv.Itoa(n))
	assert.True(t, s.has(last))
	s.forgetID("last", strconv.Itoa(n))
	assert.False(t, s.has(last))
	assert.NotContains(t, s.organizations, "last", "no entry is left")
}
