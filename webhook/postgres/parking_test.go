package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

func TestParking(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	s := open(t, schemaDSN(t))
	config, err := pgx.ParseConfig(s.dsn)
	require.NoError(t, err)
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	sqltest.CheckParking(t, s, db)
}
