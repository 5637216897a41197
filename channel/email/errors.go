package email

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// smtpError turns what a conversation with a mail server ended with into an
// *Error: 4xx is worth retrying and 5xx is not (RFC 5321, section 4.2.1). The
// server's words are left out of it, because they repeat addresses; its codes
// are enough to look the rest up.
func smtpError(ctx context.Context, err error) error {
	var own *channel.Error
	var reply *textproto.Error
	var garbage textproto.ProtocolError
	var op *net.OpError
	switch {
	case errors.As(err, &reply): // before ctx: it may have come in the last moment
		return smtpReply(reply)
	case ctx.Err() != nil:
		return channel.ContextError(ctx)
	case errors.As(err, &own) && own.Class != channel.ClassTooLarge:
		return own
	case isTimeout(err) && !(errors.As(err, &op) && op.Op == "dial"):
		return &channel.Error{Class: channel.ClassTimeout,
			Err: errors.New("the mail server has not answered in time")}
	case errors.As(err, &garbage):
		return &channel.Error{Class: channel.ClassProtocol,
			Err: errors.New("the answer is not valid SMTP")}
	}
	err = channelkit.TransportError(ctx, err)
	switch e := channel.AsError(err); e.Class {
	case channel.ClassProtocol:
		e.Err = errors.New("the conversation with the mail server broke off")
	case channel.ClassDNS:
		e.Err = &unnamedError{"the name of the mail server cannot be looked up", e.Err}
	case channel.ClassTLS:
		e.Err = &unnamedError{"TLS with the mail server fails" + tlsReason(e.Err), e.Err}
	}
	return err
}

// An unnamedError says what an error means without the names in its text: subscribers see what
// became of an attempt, and the mail server is the operator's.
type unnamedError struct {
	text string
	err  error
}

func (e *unnamedError) Error() string { return e.text }
func (e *unnamedError) Unwrap() error { return e.err }

// tlsReason says in general what is wrong with a certificate, empty if it is something else.
func tlsReason(err error) string {
	var (
		hostname x509.HostnameError
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &hostname):
		return ": the certificate is for another name"
	case errors.As(err, &unknown):
		return ": the certificate is signed by an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ": the certificate is not valid now"
	case errors.As(err, &invalid):
		return ": the certificate is not valid"
	}
	return ""
}

// smtpReply classifies a reply that refuses a mail or a recipient, or what leads
// up to them. Some 5xx replies concern neither, but the configuration of this
// host, which its operator corrects: a command that the server does not know or
// expect, or a parameter of one (500, 502 to 504; servers complain of the name
// after EHLO at RCPT), a login that is required or refused (RFC 4954, section
// 6), and an address of the sender that is wrong (RFC 3463, section 3.2).
func smtpReply(reply *textproto.Error) *channel.Error {
	e := &channel.Error{Class: channel.ClassRejected, StatusCode: reply.Code,
		Err: fmt.Errorf("the mail server says %d%s", reply.Code, enhanced(reply.Msg))}
	switch {
	case slices.Contains([]int{500, 502, 503, 504}, reply.Code):
	case slices.Contains([]string{" 5.1.7", " 5.1.8"}, enhanced(reply.Msg)):
	case slices.Contains([]int{530, 534, 535, 538}, reply.Code):
		e.Class = channel.ClassAuth
	case reply.Code/100 == 5:
		e.Action = channel.Permanent
	case reply.Code/100 != 4:
		e.Class = channel.ClassProtocol
	}
	return e
}

// refusedSender is for an error of MAIL, which names only the sender that the operator has configured.
// It is worth retrying, unless the mail is too large.
func refusedSender(err error) error {
	var reply *textproto.Error
	if !isReply(err) || !errors.As(err, &reply) || reply.Code == smtpTooLarge {
		return err
	}
	e := smtpReply(reply)
	e.Action = channel.Retry
	return e
}

// smtpTooLarge means, as a reply to MAIL, that the mail is too large.
const smtpTooLarge = 552

// isTimeout reports whether err says that a step took too long.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// enhancedCode is how a reply's text begins when it has an enhanced status code
// (RFC 3463).
var enhancedCode = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?: |$)`)

// enhanced returns the enhanced status code of a reply and a blank before it,
// empty if there is none.
func enhanced(msg string) string {
	code := strings.TrimSpace(enhancedCode.FindString(msg))
	if code == "" {
		return ""
	}
	return " " + code
}

// greeting is for a reply before any mail was offered.
func greeting(err error) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return err
	}
	e := smtpReply(reply)
	e.Action = channel.Retry
	return e
}

// refusedLogin classifies an error of AUTH. An error that is no reply of the server
// comes from the mechanism, which refuses to send a password where it should not.
func refusedLogin(err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return &channel.Error{Class: channel.ClassAuth, StatusCode: reply.Code,
			Err: fmt.Errorf("the mail server refuses the login: %d%s", reply.Code, enhanced(reply.Msg))}
	}
	return err
}
