package channelkit_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/internal/cputime"
)

// costPieces are what hostile configurations and answers are made of: what has long escapes, what
// agrees with itself, and what differs from piece to piece. A %s is for a number.
func costPieces() []string {
	return []string{"<", "a", "ab", "<‹", "\u200b<", `\`, `\u00`, "&", "&#x", "%", "%3", "+ ", "'</",
		"\r", "ÿ€😀", "deadbeef", "abcd<<‹", "x%s-", "‹%s</", "a%s\r\u200b", `"%s\`, "AAAA%s="}
}

// costText repeats a piece to n bytes.
func costText(piece string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < min(n, 64<<10); i++ {
		b.WriteString(strings.ReplaceAll(piece, "%s", fmt.Sprintf("%03x", i)))
	}
	return strings.ToValidUTF8(strings.Repeat(b.String(), n/b.Len()+1)[:n], "")
}

// costLiterals are the literals of a template of n bytes: one, or many of a length.
func costLiterals(piece string, n, length int) []string {
	text := costText(piece, n)
	var list []string
	for i := 0; i < len(text); i += length {
		// What is between them makes each another one.
		list = append(list, strings.ToValidUTF8(text[i:min(i+length, len(text))], "")+strconv.Itoa(i))
	}
	return list
}

// TestRedactorCosts redacts hostile answers with hostile configurations. If they are four times as
// large, that may cost little more than four times as much: what an answer costs is not bounded by
// any deadline, and what a configuration costs stays in the memory of each process. It must not run
// while other tests do: it looks at the memory of the whole process.
func TestRedactorCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a second of CPU time")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const size = 8 << 10
	pieces := costPieces()
	for i, piece := range pieces {
		// Each configuration meets an answer that is like it, and one that others are like.
		for j, answer := range []string{piece, pieces[(i*3+1)%len(pieces)]} {
			length := []int{6, 40, 4 * size}[(i+j)%3]
			name := fmt.Sprintf("literals of %d bytes of %q, answers %q", length, piece, answer)
			small := redactorCost(piece, answer, size, length, 0)
			most := min(6*small.cpu+30*time.Millisecond, time.Second)
			large := redactorCost(piece, answer, 4*size, length, most)
			assert.Less(t, large.cpu, most, name)
			assert.Less(t, large.heap, 32*4*size, name)
		}
	}
}

type redactorCosts struct {
	cpu  time.Duration // of making a Redactor, and of an answer
	heap int           // of what stays
}

// redactorCost measures the best of five runs. It needs no further one once that is below enough.
func redactorCost(piece, answer string, size, length int, enough time.Duration) redactorCosts {
	literals := costLiterals(piece, size, length)
	body := []byte(costText(answer, 8*size))
	before := heap()
	best := time.Hour
	var r *channelkit.Redactor
	for range 5 {
		start := cputime.Thread()
		r = channelkit.NewRedactor([]string{literals[0][:min(2000, len(literals[0]))]}, literals...)
		r.Excerpt(body, true)
		best = min(best, cputime.Thread()-start)
		if best < enough {
			break
		}
	}
	after := heap()
	runtime.KeepAlive(r)
	runtime.KeepAlive(literals)
	return redactorCosts{best, after - before}
}

// heap is what is reachable.
func heap() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// TestLiteralsCost reads the literals of nested JSON. What is nested four times as deep takes four
// times as long.
func TestLiteralsCost(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cost := func(depth int) time.Duration {
		nested := strings.Repeat(`{"a":["literal",`, depth) + `"{{ a }}"` + strings.Repeat("]}", depth)
		r := channelkit.ReadConfig([]byte(`{"body":`+nested+"}"), nil)
		best := time.Hour
		for range 3 {
			start := cputime.Thread()
			literals := r.Literals("body")
			best = min(best, cputime.Thread()-start)
			assert.Len(t, literals, depth)
		}
		return best
	}
	small, large := cost(1000), cost(4000)
	// Some systems count the time of a thread in ticks of ten milliseconds. Parsing all once for each
	// level would take hundreds.
	assert.Less(t, large, 6*small+50*time.Millisecond)
}
