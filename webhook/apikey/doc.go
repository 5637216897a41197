// Package apikey makes, checks, lists and revokes the API keys of a service. They are kept in the
// store, so that all processes share them: what one process creates or revokes counts for the next
// request in any other.
//
//	keys, err := apikey.New(store, apikey.Config{})
//	key, info, err := keys.Create(ctx, apikey.Service("setup"), webhook.APIKey{
//		OrganizationID: "org_acme", Name: "billing",
//		Rights: webhook.Rights{Role: webhook.RoleOperate},
//	})
//
// The management API and the console take [Keys] in their Configs, and let customers manage API
// keys of their own:
//
//	h, err := api.New(dispatcher, nil, api.Config{APIKeys: keys})
//
// # What an API key looks like
//
// It is a prefix, "sk_" by default, 256 random bits as 64 hexadecimal digits, and a checksum of 8
// digits. It is shown once, by [Keys.Create]. The checksum tells a typo, or a key that was cut off,
// from one that was revoked, without asking the store.
//
// # What is stored
//
// The store has the SHA-256 of the API key, and finds it by that, in one row of an index. A slow hash,
// as for passwords, would not help: 2^256 API keys cannot be tried, however cheap one try is. Nor does
// the time of a lookup help to guess: it depends on the hash of what was sent, and to choose the
// hash of a key step by step one would have to find keys with a given hash.
//
// # Nothing is cached
//
// Each request reads its row, so a revocation counts at once. A store that is down makes requests
// fail with [webhook.ErrUnavailable], which the API answers with 503 and not with 401. Keys that do
// not have the form of one are refused without a query. Of keys that this process has not seen to
// work, it looks up [MaxGuesses] at a time; others wait, up to a second. So guesses take a small part
// of the connections to the database, and keys that work do not wait for them.
//
// A lookup costs about half of the shortest request: to read one webhook over the API takes 1.6 times
// as long with an API key of the store as with one in memory on SQLite, and 1.5 times on PostgreSQL.
// BenchmarkAPIKey of both modules measures it.
//
// # Rights
//
// An API key has a [webhook.Role], and may be allowed to reveal secrets. An operator's key may act in
// all organizations. Nothing can create a key with more rights than its own, for another
// organization unless it is an operator's, or one that outlives it. Revoking a key leaves those
// that it has created: [webhook.APIKey.CreatedBy] names them.
//
// Even the last key that may administer can be revoked. To get back in, create a new one in Go, with
// [Service] as the creator.
//
// # What is where
//
//   - keys.go: Keys and its methods, Config and errors
//   - seen.go: which API keys were found to work
//   - token.go: what an API key looks like
package apikey
