// Package inbox acknowledges subscriptions at once and does the work afterwards,
// with retries.
//
// A sender waits seconds for an answer and then sends again. An [Inbox] stands
// between a [receiver.Receiver] and your handlers: it stores the event, durably,
// which is when the sender gets its 200. The handlers run after that, as often
// as it takes:
//
//	store, err := sqlite.Open(ctx, "inbox.db", sqlite.Config{})
//	in, err := inbox.New(store, events.HandleEvent, inbox.Config{})
//	go in.Run(ctx)
//	http.Handle("/webhooks", rcv.Handler(receiver.HandlerFunc(in.HandleEvent)))
//
// events is a [receiver.Router], and its handlers are what they were without an
// inbox. To stop, shut down the HTTP server first and then cancel ctx: Run
// returns when the handlers under way have ended, and what they did not finish
// stays in the store.
//
// # How it works
//
// An inbox is a [dispatch.Dispatcher] with one subscription, to all events,
// whose channel calls the handler. So what comes in has the retries, the
// history, the replay and the crash safety of what goes out, any number of
// processes can share the work, and any [webhook.Store] will do.
//
// # What a handler's result means
//
//	the handler …              the event is …
//	returns nil                handled
//	returns ErrNoHandler       handled, with a note in its history
//	returns ErrAlreadyHandled  handled, with a note in its history
//	returns an error           tried again, by the retry policy: for 3 days
//	panics                     tried again
//	returns a Permanent error  dead at once
//
// Events wait only for themselves: one that keeps failing does not delay
// the others, and there is no order. An event that is dead, or whose retries are
// used up, is logged as an error and can be looked at and replayed:
//
//	in.Dispatcher().Deliveries(ctx, webhook.DeliveryQuery{
//		OrganizationID: in.OrganizationID(), Status: webhook.StatusDead,
//	})
//
// The text of a handler's error is kept there: leave secrets out of it.
//
// # Stored once, handled at least once
//
// The store knows an event again by its id, or else by what the receiver
// deduplicates on, for as long as its delivery is kept (see
// [dispatch.Retention]). So the Deduper of the receiver can be the default one in
// memory: what it forgets in a restart, or never knew because another replica
// answered, is stored once all the same. Senders that number their events
// independently of each other need an inbox each, see Config.Name.
//
// A handler is called a second time for an event if its process died after the
// effect and before the inbox had recorded that. If the effect is in a SQL database,
// DoneTx of package sqldedupe makes it happen exactly once: in the handler,
// [receiver.DeliveryFrom] has the claim for it. It has nothing of the request, which
// was answered long ago. An event whose record is still kept has no second effect
// when it is replayed.
//
// # Caches
//
// [receiver.Config.Invalidator] runs when the event is stored, before its
// handler. That is right for a cache of what the sender has: the sooner the
// better. A cache of something that the handlers write would be filled with the
// old again in between; give its invalidator to [Config.Invalidator], which
// runs after the handler.
//
// # Sharing a store
//
// A Dispatcher takes on whatever is due in its store. So all that run on one
// store, in all processes, must know the channels of the others: give them the
// same [channel.Registry] in [dispatch.Config.Channels], in which each inbox
// registers its own, and make every inbox before the first Run. Or keep them
// apart: SQL stores have a table prefix.
//
// # What is where
//
//   - config.go: what can be asked for
//   - inbox.go: taking events in
//   - stored.go: the form in which they are stored
//   - work.go: handling them, and what follows from the result
package inbox
