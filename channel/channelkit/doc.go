// Package channelkit is what a driver of a channel needs: to read a configuration
// and name all that is wrong with it, to render templates, to make one HTTP
// request to a URL that a stranger has configured, and to keep secrets out of
// what is stored.
//
// # What is where
//
//	[ReadConfig]      reads the fields of a configuration, and collects what is wrong with them
//	[Template]        a template of a configuration, compiled
//	[HTTPClient]      the guarded client; a [Target] is an endpoint that it sends to
//	[Redactor]        takes secrets out of what an endpoint answered
//	[Summarize]       an event in words, for messages that people read
//	[Progress]        which of several recipients were reached
//	[TransportError]  an error of a connection as a channel.Error without secrets
//
// # Connections
//
// A kept connection may end while a request is on its way: endpoints that restart close theirs. A
// request to a Target that is Repeatable, as a webhook is, is then sent again at once, within the
// same attempt, if no byte of an answer has come: the receiver may see it twice, as it may see any
// event, and knows it by its id. Messages to people are not repeated. A new connection that ends so
// is a failed attempt.
//
// # Safety
//
// The URLs of subscriptions come from strangers. [HTTPClient] therefore takes
// HTTPS only, connects to public addresses only, which it checks after the name
// was resolved, follows no redirect, and bounds what it reads. HTTPConfig opens
// each of these for development. What an endpoint writes beyond its answer ends
// the connection, and is not logged. An attempt's error and Result never hold a
// secret of the configuration: they are stored and shown.
package channelkit
