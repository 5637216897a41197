// Package redisstore keeps in Redis what receivers in several processes share: which
// events were handled ([Dedupe]), and the generation numbers of caches ([Counters]). It
// also deletes cached keys ([Keys]).
//
//	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
//	dedupe, err := redisstore.NewDedupe(client, redisstore.Config{})
//	…
//	rcv, err := receiver.New(receiver.Config{Dedupe: dedupe, …})
//
// It is a module of its own, so that only its importers get a Redis client. It works with
// a single server, Sentinel and Cluster: every step is one Lua script on one key.
//
// A call returns when its context is done, whatever timeouts the client has. If Redis accepts
// connections but does not answer, the sender gets 503 at most one second after
// receiver.Config.ClaimTimeout.
//
// # What Redis may lose
//
// Use a server, or a database, that does not evict (maxmemory-policy noeviction), so that a
// full server refuses new events, which the sender sends again, and forgets none that were handled:
// what was claimed before is still extended and settled. Switch appendonly on. A failover that
// loses the last writes can lose claims, and then an event is handled twice. Where that must not
// happen, record the effect in your SQL database with DoneTx of package sqldedupe, which works with
// the claims of this package.
//
// A failover, or a crash of a server that syncs each second, can also lose the last Bump of
// [Counters]. The number then returns to an earlier value, and readers find the stale entries
// stored under it until the next Bump. This is the one rule of invalidate.Counters that Redis
// cannot keep. Give entries a lifetime. Where they must never be stale, keep the numbers in your
// SQL database, with the Counters of package sqldedupe.
//
// # What is where
//
//   - client.go: what is needed of a client, and Config
//   - dedupe.go: Dedupe, with claim.lua, extend.lua, settle.lua and release.lua
//   - invalidate.go: Counters, with bump.lua and read.lua, and Keys
package redisstore
