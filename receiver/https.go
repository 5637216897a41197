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
