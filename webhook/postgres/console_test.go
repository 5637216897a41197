package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

func TestConsoleAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("takes half a minute to fill a database: go test ./webhook/postgres " +
			"-run TestConsoleAtAMillion -million")
	}
	dsn := schemaDSN(t)
	s := open(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	sqltest.ConsolePages(t, s, func(statement string) {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	})
}
