package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app"
)

// stopTimeout bounds an orderly stop; what is not done by then is done by the next start.
const stopTimeout = 20 * time.Second

type logFlags struct{ level, format string }

func (l *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.level, "log-level", "info", "`level` of the log: debug, info, warn, error")
	cmd.Flags().StringVar(&l.format, "log-format", "text", "`format` of the log, on standard error: text or json")
}

func (c *cli) logger(l logFlags) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "--log-level %q is unknown", l.level).WithNext("use debug, info, warn or error")
	}
	o := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(c.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.Stderr, o)), nil
	}
	return nil, belay.Errorf(belay.CodeInvalid, "--log-format %q is unknown", l.format).WithNext("use text or json")
}

func (c *cli) serveCommand() *cobra.Command {
	var l logFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the belay server on the configuration",
		Long: `Run the belay server: it scrapes, probes, judges, rolls back, proves and tells, and serves the API on server.listen.

SIGHUP, or POST /-/reload, reads the configuration again; a configuration with problems changes nothing.
SIGTERM or SIGINT stops in order. After a kill -9, or a power cut, the next start goes on where this one was:
watches are replayed from their recorded evidence, a running rollback continues at its step.`,
		Example: "  belay serve\n  belay serve -c /etc/belay/belay.yaml --log-format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := c.logger(l)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), c.appOptions(log))
			if err != nil {
				return err
			}
			if err := a.Start(cmd.Context()); err != nil {
				return err
			}
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			for {
				select {
				case <-hup:
					if err := a.Reload(cmd.Context()); err != nil {
						log.Error("configuration not reloaded, the running one stays", "error", err)
					}
				case err := <-a.Failed():
					return joinStop(err, c.stop(a))
				case <-cmd.Context().Done():
					log.Info("stopping")
					return c.stop(a)
				}
			}
		},
	}
	l.add(cmd)
	return cmd
}

func joinStop(err, stop error) error {
	if stop != nil {
		return fmt.Errorf("%w; then %w", err, stop)
	}
	return err
}

func (c *cli) appOptions(log *slog.Logger) app.Options {
	return app.Options{ConfigFile: c.config, Lookup: c.lookup, Version: version, Logger: log}
}

func (c *cli) stop(a *app.App) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return a.Stop(ctx)
}

// withEngine calls do with a client of the server or, when standalone, of an engine in this process.
func (c *cli) withEngine(ctx context.Context, standalone bool, do func(context.Context, *client.Client) error) error {
	if !standalone {
		api, err := c.client()
		if err != nil {
			return err
		}
		return do(ctx, api)
	}
	o := c.appOptions(slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	o.Standalone = true
	a, err := app.New(ctx, o)
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
	if serr := c.stop(a); serr != nil {
		fmt.Fprintf(c.Stderr, "belay: %v\n", serr)
	}
	return err
}

func (c *cli) proxyCommand() *cobra.Command {
	var l logFlags
	cmd := &cobra.Command{
		Use:   "proxy [NAME]",
		Short: "Run a traffic proxy of the configuration, as a process of its own",
		Long: `Run a traffic proxy of the configuration, as a process of its own.

It routes requests to named slots by weight. The server changes weights through the admin address; the proxy keeps
serving, with its last weights, while the server is away, and starts with them again after its own restart.
NAME may be left out when the configuration has only one proxy.`,
		Example: "  belay proxy\n  belay proxy edge -c /etc/belay/belay.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := c.logger(l)
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return app.RunProxy(cmd.Context(), c.appOptions(log), name)
		},
	}
	l.add(cmd)
	return cmd
}
