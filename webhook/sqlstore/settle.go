package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type settleStatements struct {
	first, succeed, settle, extend, start, held *batch
	holding                                     string
	statistics                                  statisticsStatements
}

// live is true of a delivery whose endpoint was not deleted.
const live = `NOT EXISTS (SELECT 1 FROM {p}endpoints p WHERE p.id = d.endpoint_id AND p.state = 2)`

func newSettleStatements(x expander) settleStatements {
	id, token := column{"id", integer}, column{"token", integer}
	return settleStatements{
		statistics: newStatisticsStatements(x),
		holding:    x.sql(`SELECT id, endpoint_id, attempts FROM {p}deliveries WHERE id {in}`),
		// What is plain has no attempts yet, and its columns due_at and kept are NULL. If they are not
		// set either, the database need not look at any index.
		first: x.batch(`{update} {p}deliveries AS d SET
				state = 2, settled_at = ?, attempts = 1, history = v.attempt
			{fromrows} WHERE d.id = v.id AND d.token = v.token AND d.state = 1
				AND d.attempts = 0 AND d.due_at IS NULL AND d.kept IS NULL AND `+live,
			id, token, column{"attempt", text}),
		// The usual result needs few values, and every parameter costs time.
		succeed: x.batch(`{update} {p}deliveries AS d SET
				state = 2, settled_at = ?, due_at = NULL, `+keepAs("d.")+`,
				attempts = d.attempts + 1,
				history = coalesce({appended}, v.attempt)
			{fromrows} WHERE d.id = v.id AND d.token = v.token AND d.state = 1 AND `+live,
			id, token, column{"attempt", text}),
		settle: x.batch(`{update} {p}deliveries AS d SET
				state = v.result, due_at = CASE WHEN v.result = 0 THEN v.at END,
				settled_at = CASE WHEN v.result > 0 THEN v.at END,
				kept_at = CASE WHEN v.result = 3 OR v.result = 2 AND d.kept IS NOT NULL THEN v.at
					ELSE d.kept_at END,
				kept = CASE WHEN v.result = 3 THEN 3 WHEN v.result = 2 AND d.kept IS NOT NULL THEN 2
					ELSE d.kept END,
				attempts_since_queued = d.attempts_since_queued
					+ CASE WHEN v.attempt IS NULL OR v.uncounted = 1 THEN 0 ELSE 1 END,
				attempts = d.attempts + CASE WHEN v.attempt IS NULL THEN 0 ELSE 1 END,
				history = coalesce({appended}, v.attempt, d.history),
				progress = coalesce(v.done, d.progress),
				lost = CASE WHEN v.attempt IS NULL OR v.is_lost = 1 THEN d.lost ELSE 0 END,
				started_at = CASE WHEN v.attempt IS NULL AND d.started_at < 0 THEN d.started_at ELSE 0 END
			{fromrows} WHERE d.id = v.id AND d.token = v.token AND d.state = 1 AND `+live,
			id, token, column{"result", integer}, column{"at", integer}, column{"is_lost", integer},
			column{"uncounted", integer}, column{"attempt", text}, column{"done", binary}),
		// What has no lease of its own has no due_at. A call that takes effect late must not undo a later
		// one.
		extend: x.batch(`{update} {p}deliveries AS d
			SET due_at = CASE WHEN d.due_at > v.at THEN d.due_at ELSE v.at END {fromrows}
			WHERE d.id = v.id AND d.token = v.token AND d.state = 1 AND `+live, id, token,
			column{"at", integer}),
		start: x.batch(`{update} {p}deliveries AS d SET started_at = ? {fromrows}
			WHERE d.id = v.id AND d.token = v.token AND d.state = 1 AND `+live, id, token),
		held: x.batch(`WITH {v}
			SELECT d.id, d.token FROM v {join} {p}deliveries d ON d.id = v.id
			WHERE d.token = v.token AND d.state = 1 AND `+live+` {forupdate}`, id, token),
	}
}

// errRefused rolls back a transaction that turned out to have unacceptable results.
var errRefused = errors.New("sqlstore: some results are refused")

