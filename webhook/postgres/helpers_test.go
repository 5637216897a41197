package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// execAt runs statements one by one on a new connection.
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

// queryAt returns the one value that a query returns.
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

// patience is how long eventually waits.
const patience = 2 * time.Minute

// eventually waits until the condition is true, and fails with the message after two minutes.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	eventuallyWithin(t, patience, what, is)
}

func eventuallyWithin(t testing.TB, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.Fail(t, what)
		}
	}
}

// errorOf returns the error of a call that also returns something else.
func errorOf[T any](_ T, err error) error { return err }
