package sms

import (
	"strings"
	"unicode/utf8"
)

// Segments says how a text is sent as SMS: as how many messages, of how many units in all, and in
// which alphabet.
type Segments struct {
	Count int  // messages; zero for an empty text
	Units int  // septets of GSM-7, or 16-bit units of UCS-2
	UCS2  bool // a character is not in GSM-7: a message then holds 70 units and not 160, or 67 and not 153
}

// The units of one message, and of each of several, which carry a header that
// says how they belong together (3GPP TS 23.040).
const (
	gsmSingle, gsmPart   = 160, 153
	ucs2Single, ucs2Part = 70, 67
)

// gsmBasic and gsmExtended are the characters of the GSM 7-bit default alphabet
// (3GPP TS 23.038). Those of the extension take two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// CountSegments returns the segments of a text.
func CountSegments(text string) Segments {
	var s Segments
	s.UCS2 = !isGSM(text)
	single, part := gsmSingle, gsmPart
	if s.UCS2 {
		single, part = ucs2Single, ucs2Part
	}
	// A character of two units is not cut in two: it goes to the next part as a
	// whole, so parts cannot be had by division alone.
	used := 0
	parts := 1
	for _, r := range text {
		n := units(r, s.UCS2)
		s.Units += n
		if used+n > part {
			parts++
			used = 0
		}
		used += n
	}
	switch {
	case s.Units == 0:
	case s.Units <= single:
		s.Count = 1
	default:
		s.Count = parts
	}
	return s
}

// isGSM reports whether GSM-7 has all characters of a text.
func isGSM(text string) bool {
	for _, r := range text {
		if !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtended, r) {
			return false
		}
	}
	return true
}

// units is what a character takes.
func units(r rune, ucs2 bool) int {
	switch {
	case ucs2 && r > 0xFFFF:
		return 2 // a surrogate pair
	case !ucs2 && strings.ContainsRune(gsmExtended, r):
		return 2
	}
	return 1
}

// truncateSegments cuts a text so that it travels in at most limit segments,
// with three dots at the end that say so.
func truncateSegments(text string, limit int) string {
	if CountSegments(text).Count <= limit {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	// The alphabet of the whole is that of a part at worst, so the cut is made
	// by it; what is left may then fit better still.
	ucs2 := !isGSM(text)
	budget := gsmSingle
	switch {
	case ucs2 && limit == 1:
		budget = ucs2Single
	case ucs2:
		budget = ucs2Part * limit
	case limit > 1:
		budget = gsmPart * limit
	}
	const dots = "..."
	budget -= len(dots) + limit // a part may end one unit early
	end, used := 0, 0
	for i, r := range text {
		n := units(r, ucs2)
		if used+n > budget {
			break
		}
		used += n
		end = i + utf8.RuneLen(r)
	}
	return strings.TrimRight(text[:end], " \n") + dots
}
