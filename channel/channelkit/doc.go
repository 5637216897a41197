// Package channelkit has what the driver of a channel needs: it reads a configuration and names
// every problem in it, renders templates, makes HTTP requests to URLs that subscribers have
// configured and that cannot be trusted, and keeps secrets out of what is stored.
// examples/custom-channel is a driver made with it.
//
//	func (d *driver) Open(config json.RawMessage) (channel.Channel, error) {
//		r := channelkit.ReadConfig(config, nil)
//		u := r.URL("webhook_url", d.client)
//		body := r.ObjectTemplate("payload_template")
//		if err := r.Problems.Err(); err != nil {
//			return nil, err
//		}
//		return &teams{d.client.NewTarget(channelkit.TargetConfig{URL: u}), body}, nil
//	}
//
// # What is where
//
//	[ReadConfig]      reads the fields of a configuration, and collects their problems
//	[Template]        a compiled template of a configuration
//	[HTTPClient]      the guarded client; a [Target] is an endpoint that it sends to
//	[Redactor]        removes secrets from an endpoint's answer
//	[Summarize]       describes an event in words, for messages that people read
//	[Progress]        remembers which of several recipients were reached
//	[TransportError]  makes a *channel.Error without secrets from an error of a connection
//
// # Connections
//
// HTTPClient makes requests over HTTP/1.1 by itself, which takes about half of the CPU time that
// net/http takes. It leaves to net/http the requests through a proxy, those of more than 16 KiB,
// those that are traced with net/http/httptrace, and those to endpoints that speak only HTTP/2. The
// limits and the errors are the same. Each of the two keeps connections of its own: at most 1024,
// for at most 90 seconds without a request, and for each host as many as HTTPConfig says. Unless
// HTTPConfig.TLS has a cache, both share 1024 sessions of TLS, one for each host, that new
// connections resume.
//
// A host's connections and session serve all organizations that send to it. Over the limit, the
// organization that has most loses its oldest, so that one with very many webhooks cannot evict those
// of all others. The organization is that of the template.Turn in the context, which a Dispatcher
// sets; requests without one count as one organization. The pool of net/http cannot do this: over its
// limit it closes the connection that has been idle for longest, and all sessions through a proxy
// count as one organization's.
//
// An endpoint that restarts closes its idle connections, perhaps while a request is on its way. If
// no byte of an answer has come, a request to a Target that is Repeatable, as the "webhook"
// channel's are, is then sent once more at once, within the same attempt. The receiver may see it
// twice, like any event, and recognises it by its id. Messages to people are not repeated. If a new
// connection ends in this way, the attempt has failed.
//
// # Safety
//
// The URLs of subscriptions come from subscribers and cannot be trusted. So HTTPClient accepts only
// HTTPS, connects only to public addresses, which it checks after the name was resolved, follows no
// redirect, and bounds what it reads. For development, HTTPConfig can allow HTTP and private
// addresses. It can change how much of a body is read, but not remove the bound, and redirects are
// never followed. If an endpoint writes more than its answer, the connection is closed, and nothing
// of it is logged. An attempt's error and Result never contain a secret of the configuration,
// because they are stored and shown.
package channelkit
