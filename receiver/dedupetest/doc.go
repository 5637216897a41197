// Package dedupetest runs the rules of [receiver.Deduper] against an implementation.
// A Deduper of your own is right if this passes, best with the race detector on:
//
//	func TestRules(t *testing.T) {
//		db := …
//		dedupetest.Run(t, func(*testing.T) receiver.Deduper { return mydedupe.New(db) })
//	}
//
// # What is where
//
// dedupetest.go has the list of rules, and one function for each.
package dedupetest
