package http1

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// An answer is the answer to a request, with its body.
type answer struct {
	http.Response
	body body
}

// readResponse reads the header of an answer, a final one or an interim one. Its Body is nil if that
// is the next ContentLength bytes of c.in.
func (c *conn) readResponse(r *http.Request, into *http.Response) error {
	arrived, _ := c.in.Peek(c.in.Buffered())
	if n := parsePlain(arrived, r, into); n > 0 {
		_, err := c.in.Discard(n)
		return err
	}
	resp, err := http.ReadResponse(c.in, r) //nolint:bodyclose // it is that of into
	if err != nil {
		return err
	}
	*into = *resp
	return nil
}

const http11 = "HTTP/1.1 "

// parsePlain parses the header of an answer as http.ReadResponse does, at a fraction of its cost, and
// returns how many bytes it has. It returns 0 if the header has not arrived as a whole, or if there
// is something in it that is not plain: http.ReadResponse takes or refuses it then. Plain is a final
// answer with a body of declared length, and nothing that could change where it ends.
func parsePlain(b []byte, r *http.Request, into *http.Response) int {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte(http11)) || r.Method == http.MethodHead {
		return 0
	}
	// One string, of which the values are parts.
	status, fields, _ := strings.Cut(string(b[len(http11):end+len("\r\n")]), "\r\n")
	code, ok := statusCode(status)
	if !ok || code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		return 0
	}
	count := strings.Count(fields, "\r\n")
	header, values, length := make(http.Header, count), make([]string, 0, count), int64(-1)
	for fields != "" {
		var line string
		line, fields, _ = strings.Cut(fields, "\r\n")
		name, value, found := strings.Cut(line, ":")
		if !found || !isPlainName(name) || !isPrintable(value) {
			return 0
		}
		value = strings.Trim(value, " \t")
		name = http.CanonicalHeaderKey(name)
		switch name {
		case "Content-Length":
			if length >= 0 || !isPlainLength(value) {
				return 0
			}
			length, _ = strconv.ParseInt(value, 10, 64)
		case "Connection":
			if value != "keep-alive" {
				return 0
			}
		case "Pragma", "Trailer", "Transfer-Encoding":
			return 0
		}
		if earlier := header[name]; earlier != nil {
			header[name] = append(earlier, value)
			continue
		}
		n := len(values)
		values = append(values, value)
		header[name] = values[n : n+1 : n+1]
	}
	if length < 0 {
		return 0
	}
	*into = http.Response{
		Status: status, StatusCode: code, Proto: http11[:len(http11)-1], ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: length, Request: r,
	}
	if length == 0 {
		into.Body = http.NoBody
	}
	return end + len("\r\n\r\n")
}

// statusCode returns the code at the beginning of a status, of three digits.
func statusCode(status string) (code int, ok bool) {
	digits, _, _ := strings.Cut(status, " ")
	if len(digits) != 3 || !isPlainLength(digits) || !isPrintable(status) {
		return 0, false
	}
	code, err := strconv.Atoi(digits)
	return code, err == nil
}

// isPlainLength reports whether s is of digits, and a number that is far from overflowing.
func isPlainLength(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 15
}

// isPlainName reports whether s is of what the names of fields mostly are.
func isPlainName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != ""
}

// isPrintable reports whether s is of visible ASCII characters, blanks and tabs.
func isPrintable(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] >= 0x7f) && s[i] != '\t' {
			return false
		}
	}
	return true
}

// read reads from the body, and returns io.EOF with the last bytes of a declared length, as net/http
// does.
func (b *body) read(p []byte) (int, error) {
	if b.rest != nil {
		return b.rest.Read(p)
	}
	n, err := b.conn.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
