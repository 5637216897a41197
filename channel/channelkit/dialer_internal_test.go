package channelkit

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddressGuard(t *testing.T) {
	t.Parallel()
	tests := []struct{ addr, kind string }{
		{"8.8.8.8", ""},
		{"1.1.1.1", ""},
		{"172.15.255.255", ""},
		{"172.32.0.0", ""},
		{"100.63.255.255", ""},
		{"100.128.0.0", ""},
		{"192.0.1.0", ""},
		{"198.17.255.255", ""},
		{"198.20.0.0", ""},
		{"223.255.255.255", ""},
		{"168.63.129.17", ""},
		{"2606:4700:4700::1111", ""},
		{"2001:4860:4860::8888", ""},
		{"2a00:1450:4001:82f::200e", ""},

		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"10.0.0.1", "private network"},
		{"10.255.255.255", "private network"},
		{"100.64.0.1", "carrier-grade NAT"},
		{"100.100.100.200", "carrier-grade NAT"}, // Alibaba's metadata
		{"127.0.0.1", "loopback"},
		{"127.255.0.9", "loopback"},
		{"168.63.129.16", "cloud metadata"},
		{"169.254.169.254", "link-local"},
		{"172.16.0.1", "private network"},
		{"172.31.255.255", "private network"},
		{"192.0.0.192", "special-purpose"}, // Oracle's metadata
		{"192.0.2.1", "documentation"},
		{"192.88.99.1", "6to4 relay"},
		{"192.168.1.1", "private network"},
		{"198.18.0.1", "benchmark"},
		{"198.19.255.255", "benchmark"},
		{"198.51.100.7", "documentation"},
		{"203.0.113.7", "documentation"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.255", "multicast"},
		{"240.0.0.1", "reserved"},
		{"255.255.255.255", "reserved"},

		{"::", "unspecified"},
		{"::1", "loopback"},
		{"::7f00:1", "IPv4-compatible"},
		{"::8.8.8.8", "IPv4-compatible"},
		{"::ffff:8.8.8.8", ""},
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:169.254.169.254", "link-local"},
		{"::ffff:0:127.0.0.1", "reserved"}, // SIIT
		{"64:ff9b::8.8.8.8", ""},
		{"64:ff9b::10.0.0.1", "private network"},
		{"64:ff9b::169.254.169.254", "link-local"},
		{"64:ff9b:1::8.8.8.8", "local NAT64"},
		{"100::1", "reserved"}, // discard
		{"2001::1", "Teredo"},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"},
		{"2001:2::1", "special-purpose"},
		{"2001:10::1", "special-purpose"},
		{"2001:20::1", "special-purpose"},
		{"2001:db8::1", "documentation"},
		{"2002:7f00:1::", "6to4"},
		{"2002:808:808::1", "6to4"},
		{"3fff::1", "documentation"},
		{"5f00::1", "reserved"},
		{"fc00::1", "private network"},
		{"fd00:ec2::254", "private network"}, // Amazon's metadata
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"fec0::1", "site-local"},
		{"ff02::1", "multicast"},
	}
	guard := &addressGuard{}
	all := &addressGuard{allowAll: true}
	for _, tt := range tests {
		addr := netip.MustParseAddr(tt.addr)
		require.NoError(t, all.check(addr), tt.addr)
		err := guard.check(addr)
		if tt.kind == "" {
			assert.NoError(t, err, tt.addr)
			continue
		}
		var refused *AddressError
		if assert.ErrorAs(t, err, &refused, tt.addr) {
			assert.Equal(t, tt.kind, refused.Kind, tt.addr)
			assert.NotContains(t, err.Error(), tt.addr)
		}
	}
}

func TestAddressGuardAllowNets(t *testing.T) {
	t.Parallel()
	guard := &addressGuard{allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("fd12::/16"),
	}}
	for _, ok := range []string{"10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1",
		"8.8.8.8"} {
		assert.NoError(t, guard.check(netip.MustParseAddr(ok)), ok)
	}
	for _, bad := range []string{"10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1", "fd13::1", "::1",
		"169.254.169.254"} {
		assert.Error(t, guard.check(netip.MustParseAddr(bad)), bad)
	}
}

// The dialer's hook refuses what it cannot read rather than letting it pass.
func TestAddressGuardControl(t *testing.T) {
	t.Parallel()
	guard := &addressGuard{}
	assert.NoError(t, guard.control(t.Context(), "tcp4", "8.8.8.8:443", nil))
	for _, bad := range []string{"127.0.0.1:443", "[::1]:443", "[fe80::1%lo]:443", "", "localhost:443",
		"8.8.8.8", "@socket"} {
		var refused *AddressError
		assert.ErrorAs(t, guard.control(t.Context(), "tcp", bad, nil), &refused, "%q", bad)
	}
}
