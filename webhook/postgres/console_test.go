package postgres_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	db, s, seen := explainedStore(t)
	sqltest.ConsolePages(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}, func(page string) {
		const most = 11_000 // the overview counts up to 10,000
		all := seen.take()
		if page == "" {
			return
		}
		require.NotEmpty(t, all, page)
		assert.LessOrEqual(t, len(all), 150, "%s has many statements", page)
		for _, plan := range all {
			assert.NotRegexp(t, fullScan, plan, page)
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
