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
//	organizations  one row for each: the version of its subscriptions, and how many it has
//	events         the envelopes; an event is one row, however many endpoints receive it
//	deliveries     one event for one endpoint, with the history of attempts
//	fanouts        deliveries of events that match many, which are still to be stored
//	leases         what was prefetched, and in SQLite claimed: ranges of the ids of deliveries, and
//	               until when
//	blocks         which endpoints have deliveries in which range of ids
//	statistics     figures of each endpoint and hour
//	positions      how far the readers of a subscription have read
//	requests       idempotency keys of the last day
//	api_keys       API keys: their hashes, and what they allow
//	processes      which processes deliver
//	migrations     the versions of this schema that were applied
//
// The views deliveries_view, attempts_view and subscriptions_view are for people who look with SQL.
// TABLES.md describes them, and the columns of the tables. INTERNALS.md says how events are matched
// and stored, deliveries claimed and old rows pruned, and what queries of the history cost.
//
// Times are whole microseconds since 1970 in UTC, and states are numbers. So the
// statements are the same for every database, and the rows are small.
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
//   - rates.go: permits of endpoints with a rate limit
//   - enqueue.go, trace.go: storing events and deliveries, and the traces of events
//   - fanout.go: storing the deliveries of an event that matches many piece by piece
//   - claim.go: claims: the walk, what they skip, and leases
//   - deadentries.go: where claims start beside dead entries of the queue
//   - expired.go: what has expired while it waits
//   - park.go: deliveries of endpoints that may not be attempted, which the walk does not visit
//   - lines.go: deliveries in order, and Skip
//   - leases.go: the table leases, and what this process holds
//   - settle.go: Settle, Extend, Start and Now
//   - history.go: queries of deliveries, attempts, Replay and Cancel
//   - scans.go: how many long reads there are at once
//   - statistics.go, totals.go: figures of endpoints; what is unfinished or dead of all
//   - backlog.go: how much was waiting, hour by hour
//   - prune.go, housekeeping.go: Prune: deliveries and events, and all else
//   - repair.go: Repair
//   - tail.go, positions.go: reading in order what was emitted; how far readers have come
//   - results.go: reading in order what became of deliveries
//   - replays.go: replays of many deliveries
//   - idempotency.go: idempotency keys
//   - apikeys.go: API keys
//   - diagnose.go: how the database is
//   - processes.go: which processes deliver
package sqlstore
