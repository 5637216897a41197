package storetest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// diagnosticCases are for stores that say how they are.
func diagnosticCases() []testCase {
	return []testCase{{"Diagnose", func(f *fixture) {
		s := f.Capabilities().Diagnostics
		if s == nil {
			f.t.Skip("the store does not declare Diagnostics")
		}
		diagnosed(f, s)
	}}}
}

func diagnosed(f *fixture, s webhook.DiagnosticStore) {
	ask := func() webhook.Diagnosis {
		f.t.Helper()
		d, err := s.Diagnose(f.ctx, start())
		require.NoError(f.t, err)
		return d
	}
	d := ask()
	require.NotEmpty(f.t, d.Kind, "a store says which database it is in")
	require.Equal(f.t, d.NeededVersion, d.SchemaVersion, "the tables of a new store are up to date")
	require.Zero(f.t, d.LastResult, "a new store has no results")
	if d.Transactions != nil {
		require.LessOrEqual(f.t, len(d.Transactions.Oldest), webhook.MaxLongTransactions)
	}

	f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	require.Zero(f.t, ask().LastResult, "what was only emitted has no result")
	for i, task := range f.claimN(start(), 2) {
		at := start().Add(time.Duration(i) * time.Second)
		f.settle(at, died(task, at))
		f.requireTime(at, ask().LastResult, "LastResult is when the last result was stored")
	}
	before := f.list(webhook.DeliveryQuery{})
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := s.Diagnose(ctx, start())
	require.Error(f.t, err, "Diagnose with a cancelled context is an error")
	ask()
	require.Equal(f.t, before, f.list(webhook.DeliveryQuery{}), "Diagnose changes nothing")
}
