// Package api is the management API of webhooks: an [http.Handler] through which
// a service's customers create, read, change and delete their webhooks, look at
// deliveries, and set right what went wrong.
//
//	keys := api.NewKeys()
//	err := keys.Add("org_acme", hash) // of a key made by api.NewKey
//	h, err := api.New(dispatcher, keys.Authenticate, api.Config{})
//	h.Mount(mux)
//
// The first five operations are the published contract's, in both of its
// versions, with its paths, bodies and errors; clients that speak it need no
// change. GET /openapi.json below the prefix describes everything that is
// served. Package client calls it from Go.
//
// # Organizations
//
// An [Authenticator] says which organization a request comes from, and every
// call of the Dispatcher names it. What another organization has does not exist:
// asking for it is a 404, and deleting it a 204 that deletes nothing.
//
// # Secrets
//
// Header values, tokens and signing secrets come back as [Mask]: all that a
// channel's driver does not list as public, see [channel.Schema]. A client
// that must see one asks for it by its name in the answer:
//
//	GET {prefix}/{webhook_id}?reveal=channels.0.configs.headers.X-Mixpeek-Secret
//
// An update that sends the mask back keeps the stored value, so what a client
// has read it can change and send back. It does so only while the channel sends
// to the same scheme, host and port ([channel.Field.Target]): a key that may
// change a webhook but not reveal its secrets must not have them sent elsewhere.
// Where that changes, or it is not clear which value a mask stands for, the
// update is refused.
//
// # Clients of the published contract
//
// A client that was made from the published contract knows only its fields. It
// can read every answer: email's recipients come back as to_addresses, null
// fields are left out, and a Slack bot has an empty webhook_url. What it then
// sends back lacks the fields of this library (method, signing_secret,
// signing_secrets, a Slack bot's fields), and they keep their stored values:
// null removes them. A secret that is left out does not follow a channel to
// another scheme, host or port either.
//
// # Input
//
// A body is checked as a whole, and everything that is wrong is answered at once:
// unknown fields, also in the configs of channels that list theirs; names that
// stand twice; URLs that are not https, hold credentials or lead to a private
// address, as far as that can be seen without a look-up; templates that do not
// compile. The event types of the contract are a part of those that are taken:
// your own types, and patterns such as "invoice.*", are too. An answer names the
// first 100 problems, fewer if they are long, and how many more there are.
//
// # Bounds
//
// A body has at most Config.MaxBody bytes, 20,000 values and 256 levels; lists
// end where their bounds are crossed, before anything in them is looked at. An
// organization has at most Config.MaxRequestsPerOrganization requests under way,
// all together Config.MaxRequests: beyond, the answer is 429 or 503 with
// Retry-After. No organization has more of them than are still free. A request is
// under way until its answer is written; a body, and an answer, may take 30 s, and
// less where an organization with fewer requests needs the place: a client that is
// slow to send or to read loses it, with 503. What is left of a refused body, up to
// 1 MiB, is read after the answer, so that a proxy passes the answer on. Templates are
// compiled and rendered by as many requests at once as there are processors, and a
// preview takes 2 seconds at most. Lists of webhooks and deliveries end after about
// 4 MiB, with a cursor: GET of the list, which answers with a bare array, has it in the
// headers X-Next-Cursor and Link. What an organization may have stored is bounded by
// [dispatch.Config.Quota]: beyond, the answer is 403 with the type [TypeQuota].
//
// Tests are bounded by [dispatch.Config.Tests], and take 30 s at most; a replay by
// filter takes 20 s, and reads deliveries in pages of 100, without their histories. At
// most a quarter of Config.MaxRequests, and of Config.MaxRequestsPerOrganization, may
// be tests (one, where that is less than one), and as many replays by filter, so that
// they leave the rest to other requests. Where these places are all taken, a request
// that began 5 s ago, or is one of several of its organization, ends when an
// organization with fewer needs its place: a test with 503, a replay with a cursor.
//
// The fields that the server sets, and that clients send back because they have
// read them, are passed over. So is description, of a webhook and of a channel:
// the contract's examples send it, and its schemas, which do not have it, keep it
// out of answers.
//
// # Changing one field
//
// PATCH changes what its body has, by RFC 7396: {"is_active": false} pauses.
//
// # Two writers
//
// Answers with one webhook carry an ETag. An update or a removal with If-Match is
// made only if the webhook is still in that version, and is answered with 412
// otherwise. Without If-Match the last writer wins.
//
// # Repetition
//
// A create or a replay with an Idempotency-Key is made once, in all processes that
// share the store: a repetition within 24 hours gets the answer of the first request, or
// the webhook that it created, as it is now. The same key with another body is a 422, and a repetition while
// the first request is being worked on a 409. How many an organization may send is
// bounded by [Config.IdempotentPerMinute]: more are answered with 429.
//
// # Errors
//
// A request whose parts do not fit is answered with 422 and everything that is
// wrong with it, each with its location ([ValidationResponse]); every other error
// is an [ErrorResponse]. An error of the store is logged and not shown: 503 with
// Retry-After where it matches [webhook.ErrUnavailable], 500 otherwise.
//
// # Why no framework
//
// The standard mux routes. What would pay for a framework, generating the
// schema from Go types, does not fit here: the contract's schema exists already,
// and an importer of this module would carry the framework's requirements.
package api
