package email

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/cputime"
)

// markdownRounds is how many random texts TestMarkdownIsBounded measures, in forties. If it is more
// than one, all pieces are put into all shapes, and otherwise each into some.
var markdownRounds = flag.Int("markdown.cost", 1, "forties of random texts of Markdown")

// markdownSeed makes other texts of the same kind.
var markdownSeed = flag.Uint64("markdown.seed", 1, "the seed of the random texts of Markdown")

// What converting a text may cost, whatever is in it.
const (
	mostCPU   = 100 * time.Millisecond
	mostBytes = 64 << 20
	mostDeaf  = 20 * time.Millisecond // between two looks at the context
	// slack is how much more CPU time passes: machines differ, a busy one needs more of it for the same,
	// and what these tests look for costs a hundred times as much. The tests log the highest figures.
	slack = 15
)

// markdownCost is what converting a text took.
type markdownCost struct {
	cpu   time.Duration // of the thread: other programs do not change it
	bytes uint64        // all that was allocated, and the growth of the stack
	deaf  time.Duration // the most between two looks at the context
	ok    bool
}

// measureMarkdown converts a text. Nothing else may run in the process meanwhile. The garbage
// collector is off: what it costs depends on what else is in memory.
func measureMarkdown(t *testing.T, source string) markdownCost {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cputime.Thread()
	ctx := &cputime.Context{Context: t.Context(), Last: start}
	_, ok, err := convertMarkdown(ctx, source)
	end := cputime.Thread()
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	return markdownCost{cpu: end - start, bytes: after.TotalAlloc - before.TotalAlloc +
		after.StackSys - min(before.StackSys, after.StackSys), deaf: max(ctx.Longest, end-ctx.Last), ok: ok}
}

// costOfMarkdown fails if converting a text costs more than is promised. Only the best of some runs
// counts.
func costOfMarkdown(t *testing.T, name, source string) (markdownCost, bool) {
	t.Helper()
	best := measureMarkdown(t, source)
	for i := 1; i < 5 && (best.cpu > slack*mostCPU || best.deaf > slack*mostDeaf); i++ {
		again := measureMarkdown(t, source)
		best.cpu, best.deaf = min(best.cpu, again.cpu), min(best.deaf, again.deaf)
	}
	good := assert.LessOrEqual(t, best.cpu, slack*mostCPU, "CPU time of %s", name)
	good = assert.LessOrEqual(t, best.deaf, slack*mostDeaf, "deaf for the time of %s", name) && good
	return best, assert.LessOrEqual(t, best.bytes, uint64(mostBytes), "bytes of %s", name) && good
}

// markdownPieces have all that means something in Markdown, and its halves.
func markdownPieces() []string {
	return []string{
		"a", "ü", "a ", " ", "  ", "\t", "    ", "\n", "\n\n", "  \n", "\\", "\\\n", "\r\n", "\x00", "\xff",
		">", "> ", "- ", "* ", "+ ", "1. ", "1) ", "12345. ", "- [ ] ", "-", "=", "---", "***", "===",
		"\n---\n", "\n> ", "\n- ", "\n  - ", "\n1. ", "\n# ", "\n\t", "\n    ", "\n\n- ", "\n===\n", "# ", "#",
		"*", "**", "***", "_", "__", "~", "~~", "*a ", " a*", "*a*", "**a **", "_a_", "~~a~~", "*_", "a**b",
		"`", "``", "```", "\n```\n", "~~~", "\n~~~\n", "`a", "`a` ",
		"[", "]", "[]", "[a]", "![", "!", "](", "](a", "](a)", "][", "][a]", "[a](", "[a](b)", "![a](b)", "[a](<b",
		"[a](b \"", "[a](b 'c')", "(", ")", "\"", "'", "[a]: b\n", "[a]: b \"c\n", "[a]:", "[a][]", "[^a]", "]: ",
		"<", ">", "<a ", "<a>", "</a>", "</a ", "<a b=\"", "<a b='c' ", "<a b=c", "<!--", "-->", "<?", "?>", "<!A",
		"<![CDATA[", "]]>", "<a:b", "<http://a.b>", "<a@b.c>", "\n<div>", "\n<script>", "\n</div>\n", "\n<!--\n",
		"http://a.b", "http://", "https://a.b/c?d=e&f", "www.", "www.a.b", "ftp:", "a@b.c", "a@", "@", ".", ":", ";",
		"(http://a.b", "*http:", "_www.a.b", "http://a.b/(", "&", "&amp;", "&#", "&#x", "&#35;", "&a", ";", "|",
		"\\|", "|a", "`\\|` ", "|-", "\n|-|\n", "\n|a|\n|-|\n", "-|", ":-:|", "$", "{", "}", "{#a}",
	}
}

