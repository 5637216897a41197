// Package inbox acknowledges webhooks at once and calls your handlers afterwards, with
// retries.
//
// Senders wait a few seconds for an answer and then send the event again. An [Inbox] stands
// between a [receiver.Receiver] and your handlers: it stores the event durably, the sender
// gets 200, and the handlers are called after that, until they succeed:
//
//	store, err := sqlite.Open(ctx, "inbox.db", sqlite.Config{})
//	in, err := inbox.New(store, events.HandleEvent, inbox.Config{})
//	stopped := make(chan error, 1)
//	go func() { stopped <- in.Run(ctx) }()
//	http.Handle("/webhooks", rcv.Handler(receiver.HandlerFunc(in.HandleEvent)))
//
// events is a [receiver.Router]. Its handlers are the same with and without an inbox. To
// stop, shut down the HTTP server first and then cancel ctx: Run returns when the running
// handlers have ended, and the events that are not handled stay in the store.
//
// # What a handler's result means
//
//	the handler …              the event is …
//	returns nil                handled
//	returns ErrNoHandler       handled, with a note in its history
//	returns ErrAlreadyHandled  handled, with a note in its history
//	returns an error           retried, by default for 3 days (dispatch.ExponentialRetry)
//	panics                     retried
//	returns a Permanent error  dead at once
//
// An event that keeps failing does not delay other events. Events are handled in no
// particular order. When an event is dead, after a permanent error or the last retry, the
// log has an error, and the event can be inspected and replayed:
//
//	in.Dispatcher().Deliveries(ctx, webhook.DeliveryQuery{
//		OrganizationID: in.OrganizationID(), Status: webhook.StatusDead,
//	})
//
// The history has the text of a handler's error, so that must hold no secret.
//
// # Stored once, handled at least once
//
// The store recognises an event by its id, or else by the key under which the receiver claimed it,
// as long as its delivery is kept (see [dispatch.Retention]). So the receiver can use the default
// Deduper in memory: an event that is sent again after a restart, or to another process, is not
// stored again. Senders that number their events independently of each other need an inbox each
// (see Config.Name).
//
// A handler is called again for an event if the process died after the effect and before the inbox
// had recorded it. If the effect is in a SQL database, DoneTx of package sqldedupe makes it happen
// exactly once, with the claim that [receiver.DeliveryFrom] returns in the handler. In that
// Delivery, Signed is zero and Claim has no Token or Sender: the request was answered before. If an
// event is replayed while the row of DoneTx is kept, its effect does not happen again.
//
// # Caches
//
// [receiver.Config.Invalidator] runs when the event is stored, before the handler. Use it
// for a cache of what the sender has. A cache of what the handler writes could be filled
// with the old value between the two; use [Config.Invalidator] for that, which runs after
// the handler.
//
// # Sharing a store
//
// An inbox is a [dispatch.Dispatcher] with one subscription, to all events, whose channel
// calls the handler. So it has the retries, the history, the replay and the crash safety
// of a Dispatcher, any number of processes can share its work, and it works on any
// [webhook.Store].
//
// A Dispatcher claims everything that is due in its store. So all Dispatchers on one store,
// in all processes, must have the channels of all others: give them the same
// [channel.Registry] in [dispatch.Config.Channels], in which each inbox registers its own,
// and make all inboxes before the first Run. Or separate them by the table prefix of the SQL
// stores.
//
// # What is where
//
//   - config.go: Config
//   - inbox.go: storing events, and calling the handler for them
//   - stored.go: the form in which events are stored
package inbox
