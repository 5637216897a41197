package sqldedupe_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

func TestConstructors(t *testing.T) {
	t.Parallel()
	db := new(sql.DB)
	tests := []struct {
		name    string
		dialect sqldedupe.Dialect
		table   string
		field   string
	}{
		{"no dialect", nil, "", "dialect"},
		{"a table that needs quotes", sqldedupe.PostgreSQL(), "My Table", "Table"},
		{"an injection", sqldedupe.PostgreSQL(), "a; DROP TABLE b", "Table"},
		{"two dots", sqldedupe.PostgreSQL(), "a.b.c", "Table"},
		{"a schema in SQLite", sqldedupe.SQLite(), "main.claims", "Table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, dedupe := sqldedupe.NewDedupe(db, tt.dialect, sqldedupe.Config{Table: tt.table})
			_, counters := sqldedupe.NewCounters(db, tt.dialect, sqldedupe.Config{Table: tt.table})
			for _, err := range []error{dedupe, counters} {
				var invalid *event.ValidationError
				require.ErrorAs(t, err, &invalid)
				assert.Equal(t, tt.field, invalid.Problems[0].Field)
			}
		})
	}
	_, err := sqldedupe.NewDedupe(nil, sqldedupe.SQLite(), sqldedupe.Config{})
	assert.Error(t, err)
	_, err = sqldedupe.NewCounters(nil, sqldedupe.SQLite(), sqldedupe.Config{})
	assert.Error(t, err)
}

// Schema returns statements for a migration tool.
func TestSchema(t *testing.T) {
	t.Parallel()
	store, err := sqldedupe.NewDedupe(new(sql.DB), sqldedupe.PostgreSQL(),
		sqldedupe.Config{Table: "hooks.claims"})
	require.NoError(t, err)
	assert.Contains(t, store.Schema(), "CREATE TABLE IF NOT EXISTS hooks.claims (")
	assert.Contains(t, store.Schema(),
		"CREATE INDEX IF NOT EXISTS hooks_claims_until ON hooks.claims (until_ms);")
}
