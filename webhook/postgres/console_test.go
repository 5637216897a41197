package postgres_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

var filteredRows = regexp.MustCompile(`Rows Removed by [\w ]+: (\d+)`)

// No page reads much of a million deliveries: the plans of its statements say how many rows each step
// has found, and how many of them it has thrown away.
func TestConsoleAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("takes half a minute to fill a database: go test ./webhook/postgres " +
			"-run TestConsoleAtAMillion -million")
	}
	testConsole(t, sqltest.ConsolePages)
}

func TestConsoleOfManyEndpoints(t *testing.T) {
	if !*million {
		t.Skip("takes seconds to fill a database: go test ./webhook/postgres " +
			"-run TestConsoleOfManyEndpoints -million")
	}
	testConsole(t, sqltest.ConsoleOfManyEndpoints)
}

type askPages func(t *testing.T, s webhook.Store, exec func(statement string), check func(page string))

// testConsole checks how many rows the statements of a page read.
func testConsole(t *testing.T, ask askPages) {
	t.Helper()
	db, s, seen := explainedStore(t)
	ask(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}, func(page string) {
		all := seen.take()
		if page == "" {
			return
		}
		require.NotEmpty(t, all, page)
		assert.LessOrEqual(t, len(all), 150, "%s has many statements", page)
		for _, plan := range all {
			assert.NotRegexp(t, fullScan, plan, page)
			most := 11_000 // the overview counts up to 10,000
			if strings.Contains(plan, "RECURSIVE visited") {
				most = 1_100 // and looks at 1,000 endpoints for the oldest delivery that is due
			}
			for _, found := range actualRows.FindAllStringSubmatch(plan, -1) {
				rows, err := strconv.Atoi(found[1])
				require.NoError(t, err)
				loops, err := strconv.Atoi(found[2])
				require.NoError(t, err)
				assert.LessOrEqual(t, rows*loops, most, "%s reads too many rows:\n%s", page, plan)
			}
			for _, removed := range filteredRows.FindAllStringSubmatch(plan, -1) {
				rows, err := strconv.Atoi(removed[1])
				require.NoError(t, err)
				assert.LessOrEqual(t, rows, most, "%s filters too many rows:\n%s", page, plan)
			}
		}
	})
}
