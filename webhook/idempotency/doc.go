// Package idempotency runs the work of a request once, even if the client repeats the request, and
// answers a repetition with the answer of the first run.
//
// A client that got no answer cannot know whether its request took effect. If it sends an
// idempotency key with the request, it can repeat the request safely:
//
//	group, err := idempotency.New(store, idempotency.Config{})
//	answer, err := group.Do(ctx, idempotency.Request{
//		OrganizationID: "org_acme",
//		Key:            r.Header.Get("Idempotency-Key"),
//		Content:        body,
//	}, work)
//
// The first call runs work and stores its answer. A repetition gets that answer, in every process
// that shares the store. The management API (package api) does this for the header Idempotency-Key;
// use this package for requests of your own service.
//
// # What is where
//
// A [Group] runs the work of requests. A [Request] and its [Work] are what it takes, and [Try] is
// what the work is told. [webhook.IdempotencyStore] is what a store has to do for it.
//
// # Key, scope and content
//
// An idempotency key belongs to one organization: two organizations may use the same one. A service
// with several operations has to put the operation's name into the key, because nothing else tells
// one operation's requests from another's. The content is what the request asks for. Its
// fingerprint (SHA-256) is stored with the key. A request with a known key and other content is a
// mistake of the client: [Group.Do] returns [ErrKeyReused].
//
// # Tries
//
// A try is one run of the work. If the process dies, or the work fails without saying whether it
// has done something, the next call with the key runs the work again, as soon as the time of the
// first try is over. [Try] tells the work that there was an earlier try, and when the first one
// began: the work should look for what that may have left behind, before it does anything.
//
// # Answers and errors
//
// An answer has 1 to [MaxAnswer] bytes and is kept for [Kept]. Errors are not kept. After
// [webhook.ErrWrongStatus], [webhook.ErrNotFound], [webhook.ErrExists] and [webhook.ErrLimit],
// which say that nothing was done, the key can be used again at once, unless an earlier try ended
// without an answer ([Try.Again]).
//
// # Rate
//
// Each key is a row in the store until its answer expires, so [Config.PerMinute] bounds the
// requests with a key of each organization.
package idempotency
