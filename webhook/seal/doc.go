// Package seal encrypts what a database must not show: as the Sealer of
// sqlstore.Config, the configs of subscriptions' channels, with the header values,
// tokens and signing secrets in them. It has no dependencies outside of the
// standard library but package event.
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
// The first key seals, every key opens. [NewKey] makes one, and so does
//
//	echo "2026-11:$(openssl rand -base64 32)"
//
// # What it does
//
// It is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM with a key of
// its own for every record, which NIST's SP 800-108 derivation makes of the
// sealer's key and half of a random nonce of 24 bytes. With AES-GCM alone a key
// must not seal more than 2³² times, because its random nonces of 12 bytes may
// then repeat, and two values with one nonce give away what they differ in and
// how to forge others, so uses have to be counted. With 24 bytes they need not be: it
// takes 2⁸⁰ values for a repetition to become as likely.
//
// A sealed value is opened with the additional data it was sealed with, or not
// at all. They say what the value is for, so that it cannot be put to use
// elsewhere by copying it there. They are not stored.
//
// A sealed value is a byte for the format, the nonce, the ciphertext and the
// tag: 41 bytes more than what is in it. Its length tells the length of what is
// in it. The id of the key is kept beside it, legibly, so that a person who looks
// into the database can see which keys are in use.
//
// What it cannot do: tell whether a value is the latest that was sealed with its
// additional data. Who can write the database can put an older one back.
package seal
