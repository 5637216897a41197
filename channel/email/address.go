package email

import (
	"errors"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// A mailbox is a mail address in the form in which it is sent: the domain in
// A-labels and lower case, the local part in quotes where RFC 5321, section
// 4.1.2, wants them. So a mailbox that is written in two ways is one.
type mailbox struct {
	name    string // for people; may be empty
	address string // local@domain
}

// mailAddressRule is what a problem says of a value that is none.
const mailAddressRule = "must be a mail address"

// readAddresses reads a list of mail addresses.
func readAddresses(r *channelkit.ConfigReader, name string) []mailbox {
	var list []mailbox
	r.Texts(name, func(field, s string) {
		a, err := parseMailbox(s)
		if err != nil {
			r.Problems.Add(field, mailAddressRule)
			return
		}
		list = append(list, a)
	})
	return list
}

// errNoMailbox says that a text is no address that mail is sent to.
var errNoMailbox = errors.New("not an address that mail is sent to")

// parseMailbox parses "local@domain" or "Name <local@domain>". It refuses
// what could end a command or a header, in quotes as well, because some servers
// look for the first ">", and address literals, which no subscriber needs.
func parseMailbox(s string) (mailbox, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return mailbox{}, err
	}
	at := strings.LastIndexByte(a.Address, '@')
	if at < 1 {
		return mailbox{}, errNoMailbox
	}
	local := a.Address[:at]
	if strings.ContainsAny(local, " <>") || strings.ContainsFunc(local, isNotShown) ||
		strings.ContainsRune(local, utf8.RuneError) {
		return mailbox{}, errNoMailbox
	}
	domain, err := asciiDomain(a.Address[at+1:])
	if err != nil {
		return mailbox{}, err
	}
	m := mailbox{name: printable.Line(a.Name, maxName), address: quoteLocal(local) + "@" + domain}
	if len(m.address) > 254 { // RFC 5321, section 4.5.3.1.3, without the angle brackets
		return mailbox{}, errNoMailbox
	}
	return m, nil
}

// maxName bounds the name before an address, in bytes.
const maxName = 200

func isNotShown(r rune) bool { return !unicode.IsPrint(r) }

// quoteLocal puts a local part into quotes unless it is a dot-string.
func quoteLocal(local string) string {
	dotted := true
	for word := range strings.SplitSeq(local, ".") {
		dotted = dotted && word != "" && !strings.ContainsAny(word, "\"\\(),:;<>@[] \t")
	}
	if dotted {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

// asciiDomain returns a domain in lower case, and in A-labels if it holds
// letters outside ASCII (RFC 5891), which every server takes.
func asciiDomain(domain string) (string, error) {
	// Each character becomes a byte of the name or more. The time that A-labels take grows with the
	// square of their length.
	if len(domain) > 253*utf8.UTFMax {
		return "", errNoMailbox
	}
	if !isASCII(domain) {
		var err error
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", errors.New("not a domain name")
		}
	}
	if strings.HasPrefix(domain, "[") || !channelkit.IsHostname(domain) {
		return "", errNoMailbox
	}
	return strings.ToLower(domain), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// needsSMTPUTF8 reports whether the address can only be sent to a server that
// takes addresses outside ASCII (RFC 6531).
func (m mailbox) needsSMTPUTF8() bool { return !isASCII(m.address) }

// domain is the part behind the @.
func (m mailbox) domain() string { return m.address[strings.LastIndexByte(m.address, '@')+1:] }

// only returns those whose address is among the given ones.
func only(list []mailbox, addresses []string) []mailbox {
	return slices.DeleteFunc(slices.Clone(list),
		func(m mailbox) bool { return !slices.Contains(addresses, m.address) })
}

// checkHello returns the name for EHLO that is configured, in the form in which
// it is sent, and false if no server need take it: it must be a fully-qualified
// domain name, or an address in brackets (RFC 5321, sections 4.1.1.1 and 4.1.3).
func checkHello(name string) (string, bool) {
	if literal, ok := strings.CutPrefix(name, "["); ok {
		text, closed := strings.CutSuffix(literal, "]")
		tag, six := cutPrefixFold(text, "IPv6:")
		addr, err := netip.ParseAddr(tag)
		return name, closed && err == nil && addr.Zone() == "" && addr.Is6() == six
	}
	domain, err := asciiDomain(name)
	return domain, err == nil && isQualified(domain)
}

// isQualified reports whether a host has been given a name that others may know:
// of two labels, of letters, digits and hyphens, and not one of the names that
// each host has.
func isQualified(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return r != '-' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
			}) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && last != "localdomain" && last != "localhost" &&
		strings.Trim(last, "0123456789") != ""
}

// cutPrefixFold is strings.CutPrefix, whatever the case.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// addressLiteral is the name for EHLO of a host that has no better one: the
// address that the connection comes from (RFC 5321, section 4.1.4).
func addressLiteral(local string) string {
	ap, err := netip.ParseAddrPort(local)
	if err != nil {
		return "[127.0.0.1]" // no network: a pipe
	}
	addr := ap.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return "[" + addr.String() + "]"
	}
	return "[IPv6:" + addr.String() + "]"
}
