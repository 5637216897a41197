// Package postgres keeps subscriptions, events and deliveries in PostgreSQL. Any number of
// processes may share a database:
//
//	store, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), postgres.Config{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// [New] makes a Store on a pool that the service already has. [Store.Pool] is the pool of
// either.
//
// An event can be stored in the transaction of the change that it reports: see [Tx] and
// [SQLTx].
//
// It is a module of its own, because it requires the driver pgx. The tables are described
// in package sqlstore, which works with any other driver as well.
//
// # PgBouncer
//
// A Store works behind PgBouncer and other poolers, also with pool_mode=transaction. It
// keeps nothing on a connection: its settings belong to each transaction and end with it, so
// that they never reach other programs of the pool or other parts of the service. There are
// these differences:
//
//   - Prepared statements. Behind a pooler the server knows a connection by another number
//     than this process does. A Store notices that, and then has every statement planned
//     again. If the pooler keeps prepared statements (PgBouncer from 1.21 on, with
//     max_prepared_statements), default_query_exec_mode=cache_statement in the connection
//     string avoids that. If the pooler does not keep them, that setting makes statements
//     fail with ErrPooler. Your own connections, for [sqlstore.Store.EnqueueTx], need
//     default_query_exec_mode=exec, cache_describe or simple_protocol.
//   - LISTEN, which works with pool_mode=session only. [Store.Listen] checks whether a notification
//     arrives, and returns ErrNoNotifications if none does. A Dispatcher logs that once and polls:
//     events that other processes emit, or that EmitTx stored, then wait for up to
//     dispatch.Config.PollInterval.
//   - Parameters of the connection string, such as search_path or statement_timeout: PgBouncer
//     refuses them, or ignores those that ignore_startup_parameters lists. Open and New return
//     ErrPooler if it refuses one, or ignores search_path. Set them with ALTER ROLE … SET, or with
//     connect_query in pgbouncer.ini.
//
// Each Dispatcher needs two connections to the server at times: set default_pool_size to 2
// or more.
//
// # Clocks
//
// The server's clock decides about leases and due times. A Dispatcher asks for it once a minute and
// uses the monotonic clock of its process in between, so the clocks of processes may differ and may
// be set. A difference of more than 5 seconds is logged, because other parts of the service will
// record different times too. If the server's clock was ahead for a while, a Dispatcher corrects
// the times that were stored then, within a minute: leases that end further ahead than 5 minutes or
// 4 times dispatch.Config.Lease, whichever is longer; deliveries that were never attempted and are
// due in more than 5 minutes; and retries that are due more than 5 minutes later than the retry
// policy allows. So dispatch.Config.Lease should be about the same in all processes.
//
// # Outages
//
// An Emit that returns nil has stored its events. After the ErrUnavailable of this package, or a
// context that ended during the commit, either all events of the call are stored or none. Emitting
// them again is safe.
//
// A Dispatcher's Run recovers by itself: it tries again with backoff of up to 5 seconds, and
// logs once that an outage began and once that it is over, for each of its tasks: claiming,
// storing results, extending leases, listening.
//
//	process killed, or paused past a lease   other processes take over when the lease is over; a
//	                                         later result is refused, so nothing is overwritten;
//	                                         the endpoint may get an event again
//	killed by the event that it attempts     the delivery is dead after
//	                                         dispatch.Config.MaxLostAttempts, and the other events
//	                                         in memory are delivered
//	paused or cut off in a transaction       the server ends it after 10 seconds
//	                                         (idle_in_transaction_session_timeout, unless set)
//	process asked to end (Run's context)     finishes its attempts, requeues the rest: no
//	                                         duplicates
//	server stopped, crashed, started         ErrUnavailable; continues when the server is up
//	failover, several hosts given            ErrUnavailable; continues at the new primary, with
//	                                         target_session_attrs=read-write; lossless if
//	                                         replication is synchronous
//	connected to a read-only server          ErrReadOnly; connects again
//	connection cut                           ErrUnavailable once; a new connection
//	connection silent, and never closed      calls fail when their context ends, those of Run
//	                                         after 30 seconds; then a new connection
//	statement_timeout, lock_timeout          ErrTimeout
//	deadlock, serialization failure          tried again; the store's own transactions are READ
//	                                         COMMITTED whatever the default is. In a transaction
//	                                         of yours that is SERIALIZABLE, try all of it again
//	disk full                                ErrFull; continues when there is room
//	no connection left                       ErrTooManyConnections; continues when there is one
//
// # What is where
//
//   - postgres.go: Open, New, Store, Tx
//   - pool.go: the settings of connections and transactions
//   - conn.go: the connections of database/sql on the pool
//   - listen.go: notifications
//   - errors.go: the errors, and what they are made from
package postgres
