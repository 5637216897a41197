package python

import "github.com/mixpeek/webhooks-go/template/internal/escaping"

// A State is what one render has at hand whatever it runs: its budget, the names that it knows, and
// what it writes for. It is used by one goroutine and thrown away.
type State struct {
	Budget
	Names      *Names
	Format     escaping.Format
	Escaper    func(b []byte, s string) []byte // of the format
	JSON       bool                            // the result is JSON
	Autoescape bool
	Scratch    []byte          // see TakeScratch
	converted  map[foreign]any // what normal has made of the data's lists and maps of other Go types
	Kept       map[string]any  // what functions keep for the rest of the render
}

// TakeScratch returns an empty buffer to build text in. It is given back by assigning the grown
// buffer to Scratch; who asks meanwhile gets none.
func (st *State) TakeScratch() []byte {
	b := st.Scratch[:0]
	st.Scratch = nil
	return b
}