// Settle implements [webhook.Queue].
func (s *Store) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) (refused []webhook.Lease, err error) {
	if len(settlements) == 0 {
		return nil, ctx.Err()
	}
	for i := range settlements {
		if _, ok := settledStates[settlements[i].Status]; !ok {
			return nil, fmt.Errorf("sqlstore: a delivery cannot be settled as %q", settlements[i].Status)
		}
	}
	ended, accepted := s.leases.takeEnded(), settlements
	defer func() {
		if err != nil {
			s.leases.restoreEnded(ended)
		} else {
			s.leases.forget(accepted)
			s.leases.drop(refused)
		}
	}()
	// Nearly always all results are accepted, and then as many rows are changed.
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		held, _ := s.leases.known(settlements)
		if err := s.settleIn(ctx, q, now, settlements, held); err != nil {
			return err
		}
		return s.removeLeases(ctx, q, ended)
	})
	if !errors.Is(err, errRefused) {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		// Lines are locked before rows: see lockLines.
		ends, err := s.turnEnds(ctx, q, now, settlements)
		if err != nil {
			return err
		}
		if err := s.lockLines(ctx, q, linesOf(ends)...); err != nil {
			return err
		}
		leases := make([]webhook.Lease, len(settlements))
		for i := range settlements {
			leases[i] = settlements[i].Lease
		}
		held, err := s.heldOf(ctx, q, leases)
		if err != nil {
			return err
		}
		accepted, refused = nil, nil
		for i := range settlements {
			lease := settlements[i].Lease
			if held[lease] {
				accepted = append(accepted, settlements[i])
				delete(held, lease) // a second result is refused
			} else {
				refused = append(refused, lease)
			}
		}
		if err := s.settleIn(ctx, q, now, accepted, make([]holding, len(accepted))); err != nil {
			return err
		}
		return s.removeLeases(ctx, q, ended)
	})
	if err != nil {
		return nil, err
	}
	return refused, nil
}

var settledStates = map[webhook.Status]int64{
	webhook.StatusPending:   statePending,
	webhook.StatusSucceeded: stateSucceeded,
	webhook.StatusDead:      stateDead,
}

// settleIn records the results, or returns errRefused. known says of which of them the attempt should
// be plain; if one that succeeded is not, that is errRefused, too.
func (s *Store) settleIn(
	ctx context.Context, q Querier, now time.Time, settlements []webhook.Settlement, known []holding,
) error {
	ends, err := s.turnEnds(ctx, q, now, settlements)
	if err != nil {
		return err
	}
	if err := s.lockLines(ctx, q, linesOf(ends)...); err != nil {
		return err
	}
	plain := make([]any, 0, len(settlements)*len(s.settle.first.columns))
	var succeeded, others []any
	first := int64(math.MaxInt64) // when the first of those is due that stay pending
	for i := range settlements {
		v := &settlements[i]
		if v.Status == webhook.StatusSucceeded && v.Attempt != nil && v.Progress == nil {
			row := []any{int64(v.DeliveryID), v.Token, encodeAttempt(v.Attempt)}
			if known[i].plain && known[i].row != nil {
				plain = append(plain, row...)
			} else {
				succeeded = append(succeeded, row...)
			}
			continue
		}
		at := now
		if v.Status == webhook.StatusPending {
			at = v.DueAt
			first = min(first, micros(at))
		}
		var attempt, progress any
		if v.Attempt != nil {
			attempt = encodeAttempt(v.Attempt)
		}
		if v.Progress != nil {
			progress = []byte(v.Progress)
		}
		others = append(others, int64(v.DeliveryID), v.Token, settledStates[v.Status], micros(at),
			flag(v.Lost), flag(v.Probe), attempt, progress)
	}
	s.starts.written(first)
	var n int64
	for _, results := range []struct {
		statement  *batch
		rows, rest []any
	}{
		{s.settle.first, plain, []any{micros(now)}},
		{s.settle.succeed, succeeded, []any{micros(now), micros(now)}},
		{s.settle.settle, others, nil},
	} {
		changed, err := s.x.dialect.execBatch(ctx, q, results.statement, results.rows, results.rest)
		if err != nil {
			return err
		}
		n += changed
	}
	if n != int64(len(settlements)) {
		return errRefused
	}
	if err := s.endTurns(ctx, q, micros(now), ends); err != nil {
		return err
	}
	held, err := s.holdings(ctx, q, settlements)
	if err != nil {
		return err
	}
	counted := make(tally)
	for i := range settlements {
		counted.of(held[i].endpointID).Count(&settlements[i])
	}
	if err := s.addStatistics(ctx, q, now, counted); err != nil {
		return err
	}
	return s.addResults(ctx, q, micros(now), resultsOf(settlements, held))
}

