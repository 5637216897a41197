package sqlstore_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver/sqlstore"
)

func TestConstructors(t *testing.T) {
	t.Parallel()
	db := new(sql.DB)
	tests := []struct {
		name    string
		dialect sqlstore.Dialect
		table   string
		field   string
	}{
		{"no dialect", 0, "", "dialect"},
		{"a table that needs quotes", sqlstore.PostgreSQL, "My Table", "Table"},
		{"an injection", sqlstore.PostgreSQL, "a; DROP TABLE b", "Table"},
		{"two dots", sqlstore.PostgreSQL, "a.b.c", "Table"},
		{"a schema in SQLite", sqlstore.SQLite, "main.claims", "Table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, dedupe := sqlstore.NewDedupe(db, tt.dialect, sqlstore.Config{Table: tt.table})
			_, counters := sqlstore.NewCounters(db, tt.dialect, sqlstore.Config{Table: tt.table})
			for _, err := range []error{dedupe, counters} {
				var invalid *event.ValidationError
				require.ErrorAs(t, err, &invalid)
				assert.Equal(t, tt.field, invalid.Problems[0].Field)
			}
		})
	}
	_, err := sqlstore.NewDedupe(nil, sqlstore.SQLite, sqlstore.Config{})
	assert.Error(t, err)
	_, err = sqlstore.NewCounters(nil, sqlstore.SQLite, sqlstore.Config{})
	assert.Error(t, err)
}

// Who runs migrations by a tool of their own gets statements for it.
func TestSchema(t *testing.T) {
	t.Parallel()
	store, err := sqlstore.NewDedupe(new(sql.DB), sqlstore.PostgreSQL, sqlstore.Config{Table: "hooks.claims"})
	require.NoError(t, err)
	assert.Contains(t, store.Schema(), "CREATE TABLE IF NOT EXISTS hooks.claims (")
	assert.Contains(t, store.Schema(), "CREATE INDEX IF NOT EXISTS hooks_claims_until ON hooks.claims (until_ms);")
}
