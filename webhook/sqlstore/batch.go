package sqlstore

// batch is a statement that runs over many rows. Where it says {rows}, the
// dialect puts its way of writing rows with these columns, for use in a WITH.
// No parameter comes before them.
type batch struct {
	statement string
	columns   []column
	// texts has the finished statement for numbers of rows.
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
	b := &batch{statement: x.sql(statement), columns: columns, texts: make(map[int]string)}
	x.dialect.prepareBatch(b)
	return b
}
