package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// capture is a request as a person or a program has written it down. It is read leniently: what is
// odd about it may be the reason why a receiver refuses it.
type capture struct {
	method, target string
	header         http.Header
	body           []byte
	folded         []string // names of headers that go on over several lines
	underscores    []string // names with "_", which many proxies drop
	announced      int      // Content-Length, or -1
	// chunked says that the body had the framing of chunks, which is not a part of it.
	chunked bool
}

// parseCapture reads a raw HTTP/1.1 request: with or without the request line, with lines that end
// in CRLF or LF.
func parseCapture(raw []byte) (*capture, error) {
	head, body := cutHead(raw)
	c := &capture{method: http.MethodPost, target: "/", header: http.Header{}, announced: -1}
	name := ""
	for i, line := range strings.Split(strings.TrimRight(string(head), "\r\n"), "\n") {
		line = strings.TrimRight(line, "\r")
		if fields := strings.Fields(line); i == 0 && len(fields) == 3 && strings.HasPrefix(fields[2], "HTTP/") {
			c.method, c.target = fields[0], fields[1]
			continue
		}
		if line != "" && (line[0] == ' ' || line[0] == '\t') && name != "" {
			// RFC 9112, section 5.2, has servers replace a fold by spaces.
			last := len(c.header[name]) - 1
			c.header[name][last] += " " + strings.TrimSpace(line)
			c.folded = append(c.folded, name)
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsAny(key, " \t{\"") {
			return nil, usagef("line %d is not a header, of the form \"name: value\"; between headers "+
				"and body there must be an empty line", i+1)
		}
		name = textproto.CanonicalMIMEHeaderKey(key)
		c.add(name, value)
	}
	return c, c.setBody(body)
}

// cutHead returns what is before and after the first empty line.
func cutHead(raw []byte) (head, body []byte) {
	at := len(raw)
	for _, end := range []string{"\r\n\r\n", "\n\n", "\n\r\n"} {
		if i := bytes.Index(raw, []byte(end)); i >= 0 && i < at {
			at, head, body = i, raw[:i], raw[i+len(end):]
		}
	}
	if head == nil {
		return raw, nil
	}
	return head, body
}

func (c *capture) add(name, value string) {
	c.header[name] = append(c.header[name], strings.Trim(value, " \t"))
	if strings.Contains(name, "_") {
		c.underscores = append(c.underscores, name)
	}
}

// setBody removes the framing of the body.
func (c *capture) setBody(body []byte) error {
	c.body = body
	if slices.ContainsFunc(c.header["Transfer-Encoding"], func(v string) bool {
		return strings.EqualFold(v, "chunked")
	}) {
		if plain, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body))); err == nil {
			c.body, c.chunked = plain, true
		}
		return nil
	}
	if values := c.header["Content-Length"]; len(values) > 0 {
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 {
			return usagef("Content-Length is not a number")
		}
		// What follows is not of this request; an editor adds a line break.
		if c.announced = n; n < len(body) {
			c.body = body[:n]
		}
	}
	return nil
}

// request returns what a server makes of the capture.
func (c *capture) request() *http.Request {
	r := &http.Request{Method: c.method, Header: c.header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body))}
	return r
}
