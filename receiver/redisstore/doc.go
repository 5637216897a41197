// Package redisstore keeps what receivers share in Redis: which events were
// handled ([Dedupe]), the generation numbers of caches ([Counters]), and the
// deletion of cached keys ([Keys]).
//
//	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
//	dedupe, err := redisstore.NewDedupe(client, redisstore.Config{})
//	…
//	rcv, err := receiver.New(receiver.Config{Dedupe: dedupe, …})
//
// It is a module of its own, so that importers of the others do not get a Redis
// client. It works with a single server, Sentinel and Cluster: every step is one
// Lua script on one key.
//
// A call returns when its context is done, whatever the client is set to: a Redis
// that accepts connections and does not answer costs a sender 503 within
// receiver.Config.ClaimTimeout and a second.
//
// Redis keeps claims as well as it is told to. Use a server, or a database, that
// does not evict (maxmemory-policy noeviction: then a full server refuses new
// events, which the sender sends again), with appendonly on. A failover that
// loses the last writes can lose claims, and then an event is handled twice;
// where that must not happen, use package sqldedupe.
package redisstore
