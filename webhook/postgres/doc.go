// Package postgres keeps webhooks, events and deliveries in PostgreSQL, for
// services that run as many processes:
//
//	store, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), postgres.Config{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// It is a module of its own, because it brings the driver pgx with it. What is
// stored, and how, is in package sqlstore, which works with any other driver
// as well.
//
// An event can be stored in the transaction of the change that it tells about,
// a pgx.Tx or a *sql.Tx: see [Store.EnqueueTx].
package postgres
