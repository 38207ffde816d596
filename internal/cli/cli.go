// Package cli is the command line: one file per group of commands. A command reads flags, asks the client and
// draws the answer; it decides nothing. Subpackages hold what commands share: exit codes, the terminal, following,
// drawing, and the engine for the commands that run it here.
package cli

import (
	"context"
	"io"
	"net"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/engine"
	"github.com/belaydev/belay/internal/cli/evidence"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/lookback"
	"github.com/belaydev/belay/internal/cli/terminal"
	"github.com/belaydev/belay/internal/config"
)

// version is set by the linker; see Version.
var version = ""

// Version is that of the build: set by the linker, else of the module when it was installed by "go install".
func Version() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "dev"
}

// Environment is what a command may use of the operating system.
type Environment struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Measure gives the size of Stdout and whether it is a terminal; nil asks the system.
	Measure func() (columns, lines int, tty bool)
}

// cli holds the global flags and the environment of one run.
type cli struct {
	*terminal.Terminal
	server string
	config string
	output string
}

// Main runs the command line and returns the exit code; package exit lists them.
func Main(ctx context.Context, env Environment) int {
	c, root := build(env)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && exit.Code(err) == exit.Error {
		err = ctx.Err() // interrupted: whatever it was doing failed because of that
	}
	exit.Explain(env.Stderr, err, c.output == "json" || err != nil && wantsJSON(env.Args))
	return exit.Code(err)
}

func build(env Environment) (*cli, *cobra.Command) {
	c := &cli{Terminal: &terminal.Terminal{
		In: env.Stdin, Out: env.Stdout, Err: env.Stderr, Getenv: env.Getenv, Measure: env.Measure,
	}}
	root := c.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	return c, root
}

// wantsJSON looks for --output json in arguments that could not be parsed to their end.
func wantsJSON(args []string) bool {
	for i, a := range args {
		if a == "--" {
			return false
		}
		if v, ok := strings.CutPrefix(a, "--output="); ok && v == "json" || a == "-ojson" {
			return true
		}
		if (a == "--output" || a == "-o") && i+1 < len(args) && args[i+1] == "json" {
			return true
		}
	}
	return false
}

const rootLong = `belay watches every deployment, takes it back when it goes wrong, proves that it came back, and learns from it.

A deployment starts; belay observes it (metrics, health checks, the proxy's own counts), judges it against the
release before, and, when it is worse, runs the service's rollback plan, reads everything back from the real
systems and writes a certificate.

  belay serve                          run the server on ./belay.yaml
  belay deploy shop --version 1.5      deploy and watch
  belay verify shop                    wait for the verdict, with live progress
  belay rollback shop                  take it back, after showing what will change
  belay show ID                        decision card, certificate and timeline of a deployment

Exit codes: `

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "belay",
		Short:         "Watch every deployment, take it back when it goes wrong, prove that it came back",
		Long:          rootLong + exit.Summary() + ".",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       Version(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if more := cmd.Annotations[evidence.Formats]; c.output != "text" && c.output != "json" && (c.output != more || more == "") {
				return belay.Errorf(belay.CodeInvalid, "--output %q is unknown", c.output).WithNext("use text or json%s", strings.TrimSuffix(" or "+more, " or "))
			}
			c.JSON = c.output == "json"
			return nil
		},
	}
	family(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return belay.Errorf(belay.CodeInvalid, "%w", err).WithNext("see %q", cmd.CommandPath()+" --help")
	})
	f := root.PersistentFlags()
	f.StringVarP(&c.config, "config", "c", c.envOr("BELAY_CONFIG", "belay.yaml"), "configuration `file` (BELAY_CONFIG)")
	f.StringVar(&c.server, "server", c.envOr("BELAY_SERVER", ""), "server `address` (BELAY_SERVER); default: server.listen of the configuration, else http://127.0.0.1:8475")
	f.StringVarP(&c.output, "output", "o", "text", "`format` of the answer: text or json")
	f.BoolVar(&c.NoColor, "no-color", false, "draw without colours (also NO_COLOR)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	root.AddGroup(
		&cobra.Group{ID: "deploy", Title: "Deploy and roll back:"},
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "steer", Title: "Steer a deployment:"},
		&cobra.Group{ID: "learn", Title: "Learn from the past:"},
		&cobra.Group{ID: "run", Title: "Run and configure:"},
	)
	root.SetHelpCommandGroupID("run")
	root.SetCompletionCommandGroupID("run")
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("deploy", c.deployCommand(), c.verifyCommand(), c.rollbackCommand(), c.planCommand())
	seen := evidence.Commands{Terminal: c.Terminal, Output: func() string { return c.output }, Connect: c.connect, Newest: c.newest, Takes: takes, Offer: c.offer(offerBoth),
		Problems: func(file string, err error) error { c.config = file; return c.problems(err) }}
	add("look", c.statusCommand(), c.historyCommand(), c.showCommand(), seen.Record(), seen.Judge())
	again := lookback.Commands{Terminal: c.Terminal, Config: func() string { return c.config }, Connect: c.connect, Lookup: c.lookup, Known: configured, Takes: takes, Family: family, Services: c.offer(offerServices)}
	add("learn", c.learnedCommand(), c.labelCommand(), again.Backtest(), again.Policy())
	add("steer", append(c.actCommands(), c.liftCommand())...)
	add("run", c.serveCommand(), c.proxyCommand(), c.configCommand())
	return root
}