// fill repeats a piece, to that many bytes.
func fill(piece string, size int) string { return strings.Repeat(piece, max(size/len(piece), 0)) }

// markdownShapes put two pieces together, to a text of at most that many bytes.
func markdownShapes() map[string]func(p, q string, size int) string {
	return map[string]func(p, q string, size int) string{
		"repeated":         func(p, q string, size int) string { return fill(p+q, size) },
		"nested":           func(p, q string, size int) string { return fill(p, size/2) + fill(q, size/2) },
		"nested in a line": func(p, q string, size int) string { return "a " + fill(p, size/2-2) + "a" + fill(q, size/2-2) },
		"many, then one":   func(p, q string, size int) string { return fill(p, size-len(q)) + q },
		"one, then many":   func(p, q string, size int) string { return q + fill(p, size-len(q)) },
		"nested thrice": func(p, q string, size int) string {
			return fill(p, size/3) + fill(q, size/3) + fill(p, size/3)
		},
		"lines": func(p, q string, size int) string { return fill(p+"\n"+q+"\n", size) },
		"lines of one, then of the other": func(p, q string, size int) string {
			return fill(p+"\n", size/2) + fill(q+"\n", size/2)
		},
		"a line of one, then lines of the other": func(p, q string, size int) string {
			return fill(p, size/2) + "\n" + fill(q+"\n", size/2-1)
		},
		"short lines": func(p, q string, size int) string { return fill(fill(p, 200)+q+"\n", size) },
		"paragraphs":  func(p, q string, size int) string { return fill(fill(p, 400)+fill(q, 400)+"\n\n", size) },
		"lines that grow": func(p, q string, size int) string {
			var b strings.Builder
			for i := 1; b.Len()+i*len(p)+len(q)+1 <= size; i++ {
				b.WriteString(strings.Repeat(p, i) + q + "\n")
			}
			return b.String()
		},
		"runs that grow": func(p, q string, size int) string {
			b := strings.Builder{}
			b.WriteString("a ")
			for i := 1; b.Len()+i*len(p)+len(q) <= size/2; i++ {
				b.WriteString(strings.Repeat(p, i) + q)
			}
			return b.String() + fill(q, size/2)
		},
		"lists that deepen": func(p, q string, size int) string {
			var b strings.Builder
			for i := 0; b.Len()+2*i+2+len(p)+1 <= size/2; i++ {
				b.WriteString(strings.Repeat("  ", i) + "- " + p + "\n")
			}
			return b.String() + fill(q+"\n", size/2)
		},
		"a table": func(p, q string, size int) string {
			columns := strings.Repeat("|", size/10)
			return columns + "\n" + strings.ReplaceAll(columns, "|", "|-") + "\n" + fill(p+"\n"+q+"\n", size/2)
		},
		"a table of cells": func(p, q string, size int) string {
			return "|a|b|c|\n|-|-|-|\n" + fill("|"+p+"|"+q+"|\n", size-20)
		},
		"references": func(p, q string, size int) string {
			return "[a]: <" + fill(p, size/3) + "> \"" + fill(q, size/6) + "\"\n\n" + fill("[a]", size/3)
		},
		"definitions": func(p, q string, size int) string {
			var b strings.Builder
			for i := 0; ; i++ {
				line := fmt.Sprintf("[%x%s]: %s\n", i, q, p)
				if b.Len()+len(line) > size {
					return b.String()
				}
				b.WriteString(line)
			}
		},
	}
}

