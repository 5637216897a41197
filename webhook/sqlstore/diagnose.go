package sqlstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type diagnosisStatements struct {
	lastResult   string
	long, hidden string // may be empty
}

func newDiagnosisStatements(x expander) diagnosisStatements {
	long, hidden := x.dialect.transactionsSQL()
	return diagnosisStatements{
		lastResult: x.sql(`SELECT at FROM {p}results ORDER BY id DESC LIMIT 1`),
		long:       x.sql(long), hidden: x.sql(hidden),
	}
}

// Diagnose implements [webhook.DiagnosticStore].
func (s *Store) Diagnose(ctx context.Context, now time.Time) (webhook.Diagnosis, error) {
	d, err := s.diagnose(ctx, now)
	if err != nil {
		return webhook.Diagnosis{}, s.mapped(err)
	}
	return d, nil
}

func (s *Store) diagnose(ctx context.Context, now time.Time) (d webhook.Diagnosis, err error) {
	d.Kind = s.x.dialect.name()
	migrations, err := migrationsIn(schemaFiles, s.x)
	if err != nil {
		return d, err
	}
	d.NeededVersion = len(migrations)
	if d.SchemaVersion, err = s.schemaVersion(ctx, s.read); err != nil {
		return d, err
	}
	var last int64
	if _, err = one(ctx, s.read, s.diagnosis.lastResult, nil, []any{&last}); err != nil {
		return d, err
	}
	d.LastResult = momentOrZero(last)
	if s.diagnosis.long == "" {
		return d, nil
	}
	d.Transactions = &webhook.LongTransactions{}
	if _, err = one(ctx, s.read, s.diagnosis.hidden, nil,
		[]any{&d.Transactions.Hidden}); err != nil {
		return d, err
	}
	err = collect(ctx, s.read, func(row scanner) error {
		var t webhook.LongTransaction
		var since int64
		err := row.Scan(&t.PID, &t.Application, &t.State, &since)
		t.Since = moment(since)
		if len(d.Transactions.Oldest) == webhook.MaxLongTransactions {
			d.Transactions.More = true
			return err
		}
		d.Transactions.Oldest = append(d.Transactions.Oldest, t)
		return err
	}, s.diagnosis.long, micros(now.Add(-webhook.LongTransactionAge)), webhook.MaxLongTransactions+1)
	return d, err
}
