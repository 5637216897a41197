package fairqueue

// SetRecord makes it as if the endpoint had been answering so as to have the score and the window.
func (q *Queue[T]) SetRecord(d Destination, score, window int) {
	e := q.activate(d)
	e.score, e.window = score, window
	e.updateSpeed()
}

// Score returns the score of the endpoint's record.
func (q *Queue[T]) Score(d Destination) int { return q.activate(d).score }

// BytesOf returns the size of the payloads that the endpoint has queued.
func (q *Queue[T]) BytesOf(d Destination) int { return q.activate(d).bytes }

const (
	BestScore  = bestScore
	SlowWeight = slowWeight
	IdleTTL    = idleTTL
)
