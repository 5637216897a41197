// Package sqlite opens a SQLite database file as a durable [webhook.Store]:
//
//	store, err := sqlite.Open(ctx, "/var/lib/shop/webhooks.db", sqlite.Config{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// [New] makes a Store on a handle that the service already has. [Store.DB] is a handle for
// the caller's own transactions, and [Tx] publishes an event in one.
//
// It is a module of its own, because it requires a database: SQLite translated to Go,
// without cgo. The tables are described in package sqlstore.
//
// The file is in WAL mode with synchronous=FULL: what a method reported as done survives
// a crash of the process and a loss of power. The Store writes on one connection. Queries have
// connections of their own and do not wait for writes. Several processes on one machine
// may open the same file. A network file system is not supported. The Store notices if
// the file is removed or replaced while it is open: see [ErrReplaced].
//
// # What is where
//
//   - sqlite.go: Open, and Store
//   - writeback.go: what an earlier process has left in the log
//   - checkpoint.go: writing the log back into the file, beside the commits, and what follows if the
//     disk cannot
//   - handle.go: New on a handle of the caller, and Tx
//   - callers.go: the handle for transactions of the caller
//   - identity.go: noticing that the file was replaced
//   - errors.go: the errors, and what they are made from
package sqlite
