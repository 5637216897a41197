// Package httpendpoint posts events to HTTP endpoints: the channel "webhook".
//
// # What is where
//
// [Config] is what a subscription says, [NewDriver] makes the driver, and [Name] is
// what subscriptions call it. What an answer means is the table of
// channel.Classify; how requests are made, and which addresses they may go to, is
// in package channelkit.
//
// The body is the stored event, byte by byte, or what Config.PayloadTemplate
// renders to. With a signing secret the request is signed as Standard Webhooks
// says: see package event/signature.
package httpendpoint
