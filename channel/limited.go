package channel

// A Limited is a Channel that can make only so many attempts at a time, because
// all channels to its host share something scarce, as the connections to a mail
// server. A caller begins no more than that many of them to one Host: what waits
// for its turn there is no attempt yet, takes none of the caller's slots, and
// says nothing about the health of an endpoint. A Limited is a [Hoster], and a
// Channel that wraps one passes both on.
//
// The limit also bounds what the attempts can take of the caller, and how long they
// last is configured by the operator and not by a subscriber. So a caller does not
// cut them short: a mail that is cut off before the server has answered may be
// sent twice.
type Limited interface {
	Hoster

	// MaxInFlight returns how many attempts can be under way at a time, at least
	// 1. It is always the same for one Channel.
	MaxInFlight() int
}

// LimitOf returns how many attempts of the channel, and of the others to its
// host, can be under way at a time, or 0 if it does not say.
func LimitOf(c Channel) int {
	if l, ok := c.(Limited); ok && l.Host() != "" {
		return max(l.MaxInFlight(), 1)
	}
	return 0
}
