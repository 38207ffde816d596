package timeline

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	belay "github.com/belaydev/belay"
)

// Write prints the timeline for people: a head line, the events in aligned columns, and how long each part took.
func (t Timeline) Write(w io.Writer) error {
	var b strings.Builder
	t.head(&b)
	rows := make([][]string, 0, len(t.Entries)+1)
	rows = append(rows, []string{"TIME", "AFTER", "KIND", "BY", "WHAT"})
	day := t.Start.UTC().Format(time.DateOnly)
	for _, e := range t.Entries {
		at := e.Time.UTC().Format(time.TimeOnly)
		if d := e.Time.UTC().Format(time.DateOnly); d != day {
			day = d
			at = d + " " + at
		}
		what := e.Message
		if e.State != "" {
			what = string(e.State) + ": " + what
		}
		rows = append(rows, []string{at, Offset(e.Offset.D()), string(e.Kind), clean(e.Actor), clean(what)})
	}
	columns(&b, rows)
	if line := t.Durations.String(); line != "" {
		b.WriteString("\n" + line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Timeline) head(b *strings.Builder) {
	d, ref := t.Deployment, t.Deployment.Ref
	fmt.Fprintf(b, "%s  %s  %s", d.ID, clean(ref.String()), clean(d.Release.String()))
	if !d.Previous.IsZero() {
		fmt.Fprintf(b, " (before: %s)", clean(d.Previous.String()))
	}
	fmt.Fprintf(b, "  %s  %s UTC\n\n", d.State, t.Start.UTC().Format(time.DateTime))
}

// columns writes rows with two spaces between aligned columns. The second column is aligned to the right, the last
// is not padded.
func columns(b *strings.Builder, rows [][]string) {
	const right = 1
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			switch {
			case i == len(row)-1:
				b.WriteString(cell)
			case i == right:
				b.WriteString(pad + cell + "  ")
			default:
				b.WriteString(cell + pad + "  ")
			}
		}
		b.WriteByte('\n')
	}
}

// clean makes a text from outside fit for one line of a terminal: what would move the cursor, change colours or
// turn the writing direction becomes a space.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
}

// Offset writes a distance with its sign: "+12.4s", "-0.3s", "+1m02.4s", "+1h02m03s".
func Offset(d time.Duration) string {
	if d < 0 {
		return "-" + distance(-d)
	}
	return "+" + distance(d)
}

func distance(d time.Duration) string {
	tenth := d.Round(100 * time.Millisecond)
	switch {
	case tenth < time.Minute:
		return fmt.Sprintf("%.1fs", tenth.Seconds())
	case tenth < time.Hour:
		return fmt.Sprintf("%dm%04.1fs", tenth/time.Minute, (tenth % time.Minute).Seconds())
	}
	s := d.Round(time.Second)
	return fmt.Sprintf("%dh%02dm%02ds", s/time.Hour, s%time.Hour/time.Minute, s%time.Minute/time.Second)
}

// String lists the parts that happened: "detection 7.4s, decision 0.0s, rollback 0.3s, proof 5.1s".
func (m Durations) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		d    *belay.Duration
	}{
		{"deploy", m.Deploy}, {"detection", m.Detection}, {"decision", m.Decision},
		{"rollback", m.Rollback}, {"proof", m.Proof}, {"in all", m.Total},
	} {
		if p.d != nil {
			parts = append(parts, p.name+" "+strings.TrimPrefix(Offset(p.d.D()), "+"))
		}
	}
	return strings.Join(parts, ", ")
}
