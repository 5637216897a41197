package postgres_test

import (
	"flag"
	"testing"
)

var million = flag.Bool("million", false, "run TestPlansAtAMillion and those of the console")

// TestPlansAtAMillion is TestPlans with as many deliveries as pile up for an endpoint that is down
// for a while.
func TestPlansAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("takes a minute to fill a database: go test ./webhook/postgres -run TestPlansAtAMillion " +
			"-million")
	}
	t.Parallel()
	testPlans(t, 1_000_000)
}
