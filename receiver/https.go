package receiver

import (
	"net/http"
	"net/netip"
	"strings"
)

// secure reports whether the request came over HTTPS, as far as can be known.
// It fails closed: X-Forwarded-Proto counts only from a peer in the trusted
// ranges, and only if every hop that it lists says https. A sender that talks
// to the proxy in the clear can prepend "https" but cannot take away what the
// proxy appends.
func secure(r *http.Request, trusted []netip.Prefix) bool {
	if r.TLS != nil {
		return true
	}
	if len(trusted) == 0 || !fromAny(r.RemoteAddr, trusted) {
		return false
	}
	lines := r.Header["X-Forwarded-Proto"]
	for _, line := range lines {
		for proto := range strings.SplitSeq(line, ",") {
			if !strings.EqualFold(strings.TrimSpace(proto), "https") {
				return false
			}
		}
	}
	return len(lines) > 0
}

func fromAny(remoteAddr string, ranges []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return false
	}
	// A dual-stack listener shows IPv4 peers as ::ffff:192.0.2.1.
	addr := peer.Addr().Unmap().WithZone("")
	for _, p := range ranges {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
