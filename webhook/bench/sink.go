package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sink is the endpoint that everything is delivered to.
type sink struct {
	*sinkServer
	url string // over plain HTTP, or over TLS
}

type sinkServer struct {
	server        *http.Server
	plain, secure string // URLs
	roots         *x509.CertPool
	arrivals      atomic.Int64
	// onBody sees each body while latencies are measured.
	onBody atomic.Pointer[func([]byte)]
	// delay is how long an answer takes, in nanoseconds.
	delay atomic.Int64
}

func startSink(ctx context.Context) (*sink, error) {
	certificate, roots, err := selfSigned()
	if err != nil {
		return nil, err
	}
	s := &sinkServer{roots: roots}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	}}
	var config net.ListenConfig
	plain, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secure, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	s.plain = "http://" + plain.Addr().String() + "/"
	s.secure = "https://" + secure.Addr().String() + "/"
	go func() { _ = s.server.Serve(plain) }()
	go func() { _ = s.server.ServeTLS(secure, "", "") }()
	return &sink{s, s.plain}, nil
}

// over returns the sink as it is reached over plain HTTP, or over TLS.
func (s *sink) over(tls bool) *sink {
	if tls {
		return &sink{s.sinkServer, s.secure}
	}
	return &sink{s.sinkServer, s.plain}
}

// String names the protocol.
func (s *sink) String() string { return strings.ToUpper(strings.SplitN(s.url, ":", 2)[0]) }

// trust returns a configuration of clients that trusts the sink.
func (s *sink) trust() *tls.Config {
	return &tls.Config{
		RootCAs: s.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
}

// selfSigned makes a certificate for 127.0.0.1, and what trusts it.
func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}

func (s *sinkServer) close() { _ = s.server.Close() }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *sinkServer) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body := buffers.Get().(*bytes.Buffer)
	body.Reset()
	_, err := io.Copy(body, r.Body)
	if err == nil {
		if f := s.onBody.Load(); f != nil {
			(*f)(body.Bytes())
		}
		s.arrivals.Add(1)
	}
	buffers.Put(body)
	if d := s.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
}

// emittedMark is the metadata field that carries the time of the emit.
const emittedMark = `"emitted_ns":`

// emittedAt finds the time of the emit in a payload.
func emittedAt(payload []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(payload, []byte(emittedMark))
	if !ok {
		return time.Time{}, false
	}
	// What has been a jsonb has a space here.
	digits, _, ok := bytes.Cut(bytes.TrimLeft(rest, ` "`), []byte(`"`))
	if !ok {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns), err == nil
}
