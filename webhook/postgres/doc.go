// Package postgres keeps subscriptions, events and deliveries in PostgreSQL, for
// services that run as many processes:
//
//	store, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), postgres.Config{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// [New] makes one on a pool that the service has already; [Store.Pool] is the pool of
// either.
//
// It is a module of its own, because it brings the driver pgx with it. What is
// stored, and how, is in package sqlstore, which works with any other driver
// as well.
//
// An event can be stored in the transaction of the change that it tells about,
// see [Tx] and [SQLTx].
//
// # PgBouncer
//
// A Store works behind PgBouncer and other poolers, with pool_mode=transaction
// too. It keeps nothing on a connection: its settings are those of each transaction
// and end with it, so that other programs of the pool, or of the service, never
// have them. What differs is:
//
//   - Prepared statements. The server knows a connection behind a pooler by another
//     number than this process; a Store sees that, and has every statement planned
//     again. If the pooler keeps prepared statements (PgBouncer from 1.21 on, with
//     max_prepared_statements), default_query_exec_mode=cache_statement in the
//     connection string saves that. If it does not, statements then fail with
//     ErrPooler. Connections of yours, for [sqlstore.Store.EnqueueTx], need
//     default_query_exec_mode=exec, cache_describe or simple_protocol.
//   - LISTEN, which works with pool_mode=session only. [Store.Listen] tries whether a
//     notification arrives, and returns ErrNoNotifications if not. A Dispatcher logs
//     that once and polls: what other processes emit, and what EmitTx stored, waits
//     for up to Config.PollInterval.
//   - Parameters of the connection string, such as search_path or statement_timeout,
//     which PgBouncer refuses, or drops if ignore_startup_parameters has them. Open
//     and New return ErrPooler if it refuses one, or drops search_path. ALTER ROLE … SET
//     sets them, and so does connect_query in pgbouncer.ini.
//
// Each Dispatcher needs two connections to the server at times: let
// default_pool_size be 2 or more.
//
// # Clocks
//
// Leases and due times are judged by the server's clock. A Dispatcher asks for it
// once a minute and goes on from there by the monotonic clock of its process, so
// that it does not matter if the clocks of processes differ, or are set. A
// difference of more than 5 seconds is logged, because times that other parts of
// the service note will differ too. If the server's own clock was ahead, what it
// left is set right within a minute: leases that end more than 5 minutes, or 4
// times Config.Lease, from now; deliveries that were never attempted and are due
// in more than 5 minutes; retries that are due later than the retry policy allows.
// So let Config.Lease of all processes be about the same.
//
// # Outages
//
// An Emit either returned nil, and its events are delivered, or an error. After
// ErrUnavailable, or a context that ended while it committed, its events may be
// stored all the same, whole and never by half; emitting them again is safe.
//
// A Dispatcher's Run goes on by itself: it tries again with backoff of up to 5
// seconds, and logs once that an outage began and once that it is over, for each
// thing that it does: claiming, storing results, extending leases, listening.
//
//	process killed, or paused past a lease   others take over when the lease is over; a result
//	                                         that comes later is refused, so nothing is overwritten;
//	                                         the endpoint may get an event again
//	killed by the event that it attempts     the event dies after Config.MaxLostAttempts, and what was
//	                                         in memory with it goes on
//	paused or cut off in a transaction       the server ends it after 10 seconds
//	                                         (idle_in_transaction_session_timeout, unless set)
//	process asked to end (Run's context)     finishes its attempts, gives back the rest: no duplicates
//	server stopped, crashed, started         ErrUnavailable; goes on when it is up
//	failover, several hosts given            ErrUnavailable; goes on at the new primary, with
//	                                         target_session_attrs=read-write; lossless if
//	                                         replication is synchronous
//	connected to a read-only server          ErrReadOnly; connects again
//	connection cut                           ErrUnavailable once; a new connection
//	connection silent, and never closed      calls fail when their context ends, those of Run after 30
//	                                         seconds; then a new connection
//	statement_timeout, lock_timeout          ErrTimeout
//	deadlock, serialization failure          tried again; the store's own transactions are READ
//	                                         COMMITTED whatever the default is. In a transaction of
//	                                         yours that is SERIALIZABLE, try all of it again
//	disk full                                ErrFull; goes on when there is room
//	no connection left                       ErrTooManyConnections; goes on when there is one
package postgres
