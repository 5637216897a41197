package channelkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// TransportError makes a [*channel.Error] from an error of http.Transport. Its text can be stored
// and shown: it contains no URL, no proxy, and nothing that the other side sent but the names in a
// certificate. In the result, errors.As finds an *AddressError, a *net.DNSError, a syscall.Errno,
// or the errors of crypto/tls and crypto/x509.
//
// If ctx is done, TransportError returns channel.ContextError(ctx): context.Canceled, or an error
// of ClassTimeout after a deadline.
func TransportError(ctx context.Context, err error) error {
	if done := channel.ContextError(ctx); done != nil {
		return done
	}
	var (
		own     *channel.Error
		refused *AddressError
		dns     *net.DNSError
		timeout interface{ Timeout() bool }
		op      *net.OpError
		errno   syscall.Errno
	)
	switch {
	case errors.As(err, &own):
		e := *own // a copy: the caller adds the status to it
		if e.Err == nil && e.Class == channel.ClassTooLarge {
			e.Err = errors.New("the answer is longer than the limit")
		}
		return &e

	case errors.As(err, &op) && op.Op == "proxyconnect":
		return proxyUnusable(ctx, err, op)

	case errors.As(err, &op) && strings.HasPrefix(op.Op, "socks "):
		return &channel.Error{Class: channel.ClassProxy,
			Err: errors.New("the proxy refuses the connection")}

	case isAskingProxy(ctx):
		if errors.As(err, &timeout) && timeout.Timeout() {
			return &channel.Error{Class: channel.ClassProxy,
				Err: errors.New("the proxy has not answered CONNECT in time")}
		}
		return &channel.Error{Class: channel.ClassProxy,
			Err: errors.New("the proxy gave no valid answer to CONNECT")}

	case errors.As(err, &refused):
		return &channel.Error{Class: channel.ClassRefusedAddress, Err: refused}

	case errors.As(err, &dns):
		// The name of the DNS server stays out of the text: it is internal.
		return &channel.Error{Class: channel.ClassDNS, Err: &net.DNSError{
			Err: dns.Err, Name: printable.Clip(dns.Name, 255),
			IsTimeout: dns.IsTimeout, IsTemporary: dns.IsTemporary, IsNotFound: dns.IsNotFound,
		}}

	case errors.As(err, &timeout) && timeout.Timeout():
		return &channel.Error{Class: channel.ClassTimeout, Err: errors.New("no connection in time")}

	case isTLS(err):
		return &channel.Error{Class: channel.ClassTLS, Err: &clippedError{err}}

	case errors.As(err, &op) && op.Op == "dial":
		if errors.As(err, &errno) {
			return &channel.Error{Class: channel.ClassConnect, Err: errno}
		}
		return &channel.Error{Class: channel.ClassConnect, Err: errors.New("no connection")}

	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), op != nil,
		errors.Is(err, net.ErrClosed):
		return &channel.Error{Class: channel.ClassClosed,
			Err: errors.New("the connection ended before the answer did")}
	}
	return &channel.Error{Class: channel.ClassProtocol,
		Err: errors.New("no valid HTTP answer, or one whose header is too large")}
}

// isTLS reports whether err comes from the handshake: from its types, or from
// an alert of either side, which crypto/tls wraps in a net.OpError.
func isTLS(err error) bool {
	var (
		verify   *tls.CertificateVerificationError
		header   tls.RecordHeaderError
		alert    tls.AlertError
		ech      *tls.ECHRejectionError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		op       *net.OpError
	)
	return errors.As(err, &verify) || errors.As(err, &header) || errors.As(err, &alert) ||
		errors.As(err, &ech) ||
		errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

// A clippedError bounds the text of an error that repeats what the other side
// sent, such as the names in a certificate.
type clippedError struct{ err error }

func (e *clippedError) Error() string { return printable.Excerpt([]byte(e.err.Error()), 200) }
func (e *clippedError) Unwrap() error { return e.err }
