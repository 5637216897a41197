package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// resealPage is how many subscriptions Reseal reads at a time, and so the most that
// it rewrites in a transaction.
const resealPage = 50

// maxResealErrors bounds how many subscriptions the error of Reseal names.
const maxResealErrors = 10

type resealStatements struct {
	page, swap string
}

func newResealStatements(x expander) resealStatements {
	return resealStatements{
		page: x.sql(`SELECT ` + subscriptionColumns + ` FROM {p}webhooks WHERE id > ? ORDER BY id LIMIT ?`),
		// The revision stays: what the subscription says has not changed. Nobody
		// else's change is lost, because the text must be the one that was read.
		swap: x.sql(`UPDATE {p}webhooks SET channels = ? WHERE id = ? AND organization_id = ? AND channels = ?`),
	}
}

// Reseal seals the configs that are stored in clear, and seals those again whose
// key is not the one of Config.Sealer. It returns how many subscriptions it rewrote.
// After it has returned without an error, no stored configs need another key,
// unless a process with another configuration wrote some meanwhile.
//
// It works in small transactions, beside whatever else goes on in this process
// and others, and can be cut short and called again: what is done stays done. To
// those who read the subscriptions nothing changes, not their revisions either.
//
// A subscription that cannot be opened is passed over. The error names ten of them at
// most, each as a [SealedError].
func (s *Store) Reseal(ctx context.Context) (resealed int, err error) {
	if s.sealer == nil {
		return 0, errors.New("sqlstore: Reseal needs a Config.Sealer")
	}
	var unreadable []error // maxResealErrors of them
	failed := 0
	for after := ""; ; {
		p, err := s.resealAfter(ctx, after)
		resealed += p.resealed
		if err != nil {
			return resealed, err
		}
		if p.overtaken {
			continue // look again
		}
		unreadable = append(unreadable, p.unreadable[:min(len(p.unreadable), maxResealErrors-len(unreadable))]...)
		failed += len(p.unreadable)
		if p.last == "" {
			break
		}
		after = p.last
	}
	if more := failed - len(unreadable); more > 0 {
		unreadable = append(unreadable, fmt.Errorf("sqlstore: and %d more subscriptions", more))
	}
	return resealed, errors.Join(unreadable...)
}

// resealedPage is what became of one page of webhooks.
type resealedPage struct {
	resealed   int
	overtaken  bool // somebody else changed a subscription after it was read
	unreadable []error
	last       string // the id that the page ends with, empty after the last page
}

func (s *Store) resealAfter(ctx context.Context, after string) (p resealedPage, err error) {
	var stale []*storedSubscription
	err = collect(ctx, s.read, func(rows scanner) error {
		w, err := scanSubscription(rows)
		if err != nil {
			return err
		}
		p.last = w.ID
		if !s.isCurrent(w) {
			stale = append(stale, w)
		}
		return nil
	}, s.reseal.page, after, resealPage)
	if err != nil {
		return p, s.failed(err)
	}
	var swaps [][]any
	for _, w := range stale {
		if err := s.open(ctx, w); err != nil {
			p.unreadable = append(p.unreadable, err)
			continue
		}
		channels, err := s.encodeChannels(ctx, &w.Subscription)
		if err != nil {
			return p, err
		}
		swaps = append(swaps, []any{channels, w.ID, w.OrganizationID, string(w.channels)})
	}
	if len(swaps) == 0 {
		return p, ctx.Err()
	}
	var changed int64
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		changed = 0
		for _, args := range swaps {
			n, err := q.Exec(ctx, s.reseal.swap, args...)
			if err != nil {
				return err
			}
			changed += n
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	p.resealed, p.overtaken = int(changed), changed < int64(len(swaps))
	return p, nil
}

// isCurrent reports whether all configs are sealed with the Sealer's key.
func (s *Store) isCurrent(w *storedSubscription) bool {
	return !slices.ContainsFunc(w.sealed, func(c *sealedConfigs) bool { return c == nil || c.Key != s.sealer.KeyID() })
}
