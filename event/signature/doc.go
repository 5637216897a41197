// Package signature signs and verifies webhook requests according to the Standard Webhooks
// specification (https://www.standardwebhooks.com).
//
// # Sending
//
// Get a signing key with [ParseKey] or [NewKey], make a [Signer] with [NewSigner], and let
// [Signer.Sign] set the headers:
//
//	signer, err := signature.NewSigner(key)
//	...
//	err = signer.Sign(request.Header, e.ID, time.Now(), body)
//
// # Receiving
//
// Make a [Verifier] with [NewVerifier] and pass each request to [Verifier.Verify]:
//
//	verifier, err := signature.NewVerifier(signature.Config{
//		Keys: []signature.VerifyKey{{Key: key}},
//	})
//	...
//	verified, err := verifier.Verify(request.Header, time.Now(), body)
//
// To refuse bad requests before you read their bodies, call [Verifier.Header] first and
// [Pending.Verify] with the body. The package receiver does this for you.
//
// # Rotating a signing key
//
// Each step takes effect before the next one begins, so no request is refused:
//
//  1. The receiver accepts both keys. The old one may have a [VerifyKey.NotAfter].
//  2. The sender signs with both, the new key first.
//  3. The sender signs with the new key only.
//  4. The receiver accepts the new key only.
//
// # Replay attacks
//
// A recorded request is accepted again until its timestamp is older than the tolerance. To
// refuse it earlier, deduplicate on the id.
//
// # What is signed
//
// A signed request has three headers: webhook-id is the event's id, webhook-timestamp the time
// of the attempt in Unix seconds, and webhook-signature has one or more signatures of the form
// "version,base64", separated by spaces. A signature covers
//
//	id + "." + timestamp + "." + body
//
// Version v1 is HMAC-SHA256 with a secret that both sides have; v1a is Ed25519, where the receiver
// has only the public key.
//
// # What is where
//
//   - signer.go, verifier.go: the two sides
//   - key.go: signing keys
//   - header.go: the three headers
package signature
