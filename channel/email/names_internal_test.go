package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
)

// Subscribers see the errors of attempts. The names of the operator's mail server are not in them.
func TestErrorsDoNotNameTheMailServer(t *testing.T) {
	t.Parallel()
	const name = "relay.internal.corp"
	certificate := &x509.Certificate{DNSNames: []string{name}}
	certificate.Subject.CommonName = name
	verify := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for want, err := range map[string]error{
		"channel: dns: the name of the mail server cannot be looked up": &net.OpError{Op: "dial",
			Err: &net.DNSError{Err: "no such host", Name: name, Server: "10.0.0.1", IsNotFound: true}},
		"channel: tls: TLS with the mail server fails: the certificate is for another name": verify(
			x509.HostnameError{Certificate: certificate, Host: name}),
		"channel: tls: TLS with the mail server fails: the certificate is signed by an unknown authority": verify(
			x509.UnknownAuthorityError{Cert: certificate}),
		"channel: tls: TLS with the mail server fails: the certificate is not valid now": verify(
			x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired, Detail: name}),
		"channel: tls: TLS with the mail server fails: the certificate is not valid": verify(
			x509.CertificateInvalidError{Cert: certificate, Reason: x509.CANotAuthorizedForThisName,
				Detail: name}),
		"channel: tls: TLS with the mail server fails": tls.RecordHeaderError{Msg: name},
	} {
		got := smtpError(context.Background(), err)
		assert.EqualError(t, got, want)
		assert.True(t, channel.AsError(got).Retryable())
	}
	var dns *net.DNSError
	assert.ErrorAs(t, smtpError(context.Background(), &net.DNSError{Name: name}), &dns,
		"programs still find the cause")
}
