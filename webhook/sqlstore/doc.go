// Package sqlstore is a durable [webhook.Store] in SQLite or PostgreSQL, over database/sql and with
// any driver:
//
//	store, err := sqlstore.New(ctx, db, sqlstore.PostgreSQL(), sqlstore.Config{})
//
// It imports no driver. Most programs use package webhook/postgres or webhook/sqlite
// instead: they open a database with the right settings, and map the errors of its driver.
//
// # Tables
//
// Every name begins with the prefix that Config.TablePrefix chooses.
//
//	meta           SQLite only, one row: the next id
//	webhooks       the subscriptions; event types and channels are JSON, see Secrets
//	endpoints      one row for each channel of each subscription: active, paused or deleted
//	routes         one row for each subscription with what is needed to match events,
//	               which leaves out the configs of its channels
//	organizations  how often a subscription of each was changed, and what each has
//	events         the envelopes; an event is one row, however many endpoints receive it
//	deliveries     one event for one endpoint, with the history of attempts
//	leases         what was prefetched: ranges of the ids of deliveries, and until when
//	blocks         which endpoints have deliveries in which range of ids
//	statistics     figures of each endpoint and hour
//	requests       idempotency keys of the last day
//	migrations     the versions of this schema that were applied
//
// The views deliveries_view, attempts_view and subscriptions_view are for people who look with SQL.
// TABLES.md describes them, and the columns of the tables.
//
// Times are whole microseconds since 1970 in UTC, and states are numbers. So the
// statements are the same for every database, and the rows are small.
//
// # How it works
//
// Most deliveries are prefetched and succeed at once. The number of index entries that a delivery
// makes decides its cost, so a delivery that is prefetched makes none besides that of its id. A row
// that is prefetched is in flight with a due_at of NULL, and one row of the table leases stands for
// all that one Enqueue stored. When the last of them is settled, the next Settle removes that row.
// If the process dies instead, the lease ends: the first claim after that gives what is still in
// flight a due_at, so that claims find it. The fencing token is that of the delivery throughout. A
// lease that is extended becomes one of the delivery's own. In PostgreSQL no index has a column
// that a success changes, so the new version of a row stands on the same page (HOT) and needs no
// index entry.
//
// All other unfinished deliveries are in the queue: due_at has the time when the delivery is due,
// or when its lease ends if it is in flight. A claim treats both alike, so one partial index finds
// both. It is ordered by endpoint, by whether the delivery was attempted, and by due_at. Deliveries
// that were prefetched or settled are not in it, so claims never read their dead entries, which
// PostgreSQL cannot remove while an old transaction is open.
//
// A claim walks from endpoint to endpoint in that index and takes a few deliveries of each. The
// endpoints of an organization have consecutive ids, so the claim skips an organization that has
// had its share in one step. The next claim begins with the organization after the last. The cost
// of a claim depends on the number of endpoints with unfinished deliveries, not on the number of
// deliveries. The endpoints and organizations to skip are parameters and bounds of its statements,
// up to 10,000 endpoints and 250 organizations: see [Store.Claim]. The ids of up to 100,000 such
// endpoints are remembered.
//
// Whether a delivery is paused, or cancelled because its subscription was deleted, follows
// from the row of its endpoint. So pausing or deleting a subscription costs the same for
// one delivery and for a million.
//
// Events and deliveries take their ids from one sequence, an event before its deliveries.
// The deliveries of an event are therefore a range of the primary key and need no index.
// PostgreSQL hands out ids in spans, so that no transaction waits for another to commit.
//
// Every change of a subscription raises the version of its organization, keeps a lock on
// that row until the commit, and writes the version into the subscription's route. So the
// routes with a higher version than a known one are what has changed since. Each process
// keeps up to 128 MiB of routes, of the organizations that emitted last. An Enqueue reads
// the versions of its organizations in its own transaction, with the statement that takes
// ids, and then the routes that have changed, which usually are none. A subscription is
// therefore matched from its commit on. A change costs one row in each process that emits
// for the organization, and nothing elsewhere. In a caller's transaction with an older
// snapshot, an event is matched with the subscriptions of the snapshot, or with newer
// ones if this process has read them.
//
// The route of a deleted subscription is kept for the next 256 changes of its
// organization. A process that has missed more changes, or has no routes of the
// organization in memory, reads all of them, in pages of 500. It does so before the
// transaction of its Enqueue, so that other transactions need not wait.
//
// # How it is pruned
//
// A delivery that was settled before a time has an id below that of the first event that was stored
// after that time. Prune finds that id by bisection, and deletes old rows below it range by range.
// So there is no index by time, and no row is read twice. A row that stays behind, because it is
// not settled, was settled late, or is dead and kept for longer, is marked in the column kept. An
// index of the marked rows, by the time of settling, finds them when they are old. Each process
// begins with the first id again once a day, for rows that were committed after it had passed.
//
// # Secrets
//
// The configs of channels contain header values, tokens and signing secrets. Without
// Config.Sealer they are stored in clear: a person who reads the database, a replica or a
// backup can read the secrets. With a Sealer, such as that of package webhook/seal, the
// configs of each channel are encrypted as a whole, so that no field is forgotten. The
// names of subscriptions and channels, event types, events and the answers of endpoints
// are not encrypted. Configs that are sealed for one channel of one subscription cannot
// be opened as those of another. Sealing protects against reading: a person who can write
// to the database can still replace the configs of a subscription by others, or by older
// ones.
//
// A process that cannot open a subscription, because it lacks the Sealer or the key, continues with
// the others. [Store.Subscription] returns a [*SealedError] that names the missing key, and
// [Store.Subscriptions] lists the subscription with null configs. Its events are stored, and the
// Dispatcher leaves its deliveries to processes that can open it: they wait, and nothing is lost.
// If the key itself is lost, update the subscription, with the revision that the list has, or
// delete it and create it again.
//
// To begin, give all processes the Sealer, then call [Store.Reseal]. Until then, configs
// in clear can be read, and every update seals those that it writes. To replace a key
// while every process can open what any other has sealed:
//
//  1. Give all processes the new key after the old one: seal.New(old, new).
//  2. When all have it, reverse the order: seal.New(new, old).
//  3. When all have that, call Reseal. If it returns no error, the old key is no longer
//     needed, and the next deployment can leave it out.
//
// Databases keep overwritten data for a while. After the first Reseal, VACUUM removes the
// clear text from a SQLite file, and from its log once all processes have closed it. In
// PostgreSQL, VACUUM FULL of the table webhooks does so. Archived logs, replicas and
// backups still have it: replace secrets that may have been read there.
//
// # What queries of the history cost
//
// An index of all deliveries by endpoint or organization would make each batch of writes
// touch one page for each endpoint in it. Measured on SQLite, a delivery then costs twice
// as much with ten endpoints, and three times as much with a hundred. Instead the table
// blocks says which endpoints occur in each range of 16384 ids. A query by subscription
// or organization visits only the ranges that have something to find, the newest first,
// and reads those in order. Dead and unfinished deliveries have partial indexes.
//
// An organization can have any number of endpoints, including deleted ones. A list keeps
// at most 1000 of their ids, 64 ranges, and twice its Limit of deliveries in memory. Dead
// and unfinished deliveries are searched for 1000 endpoints per statement, and the newest
// of all are kept. For the ranges, an organization with more than 1000 endpoints is
// searched by its name, so that each range is read once.
//
// Pruning visits deleted endpoints in pages of 500: once, and then once a day for as long as they
// have deliveries. Deliveries that were prefetched and are still in flight are found by the rows of
// the table leases, for figures and lists too.
//
// Statistics do not read deliveries: each settlement adds its results to a row of the
// endpoint and hour, one row for all results of the call. In PostgreSQL an hour has
// several such rows and each process writes to one of them, so that processes do not wait
// for each other. Only unfinished deliveries are counted one by one, in the queue and the leases.
// [Store.Totals] counts those of an organization or of all, and the dead ones, up to a limit.
//
// # What is where
//
//   - store.go: Config, New, Store, transactions that are tried again
//   - dialect.go: what a database must provide, and how statements are made for it
//   - sqlite.go, postgres.go: the databases
//   - schema, migrate.go: the tables, and bringing them to the newest version
//   - querier.go: running statements, and transactions of the caller
//   - subscriptions.go: subscriptions and their lists
//   - seal.go: the Sealer, opening and sealing configs, Reseal
//   - routes.go: which subscriptions an event goes to
//   - endpoints.go: the states of endpoints
//   - enqueue.go, trace.go: storing events and deliveries, and the traces of events
//   - claim.go: claims: the walk, what they skip, and leases
//   - leases.go: the leases of what was prefetched, and what this process holds
//   - settle.go: Settle, Extend, Start and Now
//   - history.go: queries of deliveries, attempts, Replay and Cancel
//   - statistics.go, totals.go: figures of endpoints; what is unfinished or dead of all
//   - prune.go, housekeeping.go: Prune: deliveries and events, and all else
//   - repair.go: Repair
//   - idempotency.go: idempotency keys
package sqlstore
