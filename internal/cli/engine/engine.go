// Package engine runs belay itself in this process: as a server, as a proxy, or inside one command (--standalone).
// It is the only part of the command line that knows package app.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app"
)

// stopTimeout bounds an orderly stop; what is not done by then is done by the next start.
const stopTimeout = 20 * time.Second

// Options say what to run.
type Options struct {
	Config  string                      // file
	Lookup  func(string) (string, bool) // environment variables, for secrets
	Version string
	Stderr  io.Writer
	Level   string // of the log: debug, info, warn, error
	Format  string // of the log: text, json
}

// NoFile is the error for a configuration file that is not there.
func NoFile(file string) error {
	return belay.Errorf(belay.CodeInvalid, "there is no configuration file %s", file).
		WithNext("name one with --config, or write one: docs/quickstart.md starts with five lines")
}

func (o Options) app() (app.Options, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return app.Options{}, belay.Errorf(belay.CodeInvalid, "--log-level %q is unknown", o.Level).WithNext("use debug, info, warn or error")
	}
	ho := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch o.Format {
	case "text":
		h = slog.NewTextHandler(o.Stderr, ho)
	case "json":
		h = slog.NewJSONHandler(o.Stderr, ho)
	default:
		return app.Options{}, belay.Errorf(belay.CodeInvalid, "--log-format %q is unknown", o.Format).WithNext("use text or json")
	}
	if _, err := os.Stat(o.Config); errors.Is(err, fs.ErrNotExist) {
		return app.Options{}, NoFile(o.Config)
	}
	return app.Options{ConfigFile: o.Config, Lookup: o.Lookup, Version: o.Version, Logger: slog.New(h)}, nil
}

// Serve runs the server until ctx ends or it cannot go on. SIGHUP reads the configuration again.
func Serve(ctx context.Context, o Options) error {
	ao, err := o.app()
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before the start: a hang-up that early must not end the process
	defer signal.Stop(hup)
	a, err := app.New(ctx, ao)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-hup:
			if err := a.Reload(ctx); err != nil {
				ao.Logger.Error("configuration not reloaded, the running one stays", "error", err)
			}
		case err := <-a.Failed():
			return errors.Join(err, stop(a))
		case <-ctx.Done():
			ao.Logger.Info("stopping")
			return stop(a)
		}
	}
}

// Proxy runs the named proxy, or the only one, until ctx ends.
func Proxy(ctx context.Context, o Options, name string) error {
	ao, err := o.app()
	if err != nil {
		return err
	}
	return app.RunProxy(ctx, ao, name)
}

// Standalone runs the whole engine for the time of do, which gets a client of it.
func Standalone(ctx context.Context, o Options, do func(context.Context, *client.Client) error) error {
	ao, err := o.app()
	if err != nil {
		return err
	}
	ao.Standalone = true
	a, err := app.New(ctx, ao)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	api, err := client.New(a.URL(), client.WithToken(a.Token()))
	if err == nil {
		err = do(ctx, api)
	}
	if serr := stop(a); serr != nil {
		// The outcome of the deployment matters more; what is left open is taken up by the next start.
		fmt.Fprintf(o.Stderr, "belay: stop the engine: %v\n", serr)
	}
	return err
}

func stop(a *app.App) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return a.Stop(ctx)
}
