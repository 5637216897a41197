// Package invalidate drops from caches what events say is stale. Its types are
// to be a receiver's Config.Invalidator, alone or together ([Multi]):
//
//   - [Keys] deletes single keys from any cache. It acts on key scopes only.
//   - [Scan] looks through a cache in memory. It acts on every scope.
//   - [Generations] makes the keys of a whole collection or namespace
//     unreachable by changing a number that is part of them, in any cache and
//     for all replicas at once. It acts on every scope.
//   - [Tags] purges a CDN by the tags of its responses. It acts on every scope.
//
// # Why generations
//
// Deleting what is in a cache loses to a load in flight: a reader has read the
// old row, the event empties the cache, and then the reader stores the old
// row. With a generation number in the key, the reader stores it under the old
// number, where no reader looks any more.
//
// Numbers are kept by [Counters]: [MemoryCounters] for one process, those of
// packages sqldedupe and redisstore for many.
//
// Keys of single objects ([event.ScopeKey]) are deleted all the same, since a
// number for every object would be as large as the cache. Give entries a
// lifetime to bound what a load in flight can bring back there.
package invalidate
