// Package storetest holds the rules of [webhook.Store] as a suite that any
// implementation can run, in the way of testing/slogtest:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			New: func(t *testing.T) webhook.Store { return mystore.Open(t.TempDir()) },
//		})
//	}
//
// Every case gets a store of its own, runs in parallel with the others, and
// says in its failure which rule was broken. The time is handed to the store by
// the suite, so that a run against a real database is deterministic. Each file
// of the package is about one part of the contract.
//
// [Benchmark] measures a store, in a form that lets two stores be compared.
package storetest