// Extend implements [webhook.Queue].
func (s *Store) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	if len(leases) == 0 {
		return nil, ctx.Err()
	}
	rows := make([]any, 0, 3*len(leases))
	for i, end := range s.leases.ends(leases) {
		rows = append(rows, int64(leases[i].DeliveryID), leases[i].Token, max(end, micros(until)))
	}
	lost, err = s.updateHeld(ctx, s.settle.extend, leases, rows)
	if err == nil {
		s.leases.drop(lost)
		s.leases.detach(leases) // the others have leases of their own now
	}
	return lost, err
}

// Now implements [webhook.Queue].
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if s.clock == "" {
		return time.Now(), ctx.Err()
	}
	var at int64
	_, err := one(ctx, s.read, s.clock, nil, []any{&at})
	return moment(at), s.mapped(err)
}

// Start implements [webhook.Queue].
func (s *Store) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	if len(leases) == 0 {
		return nil, ctx.Err()
	}
	return s.updateHeld(ctx, s.settle.start, leases, rowsOf(leases), micros(now))
}

// rowsOf returns the rows of a batch with the columns id and token.
func rowsOf(leases []webhook.Lease) []any {
	rows := make([]any, 0, 2*len(leases))
	for _, l := range leases {
		rows = append(rows, int64(l.DeliveryID), l.Token)
	}
	return rows
}

// updateHeld sets a time of the deliveries whose leases are held, and returns the others. rows and rest
// are the parameters of the statement.
func (s *Store) updateHeld(
	ctx context.Context, statement *batch, leases []webhook.Lease, rows []any, rest ...any,
) (lost []webhook.Lease, err error) {
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		lost = nil
		n, err := s.x.dialect.execBatch(ctx, q, statement, rows, rest)
		if err != nil || n == int64(len(leases)) {
			return err
		}
		held, err := s.heldOf(ctx, q, leases)
		if err != nil {
			return err
		}
		for _, l := range leases {
			if !held[l] {
				lost = append(lost, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// heldOf returns which of the leases are the latest of deliveries in flight.
func (s *Store) heldOf(
	ctx context.Context, q Querier, leases []webhook.Lease,
) (map[webhook.Lease]bool, error) {
	held := make(map[webhook.Lease]bool, len(leases))
	err := s.x.dialect.queryBatch(ctx, q, s.settle.held, rowsOf(leases), nil, func(rows scanner) error {
		var id, token int64
		err := rows.Scan(&id, &token)
		held[webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: token}] = true
		return err
	})
	return held, err
}

// holdings returns the endpoint of each delivery, and the number of its attempt. It queries them for
// leases from other stores, after the attempt was added.
func (s *Store) holdings(
	ctx context.Context, q Querier, settlements []webhook.Settlement,
) ([]holding, error) {
	held, unknown := s.leases.known(settlements)
	if len(unknown) == 0 {
		return held, nil
	}
	found := make(map[webhook.DeliveryID]holding, len(unknown))
	err := collect(ctx, q, func(row scanner) error {
		var id int64
		var h holding
		err := row.Scan(&id, &h.endpointID, &h.number)
		found[webhook.DeliveryID(id)] = h
		return err
	}, s.settle.holding, s.x.dialect.ints(unknown))
	for i := range held {
		if held[i].endpointID == 0 {
			held[i] = found[settlements[i].DeliveryID]
		}
	}
	return held, err
}
