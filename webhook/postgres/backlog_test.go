package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

func TestBacklogRounds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds to fill a database")
	}
	t.Parallel()
	db, s, _ := explainedStore(t)
	sqltest.CheckBacklogRounds(t, s, func(statement string, args ...any) {
		_, err := db.ExecContext(t.Context(), statement, args...)
		require.NoError(t, err)
	})
}

func TestOldestDueOfManyEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	db, s, _ := explainedStore(t)
	sqltest.CheckOldestDue(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	})
}
