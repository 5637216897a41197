package receiver

import "strings"

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
