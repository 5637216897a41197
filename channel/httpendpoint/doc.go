// Package httpendpoint posts events to HTTP endpoints. It is the channel "webhook" of
// subscriptions:
//
//	webhook.Via(httpendpoint.Config{
//		URL:           "https://example.com/webhooks",
//		Headers:       map[string]string{"X-Api-Key": "…"},
//		SigningSecret: "whsec_…",
//	})
//
// The body is the stored event, byte by byte, or what Config.PayloadTemplate renders to. With a
// signing secret, the request is signed according to the Standard Webhooks specification: see
// package event/signature.
//
// Each request says in headers which event, delivery and attempt it is, so that it can be found in
// the logs of both sides: see [HeaderEventID].
//
// The request of an attempt that is a part of a trace has traceparent and tracestate: see
// [TraceHeaders].
//
// # What is where
//
// [Config] is the configuration in a subscription, [NewDriver] makes the driver, and [Name] is the
// name of the channel. channel.Classify says what an answer means. Package channelkit says how
// requests are made, and to which addresses they may go.
package httpendpoint
