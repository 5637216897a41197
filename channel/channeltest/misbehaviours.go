package channeltest

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Misbehaviours returns all of them, in a slice of the caller's own.
func Misbehaviours() []Misbehaviour {
	list := append(silent(), garbled()...)
	list = append(list, excessive()...)
	list = append(list, complete()...)
	list = append(list, handshakes()...)
	for i := range list {
		if list[i].scheme == "" {
			list[i].scheme = "http"
		}
	}
	return list
}

// silent are endpoints that stop talking too early.
func silent() []Misbehaviour {
	return []Misbehaviour{
		{Name: "nothing listens", closed: true},
		{Name: "closes at once", serve: func(*badConn) {}},
		{Name: "closes after the request", serve: func(c *badConn) { c.readRequest() }},
		{Name: "resets after the request", serve: func(c *badConn) {
			c.readRequest()
			c.reset()
		}},
		{Name: "resets in the header", serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nContent-")
			c.reset()
		}},
		{Name: "resets in the body", serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
			c.reset()
		}},
		{Name: "promises a longer body", serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
		}},
		{Name: "ends a chunked body early", serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		}},
		{Name: "never answers", Hangs: true, serve: func(c *badConn) { c.hang() }},
		{Name: "hangs in the status line", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 2")
			c.hang()
		}},
		{Name: "hangs in the header", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nX-Half: ")
			c.hang()
		}},
		{Name: "hangs in the body", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
			c.hang()
		}},
		{Name: "hangs after a 100 Continue", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 100 Continue\r\n\r\n")
			c.hang()
		}},
		{Name: "switches protocols and hangs", serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx")
			c.hang()
		}},
		{Name: "drips its header", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.drip("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Slow: very\r\n", 1000))
		}},
		{Name: "drips its body", Hangs: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\n\r\n")
			c.drip("drop ")
		}},
	}
}

// garbled are endpoints that do not speak HTTP, or speak it wrongly.
func garbled() []Misbehaviour {
	answers := []struct{ name, answer string }{
		{"speaks another protocol", "220 mail.example.com ESMTP\r\n"},
		{"answers with binary garbage", "\x16\x03\x01\x00\xff\x00\r\n\r\n\x00\x01\x02"},
		{"answers without a header", "hello there\n"},
		{"answers with an empty line", "\r\n\r\n"},
		{"has no number for a status", "HTTP/1.1 abc OK\r\n\r\n"},
		{"has a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
		{"has the status 000", "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n"},
		{"has the status 999", "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"},
		{"has a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"},
		{"has two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
		{"has a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
		{"has a length beyond numbers",
			"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
		{"has an unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: sandwich\r\n\r\n"},
		{"has a chunk size that is no number",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
		{"has a chunk of endless size",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"},
		{"switches protocols unasked",
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"},
		{"redirects to itself", "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
		{"redirects to a file",
			"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"},
		{"redirects nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"},
		{"fails with control characters",
			"HTTP/1.1 500 No\r\nContent-Length: 16\r\n\r\n\x1b[2J\x00\x07\xff\xfe\r\n\x7f\u202e!!"},
	}
	list := make([]Misbehaviour, 0, len(answers))
	for _, a := range answers {
		list = append(list, Misbehaviour{Name: a.name, serve: func(c *badConn) {
			c.readRequest()
			c.say(a.answer)
		}})
	}
	return list
}

// excessive are endpoints that do not stop.
func excessive() []Misbehaviour {
	flood := func(head, rest string) func(*badConn) {
		return func(c *badConn) {
			c.readRequest()
			c.say(head)
			c.endless(rest)
		}
	}
	return []Misbehaviour{
		{Name: "has an endless status line", serve: flood("HTTP/1.1 200 ", "OK")},
		{Name: "has an endless header line", serve: flood("HTTP/1.1 200 OK\r\nX-Long: ", "x")},
		{Name: "has endless header lines", serve: flood("HTTP/1.1 200 OK\r\n", "X-Many: more\r\n")},
		{Name: "says 103 without end", serve: flood("",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")},
		{Name: "has an endless body", serve: flood("HTTP/1.1 200 OK\r\n\r\n", "more ")},
		{Name: "has an endless chunked body",
			serve: flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nmore \r\n")},
		{Name: "has an endless chunk extension",
			serve: flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "ext")},
		{Name: "fails with an endless body", serve: flood("HTTP/1.1 500 No\r\n\r\n", "more ")},
	}
}

// bomb is compressed when it is first needed.
var bomb = sync.OnceValue(func() []byte {
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	_, _ = zip.Write(make([]byte, 8<<20))
	_ = zip.Close()
	return compressed.Bytes()
})

// complete are endpoints whose answer is odd, but a complete 2xx.
func complete() []Misbehaviour {
	return []Misbehaviour{
		{Name: "sends more than it promises", Complete: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and then some")
		}},
		{Name: "sends a body with 204", Complete: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.1 204 No Content\r\n\r\nsurprise")
		}},
		{Name: "answers before it has read the body", Complete: true, serve: func(c *badConn) {
			_, _ = c.Read(make([]byte, 1))
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			c.readRequest()
		}},
		{Name: "sends a compression bomb", Complete: true, serve: func(c *badConn) {
			c.readRequest()
			c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
				len(bomb()), bomb()))
		}},
		{Name: "speaks HTTP/1.0", Complete: true, serve: func(c *badConn) {
			c.readRequest()
			c.say("HTTP/1.0 200 OK\r\n\r\nok")
		}},
	}
}

// handshakes are endpoints with which no TLS connection comes about.
func handshakes() []Misbehaviour {
	return []Misbehaviour{
		{Name: "answers TLS with garbage", scheme: "https", serve: func(c *badConn) {
			c.say("this is not what you hoped for\r\n")
			c.hang()
		}},
		{Name: "answers TLS with plain HTTP", scheme: "https", serve: func(c *badConn) {
			c.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			c.hang()
		}},
		{Name: "closes in the handshake", scheme: "https", serve: func(c *badConn) {
			_, _ = c.Read(make([]byte, 16))
		}},
		{Name: "hangs in the handshake", scheme: "https", Hangs: true,
			serve: func(c *badConn) { c.hang() }},
		{Name: "has a certificate that is not trusted", scheme: "https", tls: true,
			serve: func(c *badConn) { c.hang() }},
	}
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("channeltest: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("channeltest: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
