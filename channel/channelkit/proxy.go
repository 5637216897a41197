package channelkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/mixpeek/webhooks-go/channel"
)

// A failure of a proxy says nothing about the endpoint, so it has a class of its
// own and names the proxy. What the proxy says, and where it is, are left out:
// both may be internal.

// proxyKey is the key under which the context of a request that may go through a
// proxy has an *atomic.Bool: whether CONNECT is unanswered. net/http's error does
// not tell.
type proxyKey struct{}

func withProxyState(ctx context.Context) context.Context {
	return context.WithValue(ctx, proxyKey{}, new(atomic.Bool))
}

func isAskingProxy(ctx context.Context) bool {
	asking, ok := ctx.Value(proxyKey{}).(*atomic.Bool)
	return ok && asking.Load()
}

// proxyAsked is http.Transport.GetProxyConnectHeader. The header is none.
func proxyAsked(ctx context.Context, _ *url.URL, _ string) (http.Header, error) {
	if asking, ok := ctx.Value(proxyKey{}).(*atomic.Bool); ok {
		asking.Store(true)
	}
	return http.Header{}, nil
}

// proxyAnswered is http.Transport.OnProxyConnectResponse.
func proxyAnswered(ctx context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if asking, ok := ctx.Value(proxyKey{}).(*atomic.Bool); ok {
		asking.Store(false)
	}
	switch status := resp.StatusCode; status {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return &channel.Error{Class: channel.ClassProxy,
			Err: errors.New("the proxy refuses the login: it answered 407 to CONNECT")}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		// Proxies say so of an endpoint that they do not reach.
		return &channel.Error{Class: channel.ClassConnect,
			Err: fmt.Errorf("the proxy has no connection to the endpoint: it answered %d to CONNECT",
				status)}
	default:
		return &channel.Error{Class: channel.ClassProxy,
			Err: fmt.Errorf("the proxy refuses the connection: it answered %d to CONNECT", status)}
	}
}

// proxyUnusable says why there is no connection to a proxy.
func proxyUnusable(ctx context.Context, err error, op *net.OpError) error {
	reason := channel.AsError(TransportError(ctx, op.Err))
	if reason == nil { // ctx was cancelled
		return err
	}
	var refused *AddressError
	if errors.As(reason, &refused) {
		return &channel.Error{Class: channel.ClassRefusedAddress, Err: refused}
	}
	text := string(reason.Class)
	if reason.Err != nil && reason.Class != channel.ClassDNS { // which names it
		text = reason.Err.Error()
	}
	return &channel.Error{Class: channel.ClassProxy,
		Err: errors.New("the proxy cannot be connected to: " + text)}
}
