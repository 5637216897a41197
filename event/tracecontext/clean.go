package tracecontext

import (
	"slices"
	"strings"
)

// The limits of the W3C. An event never fails for a Context that goes beyond: it loses what is too
// much.
const (
	maxStateMembers = 32
	maxStateMember  = 256 // of a key, and of a value
	maxState        = 512 // what has to be passed on at least
	largeState      = 128 // members that are longer are left out first

	maxBaggageMembers = 64
	maxBaggage        = 8192
)

// Clean returns c without what is invalid or too long:
//
//   - an invalid Parent is left out together with the State; that of a later version of the
//     standard becomes one of version 00;
//   - an invalid State is left out. Of one that is longer than 512 bytes, members of more than 128
//     bytes are left out, and then the last ones, until it fits;
//   - invalid members of the Baggage are left out, and those beyond 64 members or 8192 bytes.
func (c Context) Clean() Context {
	c.Parent = cleanParent(c.Parent)
	if c.Parent == "" {
		c.State = ""
	}
	c.State = cleanState(c.State)
	c.Baggage = cleanBaggage(c.Baggage)
	return c
}

// cleanParent returns a traceparent of version 00, or "".
func cleanParent(s string) string {
	const size = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(s) < size || !isHex(s[:2]) || s[2] != '-' || s[:2] == "ff" ||
		!isID(s[3:35]) || s[35] != '-' || !isID(s[36:52]) || s[52] != '-' || !isHex(s[53:55]) {
		return ""
	}
	switch {
	case s[:2] == "00" && len(s) == size:
		return s
	case s[:2] == "00", len(s) > size && s[size] != '-':
		return ""
	}
	// Of a later version only the ids and the first flag are known.
	sampled := "00"
	if strings.IndexByte("13579bdf", s[54]) >= 0 {
		sampled = "01"
	}
	return "00" + s[2:53] + sampled
}

// isID reports whether s is in hexadecimal and not zero.
func isID(s string) bool { return isHex(s) && strings.Trim(s, "0") != "" }

func isHex(s string) bool {
	return consistsOf(s, func(c byte) bool { return digit(c) || 'a' <= c && c <= 'f' })
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func upper(c byte) bool { return 'A' <= c && c <= 'Z' }

func consistsOf(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

// trim removes optional whitespace (RFC 9110, section 5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }

// cleanState returns a tracestate of at most maxState bytes, or "" if it is invalid.
func cleanState(s string) string {
	var keys [maxStateMembers]string
	n := 0
	for member := range strings.SplitSeq(s, ",") {
		if member = trim(member); member == "" {
			continue
		}
		key, value, found := strings.Cut(member, "=")
		if !found || n == maxStateMembers || !isStateKey(key) || !isStateValue(value) ||
			slices.Contains(keys[:n], key) {
			return ""
		}
		keys[n] = key
		n++
	}
	switch s = trim(s); {
	case n == 0:
		return ""
	case len(s) <= maxState:
		return s
	}
	members := make([]string, 0, n)
	for member := range strings.SplitSeq(s, ",") {
		if member = trim(member); member != "" {
			members = append(members, member)
		}
	}
	if lengthOf(members) > maxState {
		members = slices.DeleteFunc(members, func(m string) bool { return len(m) > largeState })
	}
	for lengthOf(members) > maxState {
		members = members[:len(members)-1]
	}
	return strings.Join(members, ",")
}

// lengthOf is the length of the members with the commas between them.
func lengthOf(members []string) int {
	n := max(len(members)-1, 0)
	for _, m := range members {
		n += len(m)
	}
	return n
}

func isStateKey(s string) bool {
	return s != "" && len(s) <= maxStateMember && (lower(s[0]) || digit(s[0])) &&
		consistsOf(s, func(c byte) bool {
			return lower(c) || digit(c) || strings.IndexByte("_-*/@", c) >= 0
		})
}

func isStateValue(s string) bool {
	return s != "" && len(s) <= maxStateMember &&
		consistsOf(s, func(c byte) bool { return ' ' <= c && c <= '~' && c != ',' && c != '=' })
}

// cleanBaggage returns the valid members of a baggage that fit.
func cleanBaggage(s string) string {
	if s = trim(s); s == "" {
		return ""
	}
	n, valid := 0, len(s) <= maxBaggage
	for member := range strings.SplitSeq(s, ",") {
		n++
		if !isBaggageMember(member) || n > maxBaggageMembers {
			valid = false
			break
		}
	}
	if valid {
		return s
	}
	var kept strings.Builder
	n = 0
	for member := range strings.SplitSeq(s, ",") {
		if n == maxBaggageMembers {
			break
		}
		member = trim(member)
		if !isBaggageMember(member) || kept.Len()+len(member)+1 > maxBaggage {
			continue
		}
		if n > 0 {
			kept.WriteByte(',')
		}
		kept.WriteString(member)
		n++
	}
	return kept.String()
}

// isBaggageMember reports whether s is a key with a value, and properties after semicolons.
func isBaggageMember(s string) bool {
	first := true
	for part := range strings.SplitSeq(s, ";") {
		key, value, found := strings.Cut(part, "=")
		if !isToken(trim(key)) || first && !found || !consistsOf(trim(value), isBaggageOctet) {
			return false
		}
		first = false
	}
	return true
}

func isBaggageOctet(c byte) bool {
	return '!' <= c && c <= '~' && strings.IndexByte("\",;\\", c) < 0
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && consistsOf(s, func(c byte) bool {
		return lower(c) || upper(c) || digit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	})
}
