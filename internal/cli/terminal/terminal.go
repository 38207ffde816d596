// Package terminal is where a command reads and writes: it knows whether a person looks at it, how wide it is,
// whether it has colours, and how to redraw it without flicker. It knows nothing of deployments.
package terminal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/screen"
)

// Terminal is where one command reads and writes.
type Terminal struct {
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Getenv  func(string) string
	JSON    bool // answers are JSON
	NoColor bool // --no-color
	// Measure gives the size of Out in columns and lines, and whether it is a terminal; nil asks the system.
	Measure func() (columns, lines int, tty bool)
}

// plainWidth is how wide text is drawn where nothing can be measured: in a log or a file.
const plainWidth = 100

func (t *Terminal) size() (columns, lines int, tty bool) {
	if t.Measure != nil {
		return t.Measure()
	}
	f, ok := t.Out.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0, 0, false
	}
	w, h, err := term.GetSize(f.Fd())
	if err != nil || w <= 0 || h <= 0 {
		return 80, 24, true
	}
	return w, h, true
}

// Style is how to draw on Out now.
func (t *Terminal) Style() screen.Style {
	w, _, tty := t.size()
	if !tty {
		return screen.Style{Width: plainWidth}
	}
	return screen.Style{
		Width: w,
		Color: !t.NoColor && t.Getenv("NO_COLOR") == "" && t.Getenv("TERM") != "dumb",
	}
}

// Live tells whether Out can be redrawn.
func (t *Terminal) Live() bool {
	_, _, tty := t.size()
	return tty && !t.JSON && t.Getenv("TERM") != "dumb"
}

// Say writes text.
func (t *Terminal) Say(text string) { fmt.Fprint(t.Out, text) }

// Warn writes one line to standard error, for the person and not for the pipe.
func (t *Terminal) Warn(format string, args ...any) {
	fmt.Fprintf(t.Err, "belay: "+format+"\n", args...)
}

// Print writes v as JSON, or draws it.
func (t *Terminal) Print(v any, draw func() string) error {
	if !t.JSON {
		t.Say(draw())
		return nil
	}
	enc := json.NewEncoder(t.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// Confirm asks a person. Without one it refuses, because nobody can have agreed.
func (t *Terminal) Confirm(question string) error {
	if !t.attended() {
		return belay.Errorf(belay.CodeInvalid, "nobody is there to confirm").WithNext("add --yes to go on without asking")
	}
	// On standard error, so that the question is seen when the answer of the command goes into a pipe.
	fmt.Fprintf(t.Err, "\n%s [y/N] ", question)
	line, err := bufio.NewReader(t.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		fmt.Fprintln(t.Err, "Nothing was changed.")
		return exit.Outcome(exit.Refused)
	}
	return nil
}

// attended tells whether a person can answer.
func (t *Terminal) attended() bool {
	if t.Measure != nil { // the size was given, so the terminal is pretended
		_, _, tty := t.Measure()
		return tty && t.In != nil
	}
	f, ok := t.In.(*os.File)
	return ok && term.IsTerminal(f.Fd())
}

// Painter returns a painter of Out.
func (t *Terminal) Painter() *Painter { return &Painter{t: t} }
