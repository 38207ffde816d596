package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/screen"
)

// report is what following a deployment ends with, and its JSON output.
type report struct {
	Deployment belay.Deployment `json:"deployment"`
	Rollback   *belay.Rollback  `json:"rollback,omitempty"`
	Timeline   []belay.Event    `json:"timeline,omitempty"`
}

// follower follows one deployment to its verdict.
type follower struct {
	c       *cli
	api     *client.Client
	id      string
	toEnd   bool          // until the deployment is final, the bake included
	timeout time.Duration // 0: none

	state   report
	printed map[string]bool // events already written, when stdout cannot be redrawn
	drawn   int             // lines of the last frame
	said    time.Time       // of the last progress line
}

// settled tells whether there is nothing more to wait for.
func (f *follower) settled(d belay.Deployment) bool {
	if d.State.Final() || d.State == belay.StateHeld {
		return true
	}
	return !f.toEnd && d.State == belay.StateBaking
}

// reconnectFor is how long a follower waits for a server that went away: it may be restarting.
const reconnectFor = time.Minute

// run follows until the deployment has settled and returns the outcome as an error, nil for success.
func (f *follower) run(ctx context.Context) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	f.printed = map[string]bool{}
	err := f.watch(ctx)
	f.refresh(context.WithoutCancel(ctx))
	f.draw(time.Now(), true)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintf(f.c.Stderr, "belay: no verdict after %s; %s is still being watched: belay verify %s\n", f.timeout, f.state.Deployment.Ref, f.id)
		return outcome(ExitTimeout)
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(f.c.Stderr, "belay: interrupted; %s is still being watched by the server: belay verify %s\n", f.state.Deployment.Ref, f.id)
		return outcome(ExitInterrupted)
	case err != nil:
		return err
	}
	if code := verdictExit(f.state.Deployment.State); code != ExitOK {
		return outcome(code)
	}
	return nil
}

// watch reads the stream, draws, and connects again when the connection breaks.
func (f *follower) watch(ctx context.Context) error {
	updates := make(chan belay.Deployment)
	streamed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { streamed <- f.stream(ctx, updates) }()
	redraw := time.NewTicker(150 * time.Millisecond)
	defer redraw.Stop()
	for {
		select {
		case d := <-updates:
			f.state.Deployment = d
			f.refresh(ctx)
			f.draw(time.Now(), false)
			if f.settled(d) {
				return nil
			}
		case now := <-redraw.C:
			if f.state.Deployment.State == belay.StateRollingBack || f.state.Deployment.Rollback != "" {
				f.refresh(ctx)
			}
			f.draw(now, false)
		case err := <-streamed:
			return err
		}
	}
}

