// Package sqlite opens a SQLite database file as a durable [webhook.Store]:
//
//	store, err := sqlite.Open(ctx, "/var/lib/shop/webhooks.db", sqlite.Config{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// [New] makes one on a handle that the service has already; [Store.DB] is a handle for
// transactions of the caller's.
//
// It is a module of its own, because it brings a database with it: SQLite
// translated to Go, without cgo. What is stored, and how, is in package sqlstore.
//
// The file is in WAL mode with synchronous=FULL: what a method reported as done
// survives a crash of the process and a loss of power. One connection writes;
// queries have connections of their own and do not wait for writes. Several
// processes on one machine may open the same file. A network file system is no
// place for it. A file that is removed or replaced while it is open is noticed:
// see [ErrReplaced].
package sqlite
