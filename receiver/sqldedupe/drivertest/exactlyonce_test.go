package drivertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const secret = "correct-horse-battery-staple"

func send(h http.Handler, id string) int {
	r := httptest.NewRequest(http.MethodPost, "/",
		strings.NewReader(`{"event_id":"`+id+`","event_type":"invoice.paid"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Mixpeek-Secret", secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// errCrash stands for the death of a process: the store sees no further call of it.
var errCrash = errors.New("the process died")

// crashing is a store whose process dies before it settles.
type crashing struct {
	receiver.Deduper
	dead bool
}

func (c *crashing) Done(ctx context.Context, claim receiver.Claim, keep time.Duration) error {
	if c.dead {
		return errCrash
	}
	return c.Deduper.Done(ctx, claim, keep)
}

func (c *crashing) Release(ctx context.Context, claim receiver.Claim) error {
	if c.dead {
		return errCrash
	}
	return c.Deduper.Release(ctx, claim)
}

// renamed is a wrapper that changes keys, as one for several tenants does.
type renamed struct{ receiver.Deduper }

func (r renamed) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	return r.Deduper.Claim(ctx, r.claim(c), lease)
}

func (r renamed) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	return r.Deduper.Done(ctx, r.claim(c), keep)
}

func (r renamed) Release(ctx context.Context, c receiver.Claim) error {
	return r.Deduper.Release(ctx, r.claim(c))
}

func (r renamed) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	return r.Deduper.Extend(ctx, r.claim(c), lease)
}

func (renamed) claim(c receiver.Claim) receiver.Claim {
	c.Key = "tenant/" + c.Key
	return c
}

// With DoneTx the effect happens exactly once, whenever the process dies and whatever claims
// the event: before the commit there is neither effect nor record, and after it both.
func TestExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for name, deduperOf := range map[string]func(*testing.T, *sqldedupe.Dedupe) receiver.Deduper{
		"claimed by the same store": func(_ *testing.T, store *sqldedupe.Dedupe) receiver.Deduper {
			return store
		},
		"claimed by the same store under other keys": func(
			_ *testing.T, store *sqldedupe.Dedupe,
		) receiver.Deduper {
			return renamed{store}
		},
		"claimed by another store": func(t *testing.T, _ *sqldedupe.Dedupe) receiver.Deduper {
			memory, err := receiver.NewMemory(receiver.MemoryConfig{})
			require.NoError(t, err)
			return memory
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, db database) {
				store := db.dedupe(t)
				testExactlyOnce(t, db, store, deduperOf(t, store))
			})
		})
	}
}

func testExactlyOnce(t *testing.T, db database, store *sqldedupe.Dedupe, deduper receiver.Deduper) {
	t.Helper()
	db.exec(t, "CREATE TABLE payments (event_id TEXT NOT NULL)")
	payments := func() int { return db.number(t, "SELECT count(*) FROM payments") }
	process := func(dies string) http.Handler {
		rcv, err := receiver.New(receiver.Config{
			Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true, Lease: time.Second,
			ClaimTimeout: time.Minute, // for a busy machine
			Dedupe:       &crashing{Deduper: deduper, dead: dies != ""},
		})
		require.NoError(t, err)
		return rcv.Handler(receiver.HandlerFunc(func(ctx context.Context, e *event.Event) error {
			if err := pay(ctx, db, store, e, dies == "before commit"); err != nil {
				return err
			}
			if dies == "after commit" {
				return errCrash
			}
			return nil
		}))
	}
	acknowledged := func(id string) {
		t.Helper()
		require.Eventually(t, func() bool { return send(process(""), id) == 200 }, time.Minute,
			20*time.Millisecond)
	}

	assert.Equal(t, 200, send(process(""), "evt_1"))
	assert.Equal(t, 200, send(process(""), "evt_1"))
	assert.Equal(t, 1, payments(), "a duplicate")

	assert.Equal(t, 503, send(process("after commit"), "evt_2"))
	assert.Equal(t, 2, payments(), "the effect is there, the acknowledgement is not")
	acknowledged("evt_2")
	assert.Equal(t, 2, payments(), "it is known to be done")

	assert.Equal(t, 503, send(process("before commit"), "evt_3"))
	assert.Equal(t, 2, payments(), "neither effect nor record")
	acknowledged("evt_3") // when the lease of the dead process has ended
	assert.Equal(t, 3, payments())
}

// pay has its effect and records the event in one transaction.
func pay(
	ctx context.Context, db database, store *sqldedupe.Dedupe, e *event.Event, dies bool,
) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx,
		"INSERT INTO payments (event_id) VALUES ('"+e.ID+"')"); err != nil {
		return err
	}
	d := receiver.DeliveryFrom(ctx)
	if err := store.DoneTx(ctx, sqldedupe.SQLTx(tx), d.Claim, d.Keep); err != nil {
		return err
	}
	if dies {
		return errCrash
	}
	return tx.Commit()
}

// Behind an inbox the effect happens exactly once too: a handler that died after its commit is
// called again, and gets ErrAlreadyHandled.
func TestExactlyOnceBehindAnInbox(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		db.exec(t, "CREATE TABLE payments (event_id TEXT NOT NULL)")
		calls, attempts := 0, make(chan dispatch.Result, 10)
		in, err := inbox.New(memstore.New(), func(ctx context.Context, e *event.Event) error {
			calls++
			if err := pay(ctx, db, store, e, calls == 1); err != nil {
				return err
			}
			if calls == 2 {
				return errCrash // after the commit
			}
			return nil
		}, inbox.Config{Dispatcher: dispatch.Config{
			Retry:        dispatch.ExponentialRetry{InitialInterval: time.Millisecond},
			PollInterval: time.Millisecond,
			Logger:       slog.New(slog.DiscardHandler),
			Hooks:        dispatch.Hooks{Attempted: func(o dispatch.Result) { attempts <- o }},
		}})
		require.NoError(t, err)
		rcv, err := receiver.New(receiver.Config{
			Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true, Dedupe: store, Consumer: "inbox",
		})
		require.NoError(t, err)
		require.Equal(t, 200, send(rcv.Handler(receiver.HandlerFunc(in.HandleEvent)), "evt_1"))

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- in.Run(ctx) }()
		assert.Equal(t, webhook.StatusPending, (<-attempts).Status, "it died before the commit")
		assert.Equal(t, webhook.StatusPending, (<-attempts).Status, "it died after the commit")
		last := <-attempts
		assert.Equal(t, webhook.StatusSucceeded, last.Status)
		assert.Equal(t, receiver.ErrAlreadyHandled.Error(), last.Attempt.Response)
		cancel()
		require.NoError(t, <-ended)
		assert.Equal(t, 1, db.number(t, "SELECT count(*) FROM payments"))
	})
}

// DoneTx works in a transaction of pgx.
func TestDoneTxOfPgx(t *testing.T) {
	t.Parallel()
	db := openPostgreSQL(t)
	store := db.dedupe(t)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := take(t, store, "evt_1", time.Hour)
	stranger := receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}
	done := func(c receiver.Claim, commit bool) (err error) {
		require.NoError(t, conn.Raw(func(driver any) error {
			tx, beginErr := driver.(*stdlib.Conn).Conn().Begin(t.Context())
			if beginErr != nil {
				return beginErr
			}
			err = store.DoneTx(t.Context(), sqldedupe.PgxTx(tx), c, time.Hour)
			if commit {
				return tx.Commit(t.Context())
			}
			return tx.Rollback(t.Context())
		}))
		return err
	}
	require.NoError(t, done(c, false))
	require.ErrorIs(t, done(stranger, false), receiver.ErrStaleToken,
		"what was rolled back has not happened")
	require.NoError(t, done(c, true))
	require.NoError(t, done(c, true), "it may be repeated")
	require.ErrorIs(t, done(stranger, false), receiver.ErrAlreadyHandled)
	require.NoError(t, store.Done(t.Context(), c, time.Hour))
}

// DoneTx decides by the state of the key, whether this store has claimed it or not.
func TestDoneTxByState(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		ctx, store := t.Context(), db.dedupe(t)
		done := func(c receiver.Claim, keep time.Duration) error {
			tx, err := db.BeginTx(ctx, nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			if err := store.DoneTx(ctx, sqldedupe.SQLTx(tx), c, keep); err != nil {
				return err
			}
			return tx.Commit()
		}
		claim := func(key string) receiver.Claim {
			return receiver.Claim{Key: key, Token: receiver.NewToken()}
		}

		require.NoError(t, done(claim("absent"), time.Hour))
		require.ErrorIs(t, done(claim("absent"), time.Hour), receiver.ErrAlreadyHandled)

		unclaimed := receiver.Claim{Key: "unclaimed"}
		require.NoError(t, done(unclaimed, time.Hour))
		require.ErrorIs(t, done(unclaimed, time.Hour), receiver.ErrAlreadyHandled,
			"two attempts without a token are two")

		take(t, store, "claimed", time.Hour)
		require.ErrorIs(t, done(claim("claimed"), time.Hour), receiver.ErrStaleToken)

		take(t, store, "late", time.Millisecond)
		long := take(t, store, "long gone", time.Millisecond)
		dead := take(t, store, "dead", time.Hour)
		require.NoError(t, store.Dead(ctx, dead, "broken", time.Hour))
		require.NoError(t, done(claim("forgotten"), time.Millisecond))
		passed(t, store)
		require.ErrorIs(t, done(claim("late"), time.Hour), receiver.ErrStaleToken,
			"its holder may still settle it")
		db.exec(t,
			"UPDATE webhook_receiver_claims SET until_ms = until_ms - 3600001 WHERE claim_key = 'long gone'")
		require.NoError(t, done(claim("long gone"), time.Hour))
		require.ErrorIs(t, store.Done(ctx, long, time.Hour), receiver.ErrStaleToken)
		require.ErrorIs(t, done(claim("dead"), time.Hour), receiver.ErrStaleToken)
		require.ErrorIs(t, done(dead, time.Hour), receiver.ErrStaleToken)
		require.NoError(t, done(claim("forgotten"), time.Hour))

		for _, keep := range []time.Duration{-time.Hour, 0, time.Millisecond - 1} {
			require.ErrorContains(t, done(claim("forgotten at once"), keep), "keep")
		}
		require.NoError(t, done(claim("forgotten at once"), time.Hour), "nothing was recorded")
		require.ErrorContains(t, store.DoneTx(ctx, sqldedupe.Tx{}, claim("evt_1"), time.Hour),
			"transaction is missing")
		require.ErrorContains(t, store.DoneTx(ctx, sqldedupe.SQLTx(nil), claim("evt_1"), time.Hour),
			"transaction is missing")
		require.ErrorContains(t, done(receiver.Claim{}, time.Hour), "no key")
	})
}

// Of two concurrent transactions one has the effect.
func TestDoneTxAtTheSameTime(t *testing.T) {
	t.Parallel()
	db := openPostgreSQL(t) // SQLite has one writer at a time
	store := db.dedupe(t)
	begin := func() *sql.Tx {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback() })
		return tx
	}
	for _, commits := range []bool{true, false} {
		key, first, second := fmt.Sprint("evt_", commits), begin(), begin()
		require.NoError(t, store.DoneTx(t.Context(), sqldedupe.SQLTx(first),
			receiver.Claim{Key: key}, time.Hour))
		result := make(chan error)
		go func() {
			result <- store.DoneTx(t.Context(), sqldedupe.SQLTx(second), receiver.Claim{Key: key},
				time.Hour)
		}()
		if commits {
			require.NoError(t, first.Commit())
			require.ErrorIs(t, <-result, receiver.ErrAlreadyHandled)
		} else {
			require.NoError(t, first.Rollback())
			require.NoError(t, <-result)
		}
		_ = second.Rollback()
	}
}

// DoneTx fails if another process has taken over the claim.
func TestDoneTxStale(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		late := take(t, store, "evt_1", time.Millisecond)
		passed(t, store)
		take(t, store, "evt_1", time.Hour)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		assert.ErrorIs(t, store.DoneTx(t.Context(), sqldedupe.SQLTx(tx), late, time.Hour),
			receiver.ErrStaleToken)
		require.NoError(t, tx.Rollback())
	})
}

// A transaction says how long the event is remembered, even if the process dies
// after it and the Receiver does not record the event again.
func TestDoneTxKeep(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		for key, keep := range map[string]time.Duration{"evt_short": time.Millisecond,
			"evt_long": 30 * 24 * time.Hour} {
			c := take(t, store, key, time.Hour)
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, store.DoneTx(t.Context(), sqldedupe.SQLTx(tx), c, keep))
			require.NoError(t, tx.Commit())
		}
		passed(t, store)
		take(t, store, "evt_short", time.Hour)
		days := db.number(t,
			"SELECT (done.until_ms - claimed.until_ms + 3600000) / 86400000 FROM webhook_receiver_claims "+
				"AS done, webhook_receiver_claims AS claimed WHERE done.claim_key = 'evt_long' AND "+
				"claimed.claim_key = 'evt_short'")
		assert.InDelta(t, 30, days, 1)
	})
}

// The lease may be extended while the transaction that settles the claim is open, and after
// it. The event stays done.
func TestDoneTxWhileTheLeaseIsExtended(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		c := take(t, store, "evt_1", time.Hour)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, store.DoneTx(t.Context(), sqldedupe.SQLTx(tx), c, time.Hour))
		extended := make(chan error)
		go func() { extended <- store.Extend(t.Context(), c, time.Millisecond) }()
		require.NoError(t, tx.Commit())
		require.NoError(t, <-extended)
		require.NoError(t, store.Extend(t.Context(), c, time.Millisecond))
		passed(t, store)
		standing, err := store.Claim(t.Context(),
			receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, receiver.Done, standing.State)
	})
}
