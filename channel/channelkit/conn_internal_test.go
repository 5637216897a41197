package channelkit

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A scriptedConn reads what it is given, in pieces of one size.
type scriptedConn struct {
	net.Conn
	rest  []byte
	piece int
}

func (c *scriptedConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.piece)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// What net/http takes for an answer reaches it whole, and when that has ended,
// no byte more has left the connection.
func FuzzAnswerFraming(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.1 304 No\nContent-Length: 7\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe\nlo\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nHTTP/1.1  100\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:\t 2 \r\n\r\nok",
		"HTTP/1.1 200 OK\r\nX: y\r\n  Content-Length: 9\r\nContent-Length: 1\r\n\r\n1",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/0.0 000 0\n\r\nHTTP/0.0  000 \n\r\nHTTP/0.0 200 000\nContent-length: 010 \n\n",
	} {
		f.Add(head, uint8(1), uint8(7))
		f.Add(head, uint8(200), uint8(200))
	}
	f.Fuzz(func(t *testing.T, answer string, piece, buffer uint8) {
		const extra = "more\n and more"
		read := func(r io.Reader) (resp *http.Response, body []byte, err error) {
			br := bufio.NewReaderSize(r, 16+int(buffer))
			for {
				if resp, err = http.ReadResponse(br, nil); err != nil {
					return nil, nil, err
				}
				// As net/http does: an answer with a status below 100 is not an interim one.
				if resp.StatusCode < 100 || resp.StatusCode >= 200 ||
					resp.StatusCode == http.StatusSwitchingProtocols {
					break
				}
			}
			body, err = io.ReadAll(resp.Body)
			if held := br.Buffered(); err == nil && held > 0 && resp.StatusCode >= 200 {
				if _, framed := r.(*endpointConn); framed {
					t.Fatalf("%q: %d bytes too many", answer, held)
				}
			}
			return resp, body, err
		}
		want, wantBody, wantErr := read(strings.NewReader(answer + extra))
		conn := newEndpointConn(&scriptedConn{rest: []byte(answer + extra), piece: 1 + int(piece)})
		conn.expect()
		got, gotBody, gotErr := read(conn)
		if (wantErr == nil) != (gotErr == nil) || !bytes.Equal(wantBody, gotBody) || want != nil &&
			got != nil && want.StatusCode != got.StatusCode {
			t.Fatalf("%q: want %v %q %v, got %v %q %v", answer, want, wantBody, wantErr, got, gotBody,
				gotErr)
		}
	})
}
