//go:build unix

package postgres_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// TestOrderWhileProcessesDie kills processes that deliver in order from one database.
func TestOrderWhileProcessesDie(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	dsn := schemaDSN(t)
	var stores [2]webhook.Store
	for i := range stores {
		s, err := postgres.Open(t.Context(), dsn, postgres.Config{MaxConns: 3})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		stores[i] = s
	}
	text, err := json.Marshal(childConfig{Mode: "order", DSN: dsn})
	require.NoError(t, err)
	sqltest.CheckOrderWhileProcessesDie(t, stores, func() *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childEnv+"="+string(text))
		_, err := c.StdinPipe() // stays open while this process runs
		require.NoError(t, err)
		return c
	}, 3)
}
