package terminal_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/terminal"
)

// display is a small terminal: enough of one to see what a person would see.
type display struct {
	width, height int
	rows          [][]rune
	row, col      int
	hidden        bool
	scrolled      int
}

func (d *display) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' }) + 2
			d.control(text[2:end], text[end])
			text = text[end+1:]
			continue
		case text[0] == '\n':
			d.row, d.col = d.row+1, 0
		case text[0] == '\r':
			d.col = 0
		default:
			r := []rune(text)[0]
			if d.col == d.width {
				d.row, d.col = d.row+1, 0
			}
			d.at()[d.col] = r
			d.col++
			text = text[len(string(r)):]
			continue
		}
		text = text[1:]
		d.at()
	}
	return len(p), nil
}

// at is the current row; beyond the last one the screen scrolls.
func (d *display) at() []rune {
	for d.row >= d.height {
		d.rows, d.row, d.scrolled = append(d.rows[1:], nil), d.row-1, d.scrolled+1
	}
	for len(d.rows) < d.height {
		d.rows = append(d.rows, nil)
	}
	if d.rows[d.row] == nil {
		d.rows[d.row] = []rune(strings.Repeat(" ", d.width))
	}
	return d.rows[d.row]
}

func (d *display) control(arg string, final byte) {
	switch {
	case final == 'A':
		n := 1
		_, _ = fmt.Sscan(arg, &n)
		d.row = max(0, d.row-n)
	case final == 'K':
		copy(d.at()[min(d.col, d.width):], []rune(strings.Repeat(" ", d.width)))
	case final == 'J':
		copy(d.at()[min(d.col, d.width):], []rune(strings.Repeat(" ", d.width)))
		for i := d.row + 1; i < len(d.rows); i++ {
			d.rows[i] = nil
		}
	case arg == "?25":
		d.hidden = final == 'l'
	}
}

func (d *display) text() string {
	var lines []string
	for _, r := range d.rows {
		lines = append(lines, strings.TrimRight(string(r), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func paintOn(d *display) *terminal.Painter {
	t := &terminal.Terminal{Out: d, Getenv: func(string) string { return "" }, Measure: func() (int, int, bool) { return d.width, d.height, true }}
	return t.Painter()
}

func TestPainterReplacesItsBlock(t *testing.T) {
	d := &display{width: 20, height: 10}
	_, _ = d.Write([]byte("$ belay\n"))
	p := paintOn(d)
	frame := func(text string) { p.Paint(func(int, int) string { return text }) }
	frame("one\ntwo\nthree")
	frame("one\n2\nthree\nfour")
	if got := d.text(); got != "$ belay\none\n2\nthree\nfour" || !d.hidden {
		t.Errorf("grown: %q, cursor hidden %v", got, d.hidden)
	}
	frame("one")
	if got := d.text(); got != "$ belay\none" {
		t.Errorf("shrunk: %q", got)
	}
	frame(strings.Repeat("x", 20) + "\n" + strings.Repeat("y", 20))
	if got := d.text(); got != "$ belay\n"+strings.Repeat("x", 20)+"\n"+strings.Repeat("y", 20) {
		t.Errorf("as wide as the screen: %q", got)
	}
	p.Finish("the end\nof it\n")
	if got := d.text(); got != "$ belay\nthe end\nof it" || d.hidden {
		t.Errorf("finished: %q, cursor hidden %v", got, d.hidden)
	}
}

func TestPainterNeverScrollsAFrame(t *testing.T) {
	d := &display{width: 20, height: 6}
	p := paintOn(d)
	for i := range 5 {
		p.Paint(func(_, lines int) string {
			if lines != 5 {
				t.Errorf("room for %d lines, want 5", lines)
			}
			return fmt.Sprintf("%d\n", i) + strings.Repeat("line\n", 30)
		})
	}
	if d.scrolled != 0 || d.text() != "4\nline\nline\nline\nline" {
		t.Errorf("scrolled %d lines:\n%s", d.scrolled, d.text())
	}
	p.Finish(strings.Repeat("final\n", 9))
	if d.scrolled != 4 {
		t.Errorf("what stays may be longer than the screen: scrolled %d lines, want 4", d.scrolled)
	}
}

func TestStyleFollowsTheTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		tty, noColor bool
		env          map[string]string
		color, live  bool
		width        int
	}{
		"terminal":   {tty: true, color: true, live: true, width: 70},
		"pipe":       {width: 100},
		"NO_COLOR":   {tty: true, env: map[string]string{"NO_COLOR": "1"}, live: true, width: 70},
		"--no-color": {tty: true, noColor: true, live: true, width: 70},
		"dumb":       {tty: true, env: map[string]string{"TERM": "dumb"}, width: 70},
	} {
		term := &terminal.Terminal{NoColor: c.noColor, Getenv: func(k string) string { return c.env[k] },
			Measure: func() (int, int, bool) { return 70, 20, c.tty }}
		if s := term.Style(); s.Color != c.color || s.Width != c.width || term.Live() != c.live {
			t.Errorf("%s: %+v, live %v", name, s, term.Live())
		}
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]int{"y\n": exit.OK, "YES\n": exit.OK, "n\n": exit.Refused, "\n": exit.Refused, "": exit.Refused, "yep\n": exit.Refused} {
		var asked bytes.Buffer
		term := &terminal.Terminal{In: strings.NewReader(answer), Err: &asked, Getenv: func(string) string { return "" },
			Measure: func() (int, int, bool) { return 80, 24, true }}
		if err := term.Confirm("Now?"); exit.Code(err) != want || !strings.Contains(asked.String(), "Now? [y/N]") {
			t.Errorf("%q: %v, asked %q", answer, err, asked.String())
		}
	}
	term := &terminal.Terminal{In: strings.NewReader("y\n"), Err: &bytes.Buffer{}, Getenv: func(string) string { return "" }}
	if err := term.Confirm("Now?"); belay.CodeOf(err) != belay.CodeInvalid || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("a pipe must not be taken for a person: %v", err)
	}
}
