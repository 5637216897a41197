package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// execAt runs statements on a connection of their own, one by one.
func execAt(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := conn.Exec(ctx, statement)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(ctx))
}

// queryAt returns the one value that a query has.
func queryAt[T any](t testing.TB, dsn, query string, args ...any) T {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	var value T
	require.NoError(t, conn.QueryRow(ctx, query, args...).Scan(&value))
	require.NoError(t, conn.Close(ctx))
	return value
}

// eventually waits for something that is certain to come, and says what did
// not come in two minutes.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.Fail(t, what)
		}
	}
}

// errorOf is the error of a call that returns something else too.
func errorOf[T any](_ T, err error) error { return err }
