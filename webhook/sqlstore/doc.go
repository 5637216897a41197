// Package sqlstore keeps subscriptions, events and deliveries in an SQL database: a
// durable [webhook.Store] over any *sql.DB. It imports no driver. Package
// webhook/sqlite opens SQLite the right way with one call; use New directly to
// put the tables into a database handle that the service has already.
//
// # Tables
//
// Every name begins with the prefix that Config.TablePrefix chooses.
//
//	meta        SQLite only, one row: the next id
//	webhooks    the subscriptions, event types and channels as JSON, see Secrets
//	endpoints   one row for each channel of each webhook: active, paused or deleted
//	routes      one row for each webhook: what says where its events go, and
//	            nothing of the configs of its channels
//	organizations  how often a subscription of each was changed
//	events      the envelopes, once each, however many receive them
//	deliveries  one event on its way to one endpoint, with its history
//	blocks      which endpoints have deliveries in which range of ids
//	statistics  what was recorded for each endpoint in each hour
//	requests    replays that are not to be made twice, for a day
//	migrations  the versions of this schema that were applied
//
// Times are whole microseconds since 1970, in UTC. They, and numbers for states,
// keep the statements the same in every database and the rows small.
//
// # How it works
//
// A delivery has one time, called at: when it is due while it is pending, when
// the lease ends while it is in flight, when it was settled after that. Being
// due and having lost its lease mean the same to a claim, so that one partial
// index over unfinished deliveries, by endpoint, whether it was attempted, and at,
// finds both; settled ones are not in it, however many there are. A claim goes
// from endpoint to endpoint in that index and takes a few of each. The ids of an
// organization's endpoints stand together, so that it gets past an organization
// that has had its share in one step; it begins with the one after the last.
// What it costs depends on the number of endpoints with unfinished deliveries,
// not on the number of deliveries. What a claim is to skip are parameters of its
// statements, up to 10,000 endpoints, and ends of its walk, up to 250 organizations;
// the ids of the endpoints are remembered, up to 100,000. What it finds of others it
// leaves out: see [Store.Claim].
//
// Whether a delivery is paused, or cancelled because its subscription is gone, follows
// from the row of its endpoint. So pausing or deleting a subscription costs the same
// with one delivery and with a million.
//
// Events and deliveries take their ids from one sequence, an event before its
// deliveries: the deliveries of an event are a range of the primary key, and
// need no index. PostgreSQL hands ids out in spans, so that no transaction waits
// for another one to commit.
//
// Every change of a subscription raises the version of its organization, holds on to
// that row until it commits, and notes the version in the subscription's route. So the
// routes above a version are what changed after it. Each process keeps the routes
// of the organizations that emitted last, 128 MiB of them. An Enqueue reads the
// versions of its organizations in its own transaction, with the statement that
// gives it ids, and the routes that changed: most often none. So a subscription is
// matched from the moment it is committed, and a change costs those who emit for
// its organization one row, and others nothing. In a transaction of the caller's
// that has an older snapshot, an event goes to the subscriptions as the snapshot has
// them, or as this process knows that they have become since.
//
// The route of a deleted subscription stays for the next 256 changes of its
// organization. A process that has not followed for longer, or does not have the
// organization in memory, reads all its routes, in pages of 500 and before the
// transaction of its Enqueue, which then need not hold up others.
//
// # Secrets
//
// The configs of channels hold header values, tokens and signing secrets.
// Without Config.Sealer they are stored as they are: a person who reads the database,
// a replica or a backup reads the secrets. With one, such as package
// webhook/seal has, the configs of each channel are encrypted, whole, so that no
// field is forgotten. The names of subscriptions and channels, event types, events
// and what endpoints answered stay legible. What is sealed for one channel of
// one subscription cannot be opened as that of another. It is protection from those
// who read the database: a person who can write to it can replace a subscription's configs by
// others, or by earlier ones.
//
// A process that cannot open a subscription, because it lacks the Sealer or the key,
// goes on with all others. [Store.Subscription] says which key it lacks, with a
// [SealedError], and [Store.Subscriptions] lists the subscription with configs null. Events
// are stored for it, and the Dispatcher leaves its deliveries to processes that
// can open it: they wait, and nothing is lost. If the key itself is lost, update
// the subscription, with the revision that the list has, or delete it and create it
// anew.
//
// To begin, give all processes the Sealer, then call [Store.Reseal]. Configs in
// clear are read until then, and sealed by whatever writes them. To replace a
// key, so that every process can open what any other has sealed:
//
//  1. Give all processes the new key behind the old one: seal.New(old, new).
//  2. When all have it, turn the order round: seal.New(new, old).
//  3. When all have done so, call Reseal. If it returns no error, nothing needs
//     the old key, and the next deployment can leave it out.
//
// Databases keep for a while what was overwritten. After the first Reseal, VACUUM
// removes what was in clear from a SQLite file, and from the log beside it once
// all processes have closed it; in PostgreSQL VACUUM FULL of the table webhooks
// does. That leaves archived logs, replicas and backups: replace secrets that may
// have been read there.
//
// # What looking back costs
//
// An index over endpoint or organization for all deliveries would make each
// batch of writes touch one page for each endpoint in it: measured on SQLite,
// twice the cost of a delivery at ten endpoints, three times at a hundred.
// Instead the table blocks notes which endpoints occur in each range of 16384
// ids. A query by subscription or organization visits only the ranges that have
// something to find, the newest first, and reads those in order. Dead and
// unfinished deliveries are found by partial indexes of their own.
//
// An organization can have any number of endpoints, with those that were deleted. A
// list has the ids of 1000 of them, 64 ranges, and twice its Limit of deliveries in
// memory at most. Dead and unfinished deliveries are looked for with statements about
// 1000 endpoints each, and the newest of all are kept; in the ranges, an organization
// with more endpoints is looked for by its name, which reads each range once.
//
// Pruning looks at deleted endpoints in pages of 500: once, and then once a day for as
// long as there are deliveries of them.
//
// Statistics are no query over deliveries: each settlement adds what it records
// to a row for the endpoint and the hour, once for all results of the call. In
// PostgreSQL an hour has several such rows, and a process writes to one of them,
// so that processes do not wait for each other. Only unfinished deliveries are
// counted one by one, in their index.
package sqlstore