// family makes a command that only has subcommands: alone it prints its help, and a name that it does not know is
// an error with the nearest one that it does.
func family(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		e := belay.Errorf(belay.CodeInvalid, "there is no command %q", cmd.CommandPath()+" "+args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return e.WithNext("did you mean %q?", cmd.CommandPath()+" "+near[0])
		}
		return e.WithNext("see %q", cmd.CommandPath()+" --help")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// takes accepts from least to most arguments; what says what they are.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		n := len(args)
		if i := cmd.ArgsLenAtDash(); i >= 0 && i < n {
			return belay.Errorf(belay.CodeInvalid, "%q takes no command after \"--\"", cmd.CommandPath()).WithNext("see %q", cmd.CommandPath()+" --help")
		}
		switch {
		case n < least:
			return belay.Errorf(belay.CodeInvalid, "%q needs %s", cmd.CommandPath(), what).WithNext("write %q", "belay "+strings.TrimPrefix(cmd.UseLine(), "belay "))
		case n > most && most == 0:
			return belay.Errorf(belay.CodeInvalid, "%q takes no arguments, got %q", cmd.CommandPath(), args[0]).WithNext("see %q", cmd.CommandPath()+" --help")
		case n > most:
			return belay.Errorf(belay.CodeInvalid, "%q takes %s, got %q too", cmd.CommandPath(), what, args[most]).WithNext("write %q", "belay "+strings.TrimPrefix(cmd.UseLine(), "belay "))
		}
		return nil
	}
}

func (c *cli) envOr(key, def string) string {
	if v := c.Getenv(key); v != "" {
		return v
	}
	return def
}

func (c *cli) lookup(key string) (string, bool) {
	v := c.Getenv(key)
	return v, v != ""
}

// connect makes a client of the server named by --server, BELAY_SERVER, or the configuration.
func (c *cli) connect() (*client.Client, error) {
	token := belay.Secret(c.Getenv("BELAY_TOKEN"))
	if c.server != "" {
		return client.New(c.server, client.WithToken(token))
	}
	address, configured := c.configured()
	if token == "" {
		token = configured
	}
	return client.New(address, client.WithToken(token))
}

// configured looks into the configuration for the server's address and token, if there is one and it can be read:
// a command that only asks a server must not fail for a broken file. The token of the configuration goes to the
// server of the configuration and to no other.
func (c *cli) configured() (address string, token belay.Secret) {
	cfg, err := config.Load(c.config, c.lookup)
	if err != nil {
		cfg, err = config.Load(c.config, nil) // without the secrets: those may be readable by the server alone
	}
	if err != nil {
		return "http://127.0.0.1:8475", ""
	}
	host, port, err := net.SplitHostPort(cfg.Server.Listen)
	if err != nil {
		return "http://127.0.0.1:8475", ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on every address; one of them is here
	}
	return "http://" + net.JoinHostPort(host, port), cfg.Server.Token.Value
}

func (c *cli) engine(level, format string) engine.Options {
	return engine.Options{
		Config: c.config, Lookup: c.lookup, Version: Version(), Stderr: c.Err, Level: level, Format: format,
	}
}

// with calls do with a client of the server or, when standalone, of an engine in this process.
func (c *cli) with(ctx context.Context, standalone bool, do func(context.Context, *client.Client) error) error {
	if standalone {
		return engine.Standalone(ctx, c.engine("warn", "text"), do)
	}
	api, err := c.connect()
	if err != nil {
		return err
	}
	return do(ctx, api)
}
