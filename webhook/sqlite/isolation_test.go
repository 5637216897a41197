package sqlite_test

import (
	"flag"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/isolation"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

var isolationSeconds = flag.Int("isolation.seconds", 0,
	"how many virtual seconds the victim of TestIsolation emits beside each attack; 0 skips it")

// Events for many endpoints are stored in pieces here, claims come between them, and transactions
// take turns.
func TestIsolation(t *testing.T) {
	if *isolationSeconds == 0 {
		t.Skip("takes most of a minute: see -isolation.seconds")
	}
	t.Parallel()
	s := isolation.Suite{Seconds: *isolationSeconds, NewStore: func(t *testing.T) webhook.Store {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "webhooks.db"), sqlite.Config{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return isolation.OneWriter(s, time.Millisecond)
	}}
	s.Run(t)
	t.Run("small process", func(t *testing.T) { // its buffer is full soon
		t.Parallel()
		s.Config = dispatch.Config{MaxInFlight: 16}
		s.Only = regexp.MustCompile("550 silent")
		s.Run(t)
	})
}
