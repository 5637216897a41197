// Package invalidate drops from caches what events make stale. Its types are for
// Config.Invalidator of a receiver, alone or several together ([Multi]):
//
//   - [Keys] deletes single keys from any cache. It acts on key scopes only.
//   - [Scan] scans a cache in memory. It acts on all scopes.
//   - [Generations] makes the keys of a whole collection or namespace unreachable, by
//     changing a number that is part of them. It works for any cache, and for all
//     processes at once. It acts on all scopes.
//   - [Tags] purges a CDN by the tags of its responses. It acts on all scopes.
//
// # Why generations
//
// Deleting from a cache loses a race with a load in flight: a reader reads the old row, the
// event empties the cache, and the reader stores the old row. With a generation number in
// the key the reader stores it under the old number, where no reader looks any more.
//
// [Counters] keep the numbers: [MemoryCounters] for one process, those of packages
// sqldedupe and redisstore for several.
//
// Keys of single objects ([event.ScopeKey]) are deleted, because a number for each object
// would take as much room as the cache. Entries need a lifetime, which bounds how long a
// row stays that a load in flight has stored after the deletion.
//
// # What is where
//
//   - invalidate.go: Keys, Scan and Multi
//   - generations.go, counters.go: Generations, and where their numbers are kept
//   - tags.go: Tags
package invalidate
