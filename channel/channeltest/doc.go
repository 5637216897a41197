// Package channeltest is the contract of a [channel.Channel] and its
// [channel.Driver] as a suite of tests. The author of a channel runs it:
//
//	func TestContract(t *testing.T) {
//		channeltest.Run(t, channeltest.Harness{
//			Driver: teams.NewDriver(client),
//			HTTP:   &channeltest.HTTP{Config: config},
//			Bad:    []channeltest.Bad{{Name: "no url", Config: `{}`, Fields: []string{"webhook_url"}}},
//		})
//	}
//
// What the target says in its own terms, beside HTTP's statuses or without
// HTTP, goes into Harness.Answers: a table of answers and the actions that they
// ask for.
//
// Each case that fails says which rule was broken and why the rule exists.
//
// For channels that speak HTTP the suite brings its own server: it answers with
// every status of the shared table, echoes requests to see whether a secret
// gets into the history, and then misbehaves in all the ways of
// [Misbehaviours], after which no goroutine and no descriptor may be left.
package channeltest
