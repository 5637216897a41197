package console_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// withoutProcesses is a store that does not keep which processes deliver.
type withoutProcesses struct{ webhook.Store }

func (s withoutProcesses) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Processes = nil
	return c
}

// processes returns the text of the rows about processes that the page of operators has.
func (f *fixture) processes() (rows []string) {
	f.t.Helper()
	for _, section := range elements(parse(f.t, f.page("/")), "section") {
		if headings := elements(section, "h2"); len(headings) == 0 || text(headings[0]) != "Processes" {
			continue
		}
		for _, row := range elements(section, "tr") {
			if len(elements(row, "th")) > 0 {
				continue
			}
			var cells []string
			for _, cell := range elements(row, "td") {
				cells = append(cells, strings.Join(strings.Fields(text(cell)), " "))
			}
			rows = append(rows, strings.Join(cells, " | "))
		}
	}
	return rows
}

// Operators see all processes that deliver, and those that were killed; customers see none.
func TestProcessesOfOperators(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	f.identity.Operator = true
	assert.Contains(t, f.page("/"), "No process delivers")
	now := time.Now()
	put := func(id string, heartbeat time.Time, stopping bool) {
		t.Helper()
		require.NoError(t, f.store.Capabilities().Processes.PutProcess(t.Context(), heartbeat,
			webhook.Process{ID: id, Name: "<b>" + id, Version: "v1.2.3",
				StartedAt: now.Add(-3*time.Hour - time.Minute), Stopping: stopping, InFlight: 1234, Queued: 2,
				Leased: 3, Workers: 4, TrippedBreakers: 5, RateLimited: 6,
				StoreTime: 7*time.Millisecond + time.Microsecond}))
	}
	put("stopping", now, true)
	put("killed", now.Add(-10*time.Minute-30*time.Second), false)
	put("web", now.Add(time.Hour), false) // by a clock that is ahead
	rows := f.processes()
	for i, begins := range []string{
		"stopping | <b>stoppingv1.2.3 | 3 h ago | ",
		"delivering | <b>webv1.2.3 | 3 h ago | now | ",
		"lost | <b>killedv1.2.3 | 3 h ago | 10 min ago | ",
	} {
		require.Greater(t, len(rows), i)
		assert.True(t, strings.HasPrefix(rows[i], begins), rows[i])
	}
	assert.Contains(t, rows[1], " | 1 2344 workers | 32 in memory | 5 tripped6 at a rate limit | never | 7 ms")
	assert.Contains(t, f.page("/"), "2 alive")
	f.identity.Operator = false
	assert.NotContains(t, f.page("/"), "v1.2.3")

	f.identity.Operator = true
	for i := range 150 {
		put(fmt.Sprint("restarted ", i), now.Add(-5*time.Minute), false)
	}
	rows = f.processes()
	assert.Len(t, rows, 100, "those that were heard of last")
	assert.Contains(t, rows[0], "stopping")
	assert.Contains(t, f.page("/"), "There are more")
	assert.Less(t, len(f.page("/")), 200_000)

	f = newFixtureOn(t, withoutProcesses{f.store})
	f.identity.Operator = true
	assert.NotContains(t, f.page("/"), "<h2>Processes</h2>")
}

// The process that makes the page is marked, while it delivers.
func TestTheProcessThatAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.identity.Operator = true
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.dispatcher.Run(ctx) }()
	require.Eventually(t, func() bool { return len(f.processes()) == 1 }, time.Minute, 10*time.Millisecond)
	assert.Contains(t, f.processes()[0], ", answers here")
	stop()
	require.NoError(t, <-ended)
	assert.Empty(t, f.processes())
}
