package drivertest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

const secret = "correct-horse-battery-staple"

func send(h http.Handler, id string) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"event_id":"`+id+`","event_type":"invoice.paid"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Mixpeek-Secret", secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// errCrash stands for the death of a process: whatever it was about to do, the
// store does not see it.
var errCrash = errors.New("the process died")

// crashing is a store whose process dies when it wants to settle.
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

// With DoneTx the effect happens exactly once, wherever the process dies: before
// the commit there is neither effect nor record, after it both.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		db.exec(t, "CREATE TABLE payments (event_id TEXT NOT NULL)")
		payments := func() int { return db.number(t, "SELECT count(*) FROM payments") }
		process := func(dies string) http.Handler {
			deduper := &crashing{Deduper: store, dead: dies != ""}
			rcv, err := receiver.New(receiver.Config{
				Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true, Dedupe: deduper, Lease: time.Second,
			})
			require.NoError(t, err)
			return rcv.Handler(receiver.HandlerFunc(func(ctx context.Context, e *event.Event) error {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback() }()
				if _, err := tx.ExecContext(ctx, "INSERT INTO payments (event_id) VALUES ('"+e.ID+"')"); err != nil {
					return err
				}
				d := receiver.DeliveryFrom(ctx)
				if err := store.DoneTx(ctx, tx, d.Claim, d.Keep); err != nil {
					return err
				}
				if dies == "before commit" {
					return errCrash
				}
				if err := tx.Commit(); err != nil {
					return err
				}
				if dies == "after commit" {
					return errCrash
				}
				return nil
			}))
		}

		assert.Equal(t, 200, send(process(""), "evt_1"))
		assert.Equal(t, 200, send(process(""), "evt_1"))
		assert.Equal(t, 1, payments(), "a duplicate")

		assert.Equal(t, 503, send(process("after commit"), "evt_2"))
		assert.Equal(t, 2, payments(), "the effect is there, the acknowledgement is not")
		assert.Equal(t, 200, send(process(""), "evt_2"), "it is known to be done")
		assert.Equal(t, 2, payments())

		assert.Equal(t, 503, send(process("before commit"), "evt_3"))
		assert.Equal(t, 2, payments(), "neither effect nor record")
		assert.Equal(t, 409, send(process(""), "evt_3"), "the dead process has the lease")
		require.Eventually(t, func() bool { return send(process(""), "evt_3") == 200 }, 10*time.Second, 20*time.Millisecond)
		assert.Equal(t, 3, payments())
	})
}

// A transaction of a process that was taken over cannot commit its effect.
func TestDoneTxStale(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		late := take(t, store, "evt_1", time.Millisecond)
		passed(t, store)
		take(t, store, "evt_1", time.Hour)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		assert.ErrorIs(t, store.DoneTx(t.Context(), tx, late, time.Hour), receiver.ErrStaleToken)
		require.NoError(t, tx.Rollback())
	})
}

// A transaction says how long the event is remembered, also if the process dies
// after it and nobody says it again.
func TestDoneTxKeep(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		for key, keep := range map[string]time.Duration{"evt_short": time.Millisecond, "evt_long": 30 * 24 * time.Hour} {
			c := take(t, store, key, time.Hour)
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, store.DoneTx(t.Context(), tx, c, keep))
			require.NoError(t, tx.Commit())
		}
		passed(t, store)
		take(t, store, "evt_short", time.Hour)
		days := db.number(t, "SELECT (done.until_ms - claimed.until_ms + 3600000) / 86400000 FROM webhook_receiver_claims AS done, webhook_receiver_claims AS claimed WHERE done.claim_key = 'evt_long' AND claimed.claim_key = 'evt_short'")
		assert.InDelta(t, 30, days, 1)
	})
}

// The lease is extended while the transaction that settles the claim is open, or
// afterwards: both leave the event to the handler, and it stays done.
func TestDoneTxWhileTheLeaseIsExtended(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		store := db.dedupe(t)
		c := take(t, store, "evt_1", time.Hour)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, store.DoneTx(t.Context(), tx, c, time.Hour))
		extended := make(chan error)
		go func() { extended <- store.Extend(t.Context(), c, time.Millisecond) }()
		require.NoError(t, tx.Commit())
		require.NoError(t, <-extended)
		require.NoError(t, store.Extend(t.Context(), c, time.Millisecond))
		passed(t, store)
		standing, err := store.Claim(t.Context(), receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, receiver.Done, standing.State)
	})
}
