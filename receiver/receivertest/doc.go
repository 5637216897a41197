// Package receivertest is for tests of receivers.
//
// [NewRequest] makes a request as a sender would, for a test that calls an [http.Handler]
// directly:
//
//	r := receivertest.NewRequest(t, receivertest.Credentials{Secret: secret}, e)
//	w := httptest.NewRecorder()
//	handler.ServeHTTP(w, r)
//
// [Documented] returns the published examples of events.
//
// [Run] tests a receiver that listens at a URL, in any language: it sends what good, clumsy
// and hostile senders send, and each rule that the receiver breaks is a subtest that fails.
// [Verify] does the same outside of a test and returns a [Report].
//
// A run takes about Options.ReadTimeout plus two seconds, and at most Options.Timeout, which is two
// minutes by default. Run it against the receiver itself: a proxy that buffers requests hides how
// the receiver treats a slow body.
//
// # What is where
//
//   - request.go: requests and documented events for tests of handlers
//   - run.go: Run and Verify, what they need to know, and the Report
//   - rules.go: the rules, in the order in which they are tried
//   - credentials.go, bodies.go, events.go: how the rules are tried
//   - send.go: sending, and what is looked for in answers
package receivertest
