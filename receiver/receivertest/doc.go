// Package receivertest is for tests of receivers.
//
// [NewRequest] makes a request as a sender would, for a test that calls an
// [http.Handler] directly:
//
//	r := receivertest.NewRequest(t, receivertest.Credentials{Secret: secret}, e)
//	w := httptest.NewRecorder()
//	handler.ServeHTTP(w, r)
//
// [Documented] has the published examples of events, to be replayed.
//
// [Run] sends a receiver that listens somewhere, in any language, what a good, a
// clumsy and a hostile sender would send, and says which rule it breaks.
// [Verify] does the same outside of a test and returns a [Report].
//
// A run takes about as long as Options.ReadTimeout and a few seconds, and no longer
// than Options.Timeout, two minutes by default, whatever the receiver does. Send it
// to the receiver itself: a proxy that buffers requests answers for it where a body
// is late.
package receivertest
