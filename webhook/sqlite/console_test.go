package sqlite_test

import (
	"database/sql"
	"flag"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

var million = flag.Bool("million", false, "run TestConsoleAtAMillion and TestConsoleOfManyEndpoints")

// scanned is a step of a plan that reads a whole table.
// The table of processes is small, and read as a whole.
var scanned = regexp.MustCompile(`SCAN (webhooks_[^p]\w+|[bdeps])\n`)

// The statements of a page find what they read by an index. How much that is, the test of the same
// name for PostgreSQL knows: the statements are the same.
func TestConsoleAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("takes seconds to fill a database: go test ./webhook/sqlite -run TestConsoleAtAMillion " +
			"-million")
	}
	testConsole(t, sqltest.ConsolePages)
}

func TestConsoleOfManyEndpoints(t *testing.T) {
	if !*million {
		t.Skip("takes seconds to fill a database: go test ./webhook/sqlite " +
			"-run TestConsoleOfManyEndpoints -million")
	}
	testConsole(t, sqltest.ConsoleOfManyEndpoints)
}

type askPages func(t *testing.T, s webhook.Store, exec func(statement string), check func(page string))

// testConsole checks that no statement of a page reads a whole table.
func testConsole(t *testing.T, ask askPages) {
	t.Helper()
	r := &recorder{path: filepath.Join(t.TempDir(), "webhooks.db"), statements: make(map[string]bool)}
	db := sql.OpenDB(r)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.SQLite(), sqlstore.Config{})
	require.NoError(t, err)
	ask(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}, func(page string) {
		r.mu.Lock()
		statements := r.statements
		r.statements = make(map[string]bool)
		r.mu.Unlock()
		for statement := range statements {
			if page != "" && explained.MatchString(statement) {
				assert.NotRegexp(t, scanned, plan(t, db, statement), "%s: %s", page, statement)
			}
		}
	})
}
