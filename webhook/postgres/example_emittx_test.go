package postgres_test

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// saveArticle stores an article and publishes that it did: both or neither.
func saveArticle(
	ctx context.Context, pool *pgxpool.Pool, d *dispatch.Dispatcher, id, title string,
) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { // rolls back on any error
		e := event.New("article.created", event.Subject{Type: "article", ID: id})
		if _, err := d.EmitTx(ctx, postgres.Tx(tx), e); err != nil {
			return err
		}
		const insert = "INSERT INTO articles (id, title) VALUES ($1, $2)"
		if _, err := tx.Exec(ctx, insert, id, title); err != nil {
			return fmt.Errorf("article %s: %w", id, err)
		}
		return nil
	})
}

// Publish in the transaction of the change, on the service's own pool. Whichever process
// runs a Dispatcher on the database delivers the event.
func ExampleTx() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	store, err := postgres.New(ctx, pool, postgres.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }() // the pool stays open
	d, err := dispatch.New(store, dispatch.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := saveArticle(ctx, pool, d, "art_1", "Red shoes"); err != nil {
		fmt.Println(err)
	}
}
