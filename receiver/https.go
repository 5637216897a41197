package receiver

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// secure reports whether the request came over HTTPS, as far as can be known.
// It fails closed: what a header says counts only from a trusted peer, and
// where both X-Forwarded-Proto and Forwarded speak of the protocol, both have
// to say https.
func secure(r *http.Request, trusted []netip.Prefix) bool {
	if r.TLS != nil {
		return true
	}
	if len(trusted) == 0 || !fromAny(r, trusted) {
		return false
	}
	listed, standard := forwardedProto(r.Header["X-Forwarded-Proto"]), forwarded(r.Header["Forwarded"])
	return listed != protoOther && standard != protoOther && (listed == protoHTTPS || standard == protoHTTPS)
}

// A proto is what a header says about how a request came.
type proto int

const (
	protoUnsaid proto = iota
	protoHTTPS
	protoOther // another protocol, or what cannot be understood
)

// forwardedProto reads the lines of X-Forwarded-Proto: every hop that they list
// has to say https. A sender that talks to the proxy in the clear can prepend
// "https" but cannot take away what the proxy appends.
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

// fromAny reports whether the peer is in one of the ranges. A peer on a unix
// socket is a process of this machine, as one on a loopback address is, and
// counts as 127.0.0.1 and as ::1.
func fromAny(r *http.Request, ranges []netip.Prefix) bool {
	if onUnixSocket(r) {
		return contains(ranges, netip.AddrFrom4([4]byte{127, 0, 0, 1})) || contains(ranges, netip.IPv6Loopback())
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	// A dual-stack listener shows IPv4 peers as ::ffff:192.0.2.1.
	return contains(ranges, peer.Addr().Unmap().WithZone(""))
}

// onUnixSocket asks the server, since an empty or odd RemoteAddr proves nothing.
// A peer that has bound no address shows as "" or "@", one that has as a path.
// Anything else was written by middleware, and is about another peer.
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

// forwarded reads the lines of Forwarded (RFC 7239): elements separated by
// commas, one for each hop, of parameters separated by semicolons. The last one
// is of the proxy that this process talks to, and it has to say proto=https; the
// others are of the hops before it, which may say nothing, but nothing else either.
func forwarded(lines []string) proto {
	last := protoUnsaid
	for _, line := range lines {
		for line != "" {
			element, rest, ok := forwardedElement(line)
			if !ok || element.proto == protoOther {
				return protoOther
			}
			if !element.empty { // a list may have empty members: RFC 9110, section 5.6.1
				last = element.proto
			}
			line = rest
		}
	}
	return last
}

// forwardedHop is one element of Forwarded, as far as it matters here.
type forwardedHop struct {
	empty bool
	proto proto
}

// forwardedElement cuts the first element off a line. It is not ok if the element
// is not of its form.
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
				return hop, "", false // a parameter stands once: RFC 7239, section 4
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

// forwardedPair cuts a parameter off: name, "=", and a value. What is left is empty
// or begins with the separator. Where there is nothing, the name is empty.
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

// quoted reads what follows an opening quote.
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

// plainValue cuts a value without quotes off. It is meant to be a token; proxies
// write addresses with ports like that, which are none.
func plainValue(s string) (head, rest string) {
	if i := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(",;\"\\", c) }); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// token cuts a token off, which may be empty: RFC 9110, section 5.6.2.
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
