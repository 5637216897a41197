package receiver

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// secure reports whether the request came over HTTPS, as far as this process can tell. It
// fails closed: headers count only if they come from a trusted peer, and if both
// X-Forwarded-Proto and Forwarded name the protocol, both must say https. A proxy that encrypts
// again may have got the request over HTTP, so TLS to this process does not make up for that.
func secure(r *http.Request, trusted []netip.Prefix) bool {
	if len(trusted) == 0 || !fromAny(r, trusted) {
		return r.TLS != nil
	}
	listed := forwardedProto(r.Header["X-Forwarded-Proto"])
	standard := forwarded(r.Header["Forwarded"])
	return listed != protoOther && standard != protoOther &&
		(r.TLS != nil || listed == protoHTTPS || standard == protoHTTPS)
}

// A proto is the protocol of a request according to a header.
type proto int

const (
	protoUnsaid proto = iota
	protoHTTPS
	protoOther // another protocol, or a header that is malformed
)

// forwardedProto reads the lines of X-Forwarded-Proto. All hops in them must be https: a
// sender that talks HTTP to the proxy can prepend "https" but cannot remove what the proxy
// appends.
func forwardedProto(lines []string) proto {
	said := protoUnsaid
	for _, line := range lines {
		for value := range strings.SplitSeq(line, ",") {
			if !strings.EqualFold(strings.TrimSpace(value), "https") {
				return protoOther
			}
			said = protoHTTPS
		}
	}
	return said
}

// fromAny reports whether the peer is in one of the ranges. A peer on a unix socket is a
// process of this machine, so it counts as 127.0.0.1 and as ::1.
func fromAny(r *http.Request, ranges []netip.Prefix) bool {
	if onUnixSocket(r) {
		return contains(ranges, netip.AddrFrom4([4]byte{127, 0, 0, 1})) ||
			contains(ranges, netip.IPv6Loopback())
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	// A dual-stack listener shows IPv4 peers as ::ffff:192.0.2.1.
	return contains(ranges, peer.Addr().Unmap().WithZone(""))
}

// onUnixSocket reports whether the peer is on a unix socket. It looks at the server's
// address, since RemoteAddr alone proves nothing. The RemoteAddr of a peer without an
// address is "" or "@", and else a path; any other value was set by middleware and names
// another peer.
func onUnixSocket(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil || local.Network() != "unix" {
		return false
	}
	return r.RemoteAddr == "" || r.RemoteAddr[0] == '@' || r.RemoteAddr[0] == '/'
}

func contains(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// forwarded reads the lines of Forwarded (RFC 7239): elements separated by commas, one for
// each hop, of parameters separated by semicolons. The last element is that of the nearest
// proxy and must have proto=https. The elements of earlier hops may have no proto, but not
// another one.
func forwarded(lines []string) proto {
	last := protoUnsaid
	for _, line := range lines {
		for line != "" {
			element, rest, ok := forwardedElement(line)
			if !ok || element.proto == protoOther {
				return protoOther
			}
			if !element.empty { // a list may have empty elements: RFC 9110, section 5.6.1
				last = element.proto
			}
			line = rest
		}
	}
	return last
}

// forwardedHop is one element of Forwarded.
type forwardedHop struct {
	empty bool
	proto proto
}

// forwardedElement cuts the first element off a line. ok is false if it is malformed.
func forwardedElement(line string) (hop forwardedHop, rest string, ok bool) {
	hop.empty = true
	for rest = line; ; {
		var name, value string
		if name, value, rest, ok = forwardedPair(rest); !ok {
			return hop, "", false
		}
		if name != "" {
			hop.empty = false
		}
		if strings.EqualFold(name, "proto") {
			if hop.proto != protoUnsaid {
				return hop, "", false // a parameter occurs once: RFC 7239, section 4
			}
			hop.proto = protoOther
			if strings.EqualFold(value, "https") {
				hop.proto = protoHTTPS
			}
		}
		if rest == "" {
			return hop, "", true
		}
		end := rest[0] == ','
		rest = rest[1:]
		if end {
			return hop, rest, true
		}
	}
}

// forwardedPair cuts a parameter off: name, "=" and value. The rest is empty or begins with
// a separator. If there is no parameter before the separator, the name is empty.
func forwardedPair(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if name, rest = token(s); name == "" {
		return "", "", rest, rest == "" || isForwardedSeparator(rest[0])
	}
	if rest == "" || rest[0] != '=' {
		return "", "", "", false
	}
	if rest = rest[1:]; rest != "" && rest[0] == '"' {
		value, rest, ok = quoted(rest[1:])
	} else {
		value, rest = plainValue(rest)
		ok = value != ""
	}
	rest = strings.TrimLeft(rest, " \t")
	return name, value, rest, ok && (rest == "" || isForwardedSeparator(rest[0]))
}

func isForwardedSeparator(c byte) bool { return c == ',' || c == ';' }

// quoted cuts a quoted value off, after its opening quote.
func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// plainValue cuts a value without quotes off. The RFC allows only a token, but some proxies
// write addresses with ports without quotes.
func plainValue(s string) (head, rest string) {
	ends := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(",;\"\\", c) }
	if i := strings.IndexFunc(s, ends); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// token cuts a token off (RFC 9110, section 5.6.2), which may be empty.
func token(s string) (head, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
