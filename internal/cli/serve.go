package cli

import (
	"github.com/spf13/cobra"

	"github.com/belaydev/belay/internal/cli/engine"
)

type logFlags struct{ level, format string }

func (l *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.level, "log-level", "info", "`level` of the log: debug, info, warn, error")
	cmd.Flags().StringVar(&l.format, "log-format", "text", "`format` of the log, on standard error: text or json")
	_ = cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
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
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return engine.Serve(cmd.Context(), c.engine(l.level, l.format))
		},
	}
	l.add(cmd)
	return cmd
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
		Args:    takes(0, 1, "the name of one proxy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return engine.Proxy(cmd.Context(), c.engine(l.level, l.format), name)
		},
	}
	l.add(cmd)
	return cmd
}
