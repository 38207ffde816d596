package follow

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/cli/terminal"
)

func showOn(t *terminal.Terminal) show {
	switch {
	case t.JSON:
		return silent{t}
	case t.Live():
		return &frames{t: t, painter: t.Painter()}
	}
	return &log{t: t}
}

// silent says nothing until the end, and that in JSON.
type silent struct{ t *terminal.Terminal }

func (silent) progress(screen.Report, time.Time, *outage) {}

func (s silent) final(r screen.Report) error { return s.t.Print(r, nil) }

// frames redraws a terminal.
type frames struct {
	t       *terminal.Terminal
	painter *terminal.Painter
}

func (f *frames) progress(r screen.Report, now time.Time, away *outage) {
	style := f.t.Style()
	f.painter.Paint(func(columns, lines int) string {
		style.Width = columns
		return style.Live(screen.Frame{Report: r, Now: now, Lines: lines, Away: awayFor(away, now)})
	})
}

func (f *frames) final(r screen.Report) error {
	f.painter.Finish(f.t.Style().Final(r))
	return nil
}

func awayFor(away *outage, now time.Time) time.Duration {
	if away == nil {
		return 0
	}
	return now.Sub(away.since)
}

// log writes each event once, and now and then where the evidence stands: for a pipe, a file, a CI job.
type log struct {
	t      *terminal.Terminal
	teller screen.Teller
	said   time.Time // of the last line on the evidence
	line   string    // that line
	away   bool
}

// How often a log gets a line on where the evidence stands: when it says something new, and when it does not.
const (
	saidEvery  = 10 * time.Second
	aliveEvery = time.Minute
)

func (l *log) progress(r screen.Report, now time.Time, away *outage) {
	l.events(r)
	switch {
	case away != nil && !l.away:
		l.t.Warn("%v; waiting for it up to %s", away.err, belay.Duration(reconnectFor))
	case away == nil && l.away:
		l.t.Warn("the server is back")
	}
	l.away = away != nil
	d := r.Deployment
	if l.said.IsZero() {
		l.said = now // the events of the beginning are enough for a while
	}
	if d.Card == nil || d.State.Final() || l.away || now.Sub(l.said) < saidEvery {
		return
	}
	text := screen.Progress(d, now)
	if text == l.line && now.Sub(l.said) < aliveEvery {
		return
	}
	l.said, l.line = now, text
	l.t.Say(strings.Repeat(" ", screen.OffsetWidth) + text + "\n")
}

func (l *log) events(r screen.Report) {
	style := l.t.Style()
	for _, e := range r.Timeline {
		if line, ok := l.teller.Tell(style, e, r.Deployment.CreatedAt); ok {
			l.t.Say(line + "\n")
		}
	}
}

func (l *log) final(r screen.Report) error {
	l.events(r)
	if text := l.t.Style().Closing(r); text != "" {
		l.t.Say("\n" + text)
	}
	return nil
}

// rollbackLog writes each change of a step once.
type rollbackLog struct {
	t    *terminal.Terminal
	said map[string]belay.StepState
	away bool
}

func (l *rollbackLog) progress(r belay.Rollback, away *outage) {
	switch {
	case away != nil && !l.away:
		l.t.Warn("%v; waiting for it up to %s", away.err, belay.Duration(reconnectFor))
	case away == nil && l.away:
		l.t.Warn("the server is back")
	}
	l.away = away != nil
	for _, s := range r.Steps {
		if l.said[s.Key] == s.State || s.State == belay.StepWaiting {
			continue
		}
		l.said[s.Key] = s.State
		l.t.Say(fmt.Sprintln(l.t.Style().StepLine(s)))
	}
}
