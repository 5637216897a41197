package channelkit

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// An AddressError says that a host has an address that this process must not connect to. errors.As
// finds it in a [*channel.Error] of ClassRefusedAddress. Its text names the kind of network but not
// the address, so that a subscriber who reads the history of deliveries does not learn how names
// resolve inside the service's network.
type AddressError struct {
	Addr netip.Addr // the address, which the text leaves out
	Kind string     // the kind of network: "loopback", "private network", ...
}

// Error names the kind of network.
func (e *AddressError) Error() string { return e.Kind + " addresses are not connected to" }

// An addressGuard decides which addresses may be connected to.
type addressGuard struct {
	allowAll bool
	allow    []netip.Prefix
}

// refusedNets are the special-purpose networks of RFC 6890 and the IANA
// registries behind it, and the public addresses under which clouds serve
// credentials to their machines. IPv6 outside 2000::/3 is refused as a whole.
var refusedNets = []struct {
	net  netip.Prefix
	kind string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata"}, // Azure
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},       // most metadata services
	{netip.MustParsePrefix("172.16.0.0/12"), "private network"},
	{netip.MustParsePrefix("192.0.0.0/24"), "special-purpose"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private network"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // with the broadcast address
	{netip.MustParsePrefix("2001::/32"), "Teredo"},
	{netip.MustParsePrefix("2001::/23"), "special-purpose"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
}

// otherIPv6 names what lies outside 2000::/3, for the message only.
var otherIPv6 = []struct {
	net  netip.Prefix
	kind string
}{
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64"},
	{netip.MustParsePrefix("fc00::/7"), "private network"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
)

// check returns nil or an *AddressError.
func (g *addressGuard) check(addr netip.Addr) error {
	if g.allowAll {
		return nil
	}
	addr = addr.WithZone("").Unmap()
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if nat64.Contains(addr) {
		// What an IPv6-only network makes of an IPv4 host: as good as the
		// address inside (RFC 6052).
		b := addr.As16()
		return g.check(netip.AddrFrom4([4]byte(b[12:])))
	}
	for _, r := range refusedNets {
		if r.net.Contains(addr) {
			return &AddressError{Addr: addr, Kind: r.kind}
		}
	}
	if addr.Is4() || globalIPv6.Contains(addr) {
		return nil
	}
	for _, r := range otherIPv6 {
		if r.net.Contains(addr) {
			return &AddressError{Addr: addr, Kind: r.kind}
		}
	}
	return &AddressError{Addr: addr, Kind: "reserved"}
}

// control is a net.Dialer's ControlContext. It runs between the resolution of
// the name and the connection, on the very address that is connected to, so a
// name that resolves differently the second time gains nothing.
func (g *addressGuard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &AddressError{Kind: "unreadable"}
	}
	return g.check(ap.Addr())
}

// dialTimeout bounds one connection. It is apart from the attempt's own time
// because the transport lets a dial go on that another request may use.
const dialTimeout = 10 * time.Second

func (g *addressGuard) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: dialTimeout}
	if !g.allowAll {
		d.ControlContext = g.control
	}
	return d
}
