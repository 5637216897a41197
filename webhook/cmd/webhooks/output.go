package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
)

// printer writes answers to the standard output, and all else to the standard error.
type printer struct {
	out    *bufio.Writer
	stdout io.Writer
	stderr io.Writer
	json   bool
	// color says whether each of the two shows colours, and live whether stderr shows progress.
	color map[io.Writer]bool
	live  bool
	shown bool // whether a line of progress is on the terminal
}

func newPrinter(stdout, stderr io.Writer, getenv func(string) string) *printer {
	colored := getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return &printer{
		out: bufio.NewWriter(stdout), stdout: stdout, stderr: stderr,
		color: map[io.Writer]bool{
			stdout: colored && isTerminal(stdout), stderr: colored && isTerminal(stderr),
		},
		live: isTerminal(stderr) && getenv("TERM") != "dumb",
	}
}

// isTerminal reports whether a stream is a character device, as terminals are.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printf writes to the standard output. Its error is that of flush.
func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

// notef writes to the standard error, at once.
func (p *printer) notef(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.stderr, format, args...)
}

// flush writes what is buffered, and returns the first error of any write to the standard output.
func (p *printer) flush() error {
	p.clear()
	return p.out.Flush()
}

// object writes one line of JSON.
func (p *printer) object(v any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := p.out.WriteString(visibleJSON(line.String()))
	return err
}

// visibleJSON escapes what is not printable in a line of JSON: beyond ASCII, and that is DEL too,
// all of it is in strings.
func visibleJSON(line string) string {
	plain := func(r rune) bool { return r < 0x7f || r != unicode.ReplacementChar && unicode.IsPrint(r) }
	if strings.IndexFunc(line, func(r rune) bool { return !plain(r) }) < 0 {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if plain(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// progressf shows a line that the next one replaces. It writes nothing unless it is a terminal.
func (p *printer) progressf(format string, args ...any) {
	if p.live {
		fmt.Fprintf(p.stderr, "\r\x1b[K"+format, args...)
		p.shown = true
	}
}

// clear removes the line of progress.
func (p *printer) clear() {
	if p.shown {
		fmt.Fprint(p.stderr, "\r\x1b[K")
		p.shown = false
	}
}

func (p *printer) paint(w io.Writer, code, text string) string {
	if !p.color[w] {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) red(w io.Writer, text string) string   { return p.paint(w, "31", text) }
func (p *printer) green(w io.Writer, text string) string { return p.paint(w, "32", text) }

func (p *printer) yellow(w io.Writer, text string) string { return p.paint(w, "33", text) }

// table writes rows in columns, the first one as the heading. Cells have no colours: their escapes
// would count as columns.
func (p *printer) table(rows [][]string) {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = visible(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	_ = w.Flush() // its error is that of p.out, which flush returns
}

// visible writes everything that is not printable as an escape: control characters could change
// what the terminal shows, or make it do something.
func visible(s string) string {
	plain := func(r rune) bool { return r == ' ' || r != unicode.ReplacementChar && unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case plain(r):
			b.WriteRune(r)
		case r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], string(r)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// short writes a duration in one or two units.
func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// counted writes a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// ago writes how long a time is past, or is to come.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	if d < 0 {
		return "in " + short(-d)
	}
	return short(d) + " ago"
}
