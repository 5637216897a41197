package channel

// A Hoster is a Channel that knows which host its attempts go to. Channels of
// many subscriptions, of many organizations, may go to one: a caller bounds what
// a host that hangs can take of it. A Channel that wraps another one passes its
// Host on, because without one there is no such bound.
type Hoster interface {
	// Host returns the host's name or address in lower case, without a port, or
	// "" if it is not known. It is always the same for one Channel, and does no
	// I/O.
	Host() string
}

// HostOf returns the host that the channel's attempts go to, or "" if it does not
// say.
func HostOf(c Channel) string {
	if h, ok := c.(Hoster); ok {
		return h.Host()
	}
	return ""
}
