package template

import (
	"encoding/json"
	"slices"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// A Slip is a variable of a template whose name is probably misspelt.
type Slip struct {
	Name         string // the name as it is written
	Meant        string // the variable of [Data] that was probably meant
	Leaf         string // the leaf of an object template, as in [Error]; otherwise empty
	Line, Column int    // the first place where the name is read, from 1
}

// Misspelt returns the variables of a text template that are probably misspelt: [Data] has no
// variable of that name, but one whose name is one mistake away, such as event_id for evnt_id. Such
// a variable would render as nothing. Misspelt does not return variables that the template sets,
// calls, or tests with "is defined" or default, nor any other unknown name, because envelopes may
// have fields of their own. The source must compile.
func Misspelt(source string) []Slip {
	segments, err := syntax.Scan(source)
	if err != nil {
		return nil
	}
	var names nameUse
	for _, s := range segments {
		if s.Kind != syntax.SegmentText {
			names.tag(s)
		}
	}
	var slips []Slip
	for _, read := range names.read {
		known := func(s Slip) bool { return s.Name == read.Text }
		if meant := nearest(read.Text); meant != "" && !slices.Contains(names.settled, read.Text) &&
			!slices.ContainsFunc(slips, known) {
			slips = append(slips, Slip{Name: read.Text, Meant: meant, Line: read.Pos.Line,
				Column: read.Pos.Col})
		}
	}
	return slips
}

// MisspeltObject is [Misspelt] for an object template, with Leaf set: a name that several leaves
// misspell is in the list for each of them.
func MisspeltObject(raw json.RawMessage) []Slip {
	var slips []Slip
	eval.EachLeaf(raw, func(source string, pointer func() string) {
		for _, slip := range Misspelt(source) {
			slip.Leaf = pointer()
			slips = append(slips, slip)
		}
	})
	return slips
}

// variables are those of Data that an event of the published envelope may have.
func variables() []string {
	return []string{
		"event_id", "event_type", "occurred_at", "namespace", "namespace_id", "collection", "actor",
		"version", "index_signature",
		"subject", "metadata", "cache_scope_to_invalidate", "cache_scope", "event",
	}
}

// nearest returns the variable whose name is one mistake away, and nothing for a variable itself.
// With two, event_kind would be event_id.
func nearest(name string) string {
	best := ""
	for _, v := range variables() {
		switch {
		case v == name:
			return ""
		case oneMistake(name, v):
			best = v
		}
	}
	return best
}

// oneMistake reports whether one letter is changed, added or left out, or two neighbours are
// swapped.
func oneMistake(a, b string) bool {
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	a, b = a[start:], b[start:]
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return swapped || max(len(a), len(b)) == 1
}

// nameUse is what a template does with names, wherever: a name that is set in one place is not
// missed in another.
type nameUse struct {
	read    []syntax.Token
	settled []string // set, called, or asked after
}

// tag notes the names in a tag.
func (n *nameUse) tag(s syntax.Segment) {
	inside, _ := syntax.Tokens(s.Text, s.Pos)
	isOp := func(i int, op string) bool {
		return i >= 0 && i < len(inside) && inside[i].Is(syntax.TokenOperator, op)
	}
	isName := func(i int, names ...string) bool {
		return i >= 0 && i < len(inside) && inside[i].Kind == syntax.TokenName &&
			slices.Contains(names, inside[i].Text)
	}
	setting := s.Kind == syntax.SegmentTag &&
		slices.Contains([]string{"set", "for", "macro", "call", "block", "filter"}, s.Name)
	for i, t := range inside {
		switch {
		case setting && (isName(i, "in") && s.Name == "for" || isOp(i, "=") && s.Name == "set" ||
			isOp(i, ")") && s.Name == "call"):
			setting = false // what follows is read
		case t.Kind != syntax.TokenName, isOp(i-1, "."), isOp(i-1, "|"), isName(i-1, "is"),
			isName(i-1, "not") && isName(i-2, "is"):
		case setting, isOp(i+1, "="), isOp(i+1, "("), isOp(i+1, "|") && isName(i+2, "default", "d"),
			isName(i+1, "is") && isName(i+2, "defined", "undefined"),
			isName(i+1, "is") && isName(i+2, "not") && isName(i+3, "defined", "undefined"):
			n.settled = append(n.settled, t.Text)
		default:
			n.read = append(n.read, t)
		}
	}
}
