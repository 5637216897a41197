package sqlite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// TestOrderWhileProcessesDie kills processes that deliver in order from one file.
func TestOrderWhileProcessesDie(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	if path := os.Getenv(childEnv); path != "" {
		require.NoError(t, sqltest.DeliverInOrder(t.Context(), open(t, path)))
		return
	}
	path := filepath.Join(t.TempDir(), "webhooks.db")
	sqltest.CheckOrderWhileProcessesDie(t, [2]webhook.Store{open(t, path), open(t, path)},
		func() *exec.Cmd { return child("TestOrderWhileProcessesDie", path) }, 2)
}
