//go:build unix

package postgres_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// TestServerRestarts stops the server under load, both in an orderly way and as in a crash, and
// starts it again.
func TestServerRestarts(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	c := newCluster(t)
	l := startLoad(t, c.dsn(""), c.dsn(""))
	stops := []syscall.Signal{stopImmediate, stopFast}
	if *sqltest.Thorough {
		stops = append(stops, stops...)
	}
	for _, how := range stops {
		l.progress()
		c.stop(t, how)
		l.refusesMore()
		c.start(t)
	}
	l.progress()
	l.finish()
	l.saidOnce(len(stops))
	for _, err := range l.refusals() {
		assert.ErrorIs(t, err, postgres.ErrUnavailable)
	}
	assert.NotEmpty(t, l.refusals())
}