// TestMarkdownIsBounded measures pieces of Markdown and their repetitions and nestings, in texts as
// long as are converted. It must not run while other tests do. The race detector finds nothing in
// what one goroutine computes.
func TestMarkdownIsBounded(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes seconds, and many times as long with the race detector")
	}
	pieces, shapes := markdownPieces(), markdownShapes()
	names := slices.Sorted(maps.Keys(shapes))
	var worst [3]struct {
		name string
		cost markdownCost
	}
	measure := func(shape, p, q string) {
		name := fmt.Sprintf("%s: %q and %q", shape, p, q)
		// A text that takes too much when it is short is not tried at its full length.
		for _, size := range []int{maxMarkdown / 16, maxMarkdown} {
			text := shapes[shape](p, q, size)
			require.LessOrEqual(t, len(text), maxMarkdown, name)
			cost, good := costOfMarkdown(t, fmt.Sprintf("%s, %d bytes", name, len(text)), text)
			for i, more := range []bool{cost.cpu > worst[0].cost.cpu, cost.bytes > worst[1].cost.bytes,
				cost.deaf > worst[2].cost.deaf} {
				if more {
					worst[i].name, worst[i].cost = name, cost
				}
			}
			if !good {
				return
			}
		}
	}
	for i, shape := range names {
		for j, p := range pieces {
			if *markdownRounds > 1 || (i+j)%17 == 0 {
				measure(shape, p, p)
			}
		}
	}
	random := rand.New(rand.NewPCG(*markdownSeed, 1))
	pick := func() string {
		var b strings.Builder
		for range 1 + random.IntN(3) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	for range 40 * *markdownRounds {
		measure(names[random.IntN(len(names))], pick(), pick())
	}
	for i, of := range []string{"CPU time", "bytes", "deaf"} {
		w := worst[i]
		t.Logf("most %s: %s: %v, %d MiB, deaf for %v, converted: %v", of, w.name, w.cost.cpu,
			w.cost.bytes>>20, w.cost.deaf, w.cost.ok)
	}
}

// Texts that people write are converted, also long ones.
func TestLongMarkdownIsConverted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	size := maxMarkdown
	prose := strings.Repeat("It was the *best* of times, it was [the worst](https://a.example/b?c=d) of times! ", 12)
	for name, source := range map[string]string{
		"prose":           fill(prose+"\n\n", size),
		"one paragraph":   fill("It was the best of times, it was the worst of times. ", size),
		"one long quote":  fill("> It was the best of times,\n> it was the worst of times.\n", size),
		"short lines":     fill("a\n", size),
		"a wide table":    "|" + fill("a|", 60) + "\n|" + fill("-|", 60) + "\n" + fill("|"+fill("12.5|", 150)+"\n", size-200),
		"a table":         "| a | b | c |\n|---|:-:|--:|\n" + fill("| object `a` | **failed** | 12.5 |\n", size-200),
		"a list":          fill("- [ ] it was the **best** of times, see <https://a.example>\n", size),
		"lists in lists":  fill("- a\n  - b\n    - c\n      1. d\n\n         e\n", size),
		"code":            fill("```go\nfunc main() { a[0] = `b` }\n\n```\nand `c`\n\n", size),
		"links by number": fill("It was [the best][1] of times, it was [the worst][2] of times\n\n", size/2) + fill("[1]: https://a.example/b\n[2]: https://a.example/c \"d\"\n", 16<<10),
		"brackets":        fill(strings.Repeat("a[0] < b[1] & *c, d_e_f ~ 5! ", 40)+"\n\n", size),
		"headings":        fill("# One\n\nTwo\n===\n\n---\n", size),
	} {
		ctx := t.Context()
		_, ok, err := convertMarkdown(ctx, source)
		require.NoError(t, err, name)
		assert.True(t, ok, "%s, %d bytes", name, len(source))
	}
}
