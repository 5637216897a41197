// Package idempotency does a request once, however often a client repeats it.
//
// A client that got no answer cannot know whether its request was worked on. If it sends a
// key of its own with the request, it can repeat the request safely:
//
//	group, err := idempotency.New(store, idempotency.Config{})
//	answer, err := group.Do(ctx, idempotency.Request{
//		OrganizationID: "org_acme",
//		Key:            r.Header.Get("Idempotency-Key"),
//		Content:        body,
//	}, work)
//
// The first call runs work and stores its answer; a repetition gets that answer, in every
// process that shares the store. The management API (package api) does this for the header
// Idempotency-Key; use this package for requests of your own service.
//
// # Key, scope and content
//
// A key belongs to one organization: two organizations may use the same one. A service with
// several operations puts the operation's name into the key, because the key is all that
// tells one request from another. The content is what the request asks for. Its fingerprint
// (SHA-256) is stored with the key: a request with a known key and other content is a mistake
// of the client, and refused with [ErrKeyReused].
//
// # Tries
//
// A try is one run of the work. If the process dies, or the work fails in a way that leaves
// open what it has done, the next call with the key runs the work again once the time of the
// first try is over. [Try] tells the work that this has happened, and since when: it should
// look for what an earlier try may have left before it does anything.
//
// # Answers and errors
//
// An answer has 1 to [MaxAnswer] bytes and is kept for [Kept]. Errors are not kept. After
// [webhook.ErrWrongStatus], [webhook.ErrNotFound], [webhook.ErrExists] and [webhook.ErrLimit],
// which say that nothing was done, the key can be used again at once, unless an earlier try
// ended without an answer ([Try]'s Again).
//
// # Rate
//
// Every key is a row in the store until its answer expires, so the keys of one organization
// are bounded by [Config.PerMinute].
//
// # What is where
//
// [Group] is in group.go, and what a store has to do for it is [webhook.IdempotencyStore].
package idempotency
