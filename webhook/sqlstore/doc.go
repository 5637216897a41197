// Package sqlstore keeps webhooks, events and deliveries in an SQL database: a
// durable [webhook.Store] over any *sql.DB. It imports no driver. Package
// webhook/sqlite opens SQLite the right way with one call; use New directly to
// put the tables into a database handle that the service has already.
//
// # Tables
//
// Every name begins with the prefix that Config.TablePrefix chooses.
//
//	meta        one row: how often a webhook changed and, in SQLite, the next id
//	webhooks    the subscriptions, event types and channels as JSON
//	endpoints   one row for each channel of each webhook: active, paused or deleted
//	events      the envelopes, once each, whoever receives them
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
// index over unfinished deliveries, (endpoint_id, at), finds both; settled ones
// are not in it, however many there are. A claim goes from endpoint to endpoint
// in that index, beginning where the last one ended, and takes a few of each.
// What it costs depends on the number of endpoints with unfinished deliveries,
// not on the number of deliveries.
//
// Whether a delivery is held, or cancelled because its webhook is gone, follows
// from the row of its endpoint. So pausing or deleting a webhook costs the same
// with one delivery and with a million.
//
// Events and deliveries take their ids from one sequence, an event before its
// deliveries: the deliveries of an event are a range of the primary key, and
// need no index. PostgreSQL hands ids out in spans, so that no transaction waits
// for another one to commit.
//
// Each process keeps the webhooks in memory to match events against. Every
// change of a webhook raises a counter that each Enqueue reads, in its own
// transaction, so that a webhook is matched from the moment it is committed.
//
// # What looking back costs
//
// An index over endpoint or organization for all deliveries would make each
// batch of writes touch one page for each endpoint in it: measured on SQLite,
// twice the cost of a delivery at ten endpoints, three times at a hundred.
// Instead the table blocks notes which endpoints occur in each range of 16384
// ids. A query by webhook or organization visits only the ranges that have
// something to find, the newest first, and reads those in order. Dead and
// unfinished deliveries are found by partial indexes of their own.
//
// Statistics are no query over deliveries: each settlement adds what it records
// to a row for the endpoint and the hour, once for all verdicts of the call. In
// PostgreSQL an hour has several such rows, and a process writes to one of them,
// so that processes do not wait for each other. Only unfinished deliveries are
// counted one by one, in their index.
package sqlstore
