// Package dedupetest executes the rules of [receiver.Deduper] against an
// implementation. A store of your own is right when this passes, best with the
// race detector on:
//
//	func TestRules(t *testing.T) {
//		db := …
//		dedupetest.Run(t, func(*testing.T) receiver.Deduper { return mystore.New(db) })
//	}
package dedupetest
