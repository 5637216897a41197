package sqlstore

import "strings"

// batch is a statement that runs over many rows. Where it says {rows}, the
// dialect puts its way of writing rows with these columns; in an INSERT that
// stands in place of VALUES, elsewhere in a WITH.
type batch struct {
	before, after string
	columns       []column
	// texts has the statement for a number of rows, where the dialect needs one
	// for each number.
	texts map[int]string
}

type column struct {
	name string
	kind kind
}

type kind int

const (
	integer kind = iota
	text
	binary
)

func (x expander) batch(statement string, columns ...column) *batch {
	before, after, _ := strings.Cut(x.sql(statement), "{rows}")
	b := &batch{before: before, after: after, columns: columns, texts: make(map[int]string)}
	for _, n := range chunkSizes {
		b.texts[n] = before + x.dialect.values(columns, n) + after
	}
	return b
}
