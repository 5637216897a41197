package fairqueue

// fifo is a linked list whose nodes hold their own links, so that it allocates nothing. Popping the
// first node and pushing it again serves all of them round-robin. A node is in one fifo at a time.
// The zero value is empty.
type fifo[N fifoNode[N]] struct{ head, tail N }

// fifoNode is a pointer to what can be in a fifo.
type fifoNode[N any] interface {
	comparable
	nextInFIFO() N
	setNextInFIFO(next N)
}

func (f *fifo[N]) empty() bool {
	var none N
	return f.head == none
}

func (f *fifo[N]) push(n N) {
	var none N
	n.setNextInFIFO(none)
	if f.tail == none {
		f.head = n
	} else {
		f.tail.setNextInFIFO(n)
	}
	f.tail = n
}

// pop takes the first node out. The fifo must not be empty.
func (f *fifo[N]) pop() N {
	var none N
	n := f.head
	f.head = n.nextInFIFO()
	if f.head == none {
		f.tail = none
	}
	n.setNextInFIFO(none)
	return n
}
