// Package signature signs webhook requests and verifies them, as the Standard
// Webhooks specification says (https://www.standardwebhooks.com).
//
// A signed request carries three headers: webhook-id, the event's id;
// webhook-timestamp, the time of the attempt in Unix seconds; webhook-signature,
// one or more signatures of the form "version,base64" separated by spaces. What
// is signed is
//
//	id + "." + timestamp + "." + body
//
// with version v1 (HMAC-SHA256, one secret on both sides) or v1a (Ed25519, the
// receiver has only the public key).
//
// # Sending
//
// [ParseKey] or [NewKey] makes a [Key], [NewSigner] a [Signer] of one or more
// keys, and [Signer.Sign] sets the headers.
//
// # Receiving
//
// [NewVerifier] makes a [Verifier], and [Verifier.Verify] checks a request. A
// server that wants to refuse a request before it reads the body does it in two
// steps, [Verifier.Header] and [Pending.Verify].
//
// # Rotating a key
//
// Let the receiver accept the new key beside the old one, then sign with both,
// newest first, then drop the old key: from the signer, and from the receiver
// when its [VerifyKey.NotAfter] has passed. No request is refused on the way.
//
// # Replays
//
// The timestamp bounds how long a recorded request can be sent again, to twice the
// tolerance at most. Within that time only deduplication on the id helps.
package signature
