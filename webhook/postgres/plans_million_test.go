package postgres_test

import (
	"flag"
	"testing"
)

var million = flag.Bool("million", false, "run TestPlansAtAMillion")

// TestPlansAtAMillion is TestPlans with as many deliveries as an endpoint leaves that is down for a
// while.
func TestPlansAtAMillion(t *testing.T) {
	if !*million {
		t.Skip("fills a database for a while: go test ./webhook/postgres -run TestPlansAtAMillion " +
			"-million")
	}
	t.Parallel()
	testPlans(t, 1_000_000)
}
