// Package channeltest tests an implementation of [channel.Channel] and [channel.Driver] against the
// rules of their contract. The author of a channel runs it:
//
//	func TestContract(t *testing.T) {
//		channeltest.Run(t, channeltest.Harness{
//			Driver: teams.NewDriver(client),
//			HTTP:   &channeltest.HTTP{Config: config},
//			Bad:    []channeltest.Bad{{Name: "no url", Config: `{}`, Fields: []string{"webhook_url"}}},
//		})
//	}
//
// Answers that mean more than an HTTP status, or that come without HTTP, go into Harness.Answers: a
// table of answers, each with the action that it asks for.
//
// A case that fails says which rule was broken, and why the rule exists.
//
// For channels that speak HTTP the suite has a server of its own. It answers with every status of
// the shared table, echoes requests to see whether a secret gets into the history, and then
// misbehaves in every way that [Misbehaviours] lists. After the run, no goroutine and no file
// descriptor may be left.
//
// # What is where
//
// [Run] runs the suite, and [Harness] describes the channel to it. The other types are parts of a
// Harness, except [Misbehaviour], which tests of whole systems can use as well.
package channeltest
