package http1

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxBody is how many bytes the body of a request may have, and so may its header.
	maxBody = 16 << 10
	// sendBuffer is what the kernel is asked for, so that writing a request does not wait for a
	// host that answers without reading. It may still wait on a kept connection, if the host has
	// not read earlier requests: then the request ends with its context.
	sendBuffer = 64 << 10
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 2<<10)
	return &b
}}

// appendHead appends the request line and the header of a request to b (RFC 9112, sections 3
// and 5). It returns false if the request is for the Fallback, which refuses it if it must.
func appendHead(b []byte, r *http.Request) (_ []byte, ok bool) {
	u := r.URL
	if u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || r.Close ||
		r.Method == http.MethodConnect || !httpguts.ValidHeaderFieldName(r.Method) ||
		len(r.TransferEncoding)+len(r.Trailer) > 0 ||
		hasBody(r) && (r.ContentLength <= 0 || r.ContentLength > maxBody) {
		return b, false
	}
	hostField, target := r.Host, u.RequestURI()
	if hostField == "" {
		hostField = u.Host
	}
	if !isPlainHost(u.Host) || !isPlainHost(hostField) || !isVisible(target) {
		return b, false
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", hostField)
	switch {
	case hasBody(r):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	case r.Method == http.MethodPost, r.Method == http.MethodPut, r.Method == http.MethodPatch:
		b = appendField(b, "Content-Length", "0")
	}
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length":
			continue // they are said above
		case "Connection", "Expect", "Trailer", "Transfer-Encoding", "Upgrade":
			return b, false
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return b, false
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return b, false
			}
			b = appendField(b, name, value)
		}
	}
	return append(b, "\r\n"...), len(b) <= maxBody
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// appendBody appends the body of a request to b, and closes it.
func appendBody(b []byte, r *http.Request) ([]byte, error) {
	if !hasBody(r) {
		return b, nil
	}
	defer func() { _ = r.Body.Close() }()
	start, length := len(b), int(r.ContentLength)
	for len(b)-start <= length { // up to one byte more
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):min(cap(b), start+length+1)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return b, err
		}
	}
	if len(b)-start != length {
		return b, errors.New("http1: the body of the request is not as long as its ContentLength")
	}
	return b, nil
}

// isPlainHost reports whether s is a host of ASCII letters, digits and what stands in
// addresses and ports, as it is looked up and as it goes into the Host field.
func isPlainHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}

// isVisible reports whether s is of visible ASCII characters.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
