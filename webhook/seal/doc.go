// Package seal encrypts values that a database must not show, with keys of the service. Its
// [Sealer] is for sqlstore.Config: it encrypts the configs of subscriptions' channels, with the
// header values, tokens and signing secrets in them. The package imports only the standard library
// and package event.
//
//	var keys []seal.Key
//	for _, text := range strings.Fields(os.Getenv("WEBHOOK_SEAL_KEYS")) {
//		key, err := seal.ParseKey(text) // 2026-11:3q2+7w…, 32 bytes in base64
//		if err != nil {
//			return err
//		}
//		keys = append(keys, key)
//	}
//	sealer, err := seal.New(keys...)
//
// The first key seals, and every key opens. [NewKey] makes a key, and so does
//
//	echo "2026-11:$(openssl rand -base64 32)"
//
// # What it does
//
// It is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM with a separate key for every
// value, which the derivation of NIST SP 800-108 makes from the sealer's key and half of a random
// nonce of 24 bytes. With plain AES-GCM, the service would have to count the values that it seals
// with a key: after 2³² values the random nonces of 12 bytes might repeat, and two values with the
// same nonce reveal their difference and allow forgeries (NIST SP 800-38D, section 8.3). With
// nonces of 24 bytes it need not count: the risk after 2⁸⁰ values is that of plain AES-GCM after
// 2³².
//
// A sealed value can only be opened with the additional data with which it was sealed. The
// additional data says what the value is for, so that a copy of it is useless elsewhere. It
// is not stored.
//
// A sealed value consists of a byte for the format, the nonce, the ciphertext and the tag:
// 41 bytes more than the plaintext, whose length it therefore reveals. The id of the key is
// stored next to it in clear, so that the keys in use can be seen in the database.
//
// It cannot tell whether a value is the latest that was sealed with its additional data: a
// person who can write to the database can restore an older one.
//
// # What is where
//
//   - sealer.go: Sealer
//   - key.go: Key
//   - xaes.go: the derivation of keys
package seal