// stream delivers updates until the deployment settles or the server has been away too long.
func (f *follower) stream(ctx context.Context, updates chan<- belay.Deployment) error {
	lost := time.Time{}
	for {
		done := false
		err := f.api.WatchDeployment(ctx, f.id, func(d belay.Deployment) bool {
			lost = time.Time{}
			select {
			case updates <- d:
			case <-ctx.Done():
				return false
			}
			done = f.settled(d)
			return !done
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case done:
			<-ctx.Done()
			return ctx.Err()
		case err != nil && belay.CodeOf(err) != belay.CodeUnavailable:
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		} else if time.Since(lost) > reconnectFor {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// refresh reads what the stream does not carry. It keeps the old facts when the server is away.
func (f *follower) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if d, err := f.api.Deployment(ctx, f.id); err == nil {
		f.state.Deployment = d
	}
	if events, err := f.api.Timeline(ctx, f.id); err == nil {
		f.state.Timeline = events
	}
	if id := f.state.Deployment.Rollback; id != "" {
		if r, err := f.api.GetRollback(ctx, id); err == nil {
			f.state.Rollback = &r
		}
	}
}

// progressEvery is how often a log, which cannot be redrawn, gets a line on where the evidence stands.
const progressEvery = 10 * time.Second

func (f *follower) draw(now time.Time, last bool) {
	switch {
	case f.c.output == "json":
		if last {
			_ = f.c.print(f.state, nil)
		}
	case f.c.live():
		f.redraw(now, last)
	default:
		f.log(now, last)
	}
}

func (f *follower) redraw(now time.Time, last bool) {
	style := f.c.style()
	text := style.Live(screen.Frame{Deployment: f.state.Deployment, Rollback: f.state.Rollback, Events: f.state.Timeline, Now: now})
	if last {
		text += f.closing(style)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var b strings.Builder
	if f.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", f.drawn)
	}
	b.WriteString("\r")
	for _, l := range lines {
		b.WriteString("\x1b[2K" + l + "\n")
	}
	b.WriteString("\x1b[J")
	f.drawn = len(lines)
	fmt.Fprint(f.c.Stdout, b.String())
}

// log writes each event once, and now and then where the evidence stands.
func (f *follower) log(now time.Time, last bool) {
	style := f.c.style()
	d := f.state.Deployment
	for _, e := range f.state.Timeline {
		if !f.printed[e.ID] {
			f.printed[e.ID] = true
			fmt.Fprintln(f.c.Stdout, style.EventLine(e, d.CreatedAt))
		}
	}
	if !last && d.Card != nil && !d.State.Final() && now.Sub(f.said) >= progressEvery {
		f.said = now
		fmt.Fprintln(f.c.Stdout, progress(d))
	}
	if last {
		fmt.Fprint(f.c.Stdout, f.closing(style))
	}
}

// progress is one line on where the evidence stands.
func progress(d belay.Deployment) string {
	parts := []string{string(d.State)}
	if d.Slot != "" {
		parts = append(parts, fmt.Sprintf("%d %% of traffic", d.Weight))
	}
	for _, e := range d.Card.Signals {
		if e.Limit > 1 {
			parts = append(parts, fmt.Sprintf("%s evidence against %.1f of %.0f", e.Signal, e.EValue, e.Limit))
		}
	}
	if len(d.Card.Missing) > 0 {
		parts = append(parts, "still needed: "+d.Card.Missing[0])
	}
	return "           " + strings.Join(parts, ", ")
}

// closing is what stands below the last frame: the card, the certificate, where to look next.
func (f *follower) closing(style screen.Style) string {
	d := f.state.Deployment
	var b strings.Builder
	if d.Card != nil {
		b.WriteString("\n" + style.Card(*d.Card, d.Release, d.Previous))
	}
	if f.state.Rollback != nil && f.state.Rollback.Certificate != nil {
		b.WriteString("\n" + style.Certificate(*f.state.Rollback.Certificate))
	}
	if d.State.Final() || d.State == belay.StateHeld || d.State == belay.StateBaking {
		b.WriteString("\n" + conclusion(d) + "\n")
	}
	return b.String()
}

func conclusion(d belay.Deployment) string {
	show := "; belay show " + d.ID
	switch d.State {
	case belay.StateSucceeded:
		return fmt.Sprintf("%s runs %s.", d.Ref, d.Release)
	case belay.StateBaking:
		return fmt.Sprintf("%s runs %s, healthy so far; it is watched on, and the way back stays open: belay verify --until end %s", d.Ref, d.Release, d.ID)
	case belay.StateRolledBack:
		return fmt.Sprintf("%s was taken back from %s to %s, and that is verified%s", d.Ref, d.Release, d.Previous, show)
	case belay.StateUnverified:
		return fmt.Sprintf("%s was taken back to %s, but belay could not prove it: look at the certificate%s", d.Ref, d.Previous, show)
	case belay.StateRollbackFailed:
		return fmt.Sprintf("%s could not be taken back from %s: a person is needed now%s", d.Ref, d.Release, show)
	case belay.StateHeld:
		return fmt.Sprintf("%s is held at %d %% of traffic: %s. Decide: belay promote %s, belay abort %s", d.Ref, d.Weight, d.Reason, d.ID, d.ID)
	case belay.StateSuperseded:
		return fmt.Sprintf("%s: deployment %s took the place of this one", d.Ref, d.SupersededBy)
	case belay.StateDeployFailed, belay.StateRefused:
		return fmt.Sprintf("%s: %s was not deployed: %s%s", d.Ref, d.Release, d.Reason, show)
	case belay.StatePending, belay.StateDeploying, belay.StateWatching, belay.StatePaused, belay.StateRollingBack:
	}
	return ""
}
