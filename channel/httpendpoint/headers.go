package httpendpoint

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// The limits of custom headers: what common servers take.
const (
	maxHeaders     = 64
	maxHeaderBytes = 8 << 10
)

// forbiddenHeaders are the headers that belong to the connection or that the
// client computes: those of RFC 9110 section 7.6.1 and the framing of a message.
// A custom value would be dropped, break the request, or smuggle another.
var forbiddenHeaders = []string{
	"Connection", "Content-Length", "Expect", "Host", "Http2-Settings", "Keep-Alive",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// signatureHeaders are set by the signer.
var signatureHeaders = []string{signature.HeaderID, signature.HeaderTimestamp,
	signature.HeaderSignature}

// readHeaders reads custom headers into the form that net/http sends.
func readHeaders(r *channelkit.ConfigReader, name string, signed bool) http.Header {
	var custom map[string]*string
	if raw, ok := r.Get(name); ok && !unmarshalStrings(raw, &custom) {
		r.Problems.Add(name, "must be an object of strings")
	}
	header := make(http.Header, len(custom)+5)
	if len(custom) > maxHeaders {
		r.Problems.Add(name, "must be at most %d headers", maxHeaders)
		return header
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(custom)) {
		field, canonical := headerField(key), http.CanonicalHeaderKey(key)
		if custom[key] == nil {
			r.Problems.Add(field, "must be a string")
			continue
		}
		value := *custom[key]
		size += len(key) + len(value)
		switch {
		case !isToken(key):
			r.Problems.Add(field, "must have a name of letters, digits and !#$%%&'*+-.^_`|~ only")
		case slices.Contains(forbiddenHeaders, canonical):
			r.Problems.Add(field, "must not be set: it belongs to the connection")
		case signed && slices.Contains(signatureHeaders, canonical):
			r.Problems.Add(field, "must not be set together with a signing secret, which sets it")
		case header[canonical] != nil:
			r.Problems.Add(field, "is there twice, in different case")
		}
		if value == "" {
			r.Problems.Add(field, "must not be empty")
		} else if strings.Trim(value, " \t") != value {
			r.Problems.Add(field, "must have a value that neither begins nor ends with a blank")
		} else if rule := channelkit.Invisible(value, " \t"); rule != "" {
			r.Problems.Add(field, "%s", rule)
		}
		header[canonical] = []string{value}
	}
	if size > maxHeaderBytes {
		r.Problems.Add(name, "must be at most %d bytes in all", maxHeaderBytes)
	}
	return header
}

// unmarshalStrings reads an object; a value that is no string becomes nil. It
// returns false when raw is no object.
func unmarshalStrings(raw json.RawMessage, m *map[string]*string) bool {
	var items map[string]json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return false
	}
	*m = make(map[string]*string, len(items))
	for key, item := range items {
		var s *string
		if json.Unmarshal(item, &s) != nil {
			s = nil
		}
		(*m)[key] = s
	}
	return true
}

// headerField is the path of one header; a name that is no token is quoted.
func headerField(name string) string {
	if isToken(name) {
		return "headers." + printable.Clip(name, 64)
	}
	return "headers[" + strconv.Quote(printable.Clip(name, 64)) + "]"
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
