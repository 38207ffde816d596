package follow

import (
	"context"
	"errors"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/cli/terminal"
)

// Reader reads a deployment with all that belongs to it.
type Reader interface {
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Timeline(ctx context.Context, id string) ([]belay.Event, error)
	GetRollback(ctx context.Context, id string) (belay.Rollback, error)
}

// Deployments is what following a deployment asks of the server.
type Deployments interface {
	Reader
	WatchDeployment(ctx context.Context, id string, see func(belay.Deployment) bool) error
}

// Read reads a deployment with its rollback and its timeline.
func Read(ctx context.Context, api Reader, id string) (screen.Report, error) {
	var r screen.Report
	var err error
	if r.Deployment, err = api.Deployment(ctx, id); err != nil {
		return r, err
	}
	if r.Timeline, err = api.Timeline(ctx, r.Deployment.ID); err != nil {
		return r, err
	}
	if r.Deployment.Rollback == "" {
		return r, nil
	}
	rb, err := api.GetRollback(ctx, r.Deployment.Rollback)
	if belay.CodeOf(err) == belay.CodeNotFound { // decided, not yet begun
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Rollback = &rb
	return r, nil
}

// Options say what to follow and how.
type Options struct {
	API  Deployments
	Term *terminal.Terminal
	ID   string
	// ToEnd waits until the deployment is final, the bake included; else the verdict is enough.
	ToEnd   bool
	Timeout time.Duration // 0: none
	// Alone says that the engine runs in this process: nobody goes on when it ends.
	Alone bool
}

// follower follows one deployment.
type follower struct {
	Options
	known    screen.Report
	streamed time.Time // when the stream last brought the deployment
	show     show
}

// show is a way to show progress: frames, lines of a log, or nothing until the end.
type show interface {
	progress(r screen.Report, now time.Time, away *outage)
	final(r screen.Report) error
}

// Deployment follows a deployment to its verdict, or its end, and returns how it went as an exit.Outcome; nil is
// success.
func Deployment(ctx context.Context, o Options) error {
	f := &follower{Options: o, show: showOn(o.Term)}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	err := track(ctx, subject{
		stream: f.stream, read: f.read, over: f.settled,
		draw: func(now time.Time, away *outage) {
			if f.known.Deployment.ID != "" {
				f.show.progress(f.known, now, away)
			}
		},
	})
	f.last(ctx)
	if ferr := f.show.final(f.known); ferr != nil && err == nil {
		err = ferr
	}
	return f.outcome(err)
}

func (f *follower) stream(ctx context.Context, see func(change) bool) error {
	return f.API.WatchDeployment(ctx, f.ID, func(d belay.Deployment) bool {
		return see(func() { f.known.Deployment, f.streamed = d, time.Now() })
	})
}

func (f *follower) read(ctx context.Context) (change, error) {
	began := time.Now()
	r, err := Read(ctx, f.API, f.ID)
	return func() {
		if f.streamed.After(began) { // the stream has been quicker
			r.Deployment = f.known.Deployment
		}
		f.known = r
	}, err
}

// last reads once more, so that the end is shown with all that belongs to it. Without an answer, what is known
// must do.
func (f *follower) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout/2)
	defer cancel()
	if r, err := Read(ctx, f.API, f.ID); err == nil {
		f.known = r
	}
}

// settled tells whether there is nothing more to wait for.
func (f *follower) settled() bool {
	switch s := f.known.Deployment.State; s {
	case belay.StateBaking:
		return !f.ToEnd
	case belay.StateHeld:
		return true
	default:
		return s.Final()
	}
}

// outcome gives the exit code, and says what goes on when this command ends before the deployment.
func (f *follower) outcome(err error) error {
	d := f.known.Deployment
	switch {
	case errors.Is(err, context.DeadlineExceeded) && f.settled(), errors.Is(err, context.Canceled) && f.settled():
		// It ended at the same moment.
	case errors.Is(err, context.DeadlineExceeded):
		f.Term.Warn("no verdict after %s; %s", belay.Duration(f.Timeout), f.goesOn())
		return exit.Outcome(exit.Timeout)
	case errors.Is(err, context.Canceled):
		f.Term.Warn("interrupted; %s", f.goesOn())
		return exit.Outcome(exit.Interrupted)
	case err != nil:
		return err
	}
	return exit.With(exit.OfDeployment(d.State))
}

func (f *follower) goesOn() string {
	name := f.ID
	if d := f.known.Deployment; d.Service != "" {
		name = d.String()
	}
	if f.Alone {
		return "nobody watches " + name + " now: go on with belay serve, or again with belay verify " + f.ID + " --standalone"
	}
	return name + " is still being watched by the server: belay verify " + f.ID
}
