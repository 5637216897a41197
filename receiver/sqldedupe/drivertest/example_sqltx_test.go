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

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

// An effect in the database happens exactly once, although the process dies after the
// commit and before the sender has its answer: the event is recorded in the transaction of
// the effect.
func Example_exactlyOnceWithSQL() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each connection would have its own database
	if _, err := db.ExecContext(ctx, "CREATE TABLE payments (event_id TEXT)"); err != nil {
		fmt.Println(err)
		return
	}
	store, err := sqldedupe.NewDedupe(db, sqldedupe.SQLite(), sqldedupe.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := store.CreateTable(ctx); err != nil {
		fmt.Println(err)
		return
	}

	crash := true
	pay := func(ctx context.Context, e *event.Event) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit
		if _, err := tx.ExecContext(ctx, "INSERT INTO payments VALUES (?)", e.ID); err != nil {
			return err
		}
		d := receiver.DeliveryFrom(ctx)
		if err := store.DoneTx(ctx, sqldedupe.SQLTx(tx), d.Claim, d.Keep); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		if crash {
			return errors.New("the process dies here")
		}
		return nil
	}

	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Dedupe:  store,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := rcv.Handler(receiver.HandlerFunc(pay))
	for _, crash = range []bool{true, false} {
		r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
			strings.NewReader(`{"event_id":"evt_1","event_type":"invoice.paid"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Mixpeek-Secret", "correct-horse-battery-staple")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		payments := 0
		if err := db.QueryRowContext(ctx,
			"SELECT count(*) FROM payments").Scan(&payments); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("answered", w.Code, "- payments:", payments)
	}
	// Output:
	// answered 503 - payments: 1
	// answered 200 - payments: 1
}
