package template

import "github.com/mixpeek/webhooks-go/template/internal/escaping"

// A state is what one render has at hand whatever it runs: its budget, the names that it knows, and what it writes
// for. It is used by one goroutine and thrown away.
type state struct {
	budget
	names      *names
	format     escaping.Format
	escaper    func(b []byte, s string) []byte // of the format
	json       bool                            // the result is JSON
	autoescape bool
	scratch    []byte          // see takeScratch
	converted  map[foreign]any // what normal has made of the data's lists and maps of other Go types
	kept       map[string]any  // what a function keeps for the rest of the render, under a key of its own
}

// takeScratch returns an empty buffer to build text in. It is given back by assigning the grown
// buffer to scratch; who asks meanwhile gets none.
func (st *state) takeScratch() []byte {
	b := st.scratch[:0]
	st.scratch = nil
	return b
}
