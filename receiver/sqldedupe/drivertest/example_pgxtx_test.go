package drivertest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

// A program with a pool of pgx has its effect, and records the event, in one pgx.Tx. The
// claims go through the same pool.
func Example_exactlyOnceWithPgx() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()
	dedupe, err := sqldedupe.NewDedupe(db, sqldedupe.PostgreSQL(), sqldedupe.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := dedupe.CreateTable(ctx); err != nil {
		fmt.Println(err)
		return
	}

	pay := func(ctx context.Context, e *event.Event) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { // rolls back on any error
			if _, err := tx.Exec(ctx, "INSERT INTO payments (event_id) VALUES ($1)",
				e.ID); err != nil {
				return err
			}
			d := receiver.DeliveryFrom(ctx)
			return dedupe.DoneTx(ctx, sqldedupe.PgxTx(tx), d.Claim, d.Keep)
		})
	}

	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: os.Getenv("WEBHOOK_SECRET")}},
		Dedupe:  dedupe, // or redisstore, or any other: DoneTx works with all of them
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks", rcv.Handler(receiver.HandlerFunc(pay)))
	server := &http.Server{Addr: ":8443", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Println(server.ListenAndServeTLS("server.crt", "server.key"))
}
