package channelkit

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mixpeek/webhooks-go/event"
)

// maxURL is the longest URL that is taken.
const maxURL = 2048

// CheckURL parses the URL of an endpoint. If it is invalid, the error is an *event.ValidationError
// that lists every problem, with empty field names. A URL must be absolute, with the scheme https
// (or http, if HTTPConfig.AllowHTTP is set) and a host, without user name and password, without a
// fragment, and without blanks and other invisible characters, which would become a part of it. An
// address that must not be connected to is refused at once; a name is checked when it is connected
// to. The error contains no part of the URL, because a URL may grant access.
//
// CheckURL returns the URL in the form in which it is sent: the host in lower case, and characters
// that RFC 3986 does not allow in the path and the query, such as letters outside ASCII,
// percent-encoded. What is percent-encoded already stays as it is written.
func (c *HTTPClient) CheckURL(raw string) (*url.URL, error) {
	var problems event.Problems
	if raw == "" {
		problems.Required("")
		return nil, problems.Err()
	}
	if len(raw) > maxURL {
		problems.Add("", "must be at most %d characters", maxURL)
		return nil, problems.Err()
	}
	if rule := Invisible(raw, ""); rule != "" {
		problems.Add("", "%s", rule)
	}
	if !isPercentEncoded(raw) {
		problems.Add("", "must have two hexadecimal digits after each percent sign")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		problems.Add("", "must be an absolute URL such as %s", "https://example.com/hooks")
		return nil, problems.Err()
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && c.allowHTTP:
	case u.Scheme == "http":
		problems.Add("", "must be https: plain http is not allowed here")
	default:
		problems.Add("", "must begin with https://")
	}
	if u.User != nil {
		problems.Add("", "must not hold a user name or password: use a header")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		problems.Add("", "must not have a fragment (#)")
	}
	c.checkHost(u, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	normalize(u)
	return u, nil
}

// CheckBase is CheckURL for the base URL of an API, with a path added to it. The base must not have
// a query.
func (c *HTTPClient) CheckBase(base, path string) (*url.URL, error) {
	u, err := c.CheckURL(strings.TrimSuffix(base, "/") + path)
	if err == nil && strings.Contains(base, "?") {
		var problems event.Problems
		problems.Add("", "must not have a query")
		return nil, problems.Err()
	}
	return u, err
}

// isPercentEncoded reports whether every percent sign begins an octet.
func isPercentEncoded(s string) bool {
	for {
		_, rest, found := strings.Cut(s, "%")
		if !found {
			return true
		}
		if len(rest) < 2 || strings.Trim(rest[:2], "0123456789abcdefABCDEF") != "" {
			return false
		}
		s = rest[2:]
	}
}

// normalize makes of a URL what is sent. Several spellings of a host outside
// ASCII would go into the Host header as different names than are looked up.
func normalize(u *url.URL) {
	u.Host = norm.NFC.String(strings.ToLower(u.Host))
	path := u.RawPath
	if path == "" {
		path = u.EscapedPath()
	}
	u.RawPath = percentEncode(path, "/")
	u.RawQuery = percentEncode(u.RawQuery, "/?")
}

// percentEncode encodes the bytes that are neither unreserved nor sub-delims,
// nor ":" and "@", nor the given ones (RFC 3986, appendix A), and keeps what is
// encoded.
func percentEncode(s, also string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if alnum || c < utf8.RuneSelf && strings.IndexByte("-._~!$&'()*+,;=:@%"+also, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// checkHost checks host and port.
func (c *HTTPClient) checkHost(u *url.URL, problems *event.Problems) {
	host := u.Hostname()
	if host == "" {
		problems.Add("", "must have a host")
		return
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			problems.Add("", "must have a port between 1 and 65535, or none")
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			problems.Add("", "must not have a zone in its address")
		}
		if err := c.guard.check(addr); err != nil {
			problems.Add("", "must have a public host: %s", err)
		}
		return
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	switch {
	case !IsHostname(name), norm.NFKC.String(name) != norm.NFC.String(name):
		problems.Add("", "must have a valid host name")
	case endsInNumber(name):
		problems.Add("", "must have a host name, or an address with four decimal numbers")
	}
	if (name == "localhost" || strings.HasSuffix(name, ".localhost")) &&
		c.guard.check(netip.IPv6Loopback()) != nil &&
		c.guard.check(netip.AddrFrom4([4]byte{127, 0, 0, 1})) != nil {
		problems.Add("", "must have a public host: loopback addresses are not connected to")
	}
}

// endsInNumber reports whether a name is what some resolvers and most clients
// take for an address, such as 127.1, 0x7f.1 and 2130706433: it is by the URL
// standard (url.spec.whatwg.org), and no top-level domain is a number.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(last, digits) == ""
}

// IsHostname reports whether a name can be looked up: labels of 1 to 63 bytes, separated by dots,
// of visible characters without ASCII punctuation other than '-' and '_', and at most 253 bytes in
// all.
func IsHostname(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, r := range label {
			// The ideographic full stop counts as a dot when a name is looked up.
			if isInvisible(r) || r == '\u3002' ||
				strings.ContainsRune("!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// hostOf is a URL's host as callers compare it.
func hostOf(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

// portOf is a URL's port, or that of its scheme.
func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
