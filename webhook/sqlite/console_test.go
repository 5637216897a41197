package sqlite_test

import (
	"database/sql"
	"flag"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

var million = flag.Bool("million", false, "run TestConsoleAtAMillion")

func TestConsoleAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("takes seconds to fill a database: go test ./webhook/sqlite -run TestConsoleAtAMillion " +
			"-million")
	}
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s := open(t, path)
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	sqltest.ConsolePages(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	})
}
