package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
)

// Progress shows on standard error, when that is a terminal, how much of a file has been read by whoever reads what it
// returns. What is read at once is not worth showing.
func (t *Terminal) Progress(in io.ReadCloser, name string, size int64) io.ReadCloser {
	if size < 1 || !t.errLive() {
		return in
	}
	return &progress{ReadCloser: in, t: t, name: name, size: size, drawn: time.Now().Add(progressAfter)}
}

const (
	progressAfter = 400 * time.Millisecond // it is shown for the first time
	progressEvery = 100 * time.Millisecond
)

// errLive tells whether a line of Err can be redrawn.
func (t *Terminal) errLive() bool {
	if t.Getenv("TERM") == "dumb" {
		return false
	}
	if t.Measure != nil { // the terminal is pretended
		_, _, tty := t.Measure()
		return tty
	}
	f, ok := t.Err.(*os.File)
	return ok && term.IsTerminal(f.Fd())
}

type progress struct {
	io.ReadCloser
	t          *Terminal
	name       string
	size, read int64
	drawn      time.Time // or to be drawn for the first time
	shown      bool
}

// Read reads and shows.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.read += int64(n)
	if now := time.Now(); now.Sub(p.drawn) >= progressEvery {
		p.drawn, p.shown = now, true
		fmt.Fprintf(p.t.Err, "\r%s: %d %%%s", p.name, min(100, 100*p.read/p.size), toLineEnd)
	}
	return n, err
}

// Close takes the line away.
func (p *progress) Close() error {
	if p.shown {
		fmt.Fprint(p.t.Err, "\r"+toLineEnd)
	}
	return p.ReadCloser.Close()
}

// Counting shows on standard error, when that is a terminal, how many of a number of things are done: step is told, by
// one goroutine at a time, and end takes the line away.
func (t *Terminal) Counting(name string) (step func(done, all int), end func()) {
	if !t.errLive() {
		return func(int, int) {}, func() {}
	}
	const wide = 30
	begun := time.Now()
	drawn, shown := begun.Add(progressAfter-progressEvery), false
	return func(done, all int) {
			now := time.Now()
			if all < 1 || now.Sub(drawn) < progressEvery {
				return
			}
			drawn, shown = now, true
			left := ""
			if gone := now.Sub(begun); done > 0 && gone > 2*time.Second {
				left = fmt.Sprintf(", about %s left", (gone * time.Duration(all-done) / time.Duration(done)).Round(time.Second))
			}
			full := wide * done / all
			fmt.Fprintf(t.Err, "\r%s %s%s %d of %d%s%s", name, strings.Repeat("█", full), strings.Repeat("·", wide-full), done, all, left, toLineEnd)
		}, func() {
			if shown {
				fmt.Fprint(t.Err, "\r"+toLineEnd)
			}
		}
}
