// Package cli is the command line: one file per command. A command reads flags, calls the client and draws the
// answer; it decides nothing. Package app is used by the commands that run the engine in this process.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/config"
)

// version is set by the linker.
var version = "dev" //nolint:gochecknoglobals // the linker can set nothing else

// Environment is what a command may use of the operating system.
type Environment struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// cli holds the global flags and the environment of one run.
type cli struct {
	Environment
	server  string
	config  string
	output  string
	noColor bool
}

// Main runs the command line and returns the exit code. See ExitOK and the other codes.
func Main(ctx context.Context, env Environment) int {
	c := &cli{Environment: env}
	root := c.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if err != nil && !errors.As(err, new(outcome)) {
		c.explain(err)
	}
	return code
}

// explain writes the error for people, or as JSON when that was asked for.
func (c *cli) explain(err error) {
	if c.output == "json" {
		var p belay.Problem
		p.Error.Code, p.Error.Message = belay.CodeOf(err), err.Error()
		if e, ok := errors.AsType[*belay.Error](err); ok {
			p.Error.Next = e.Next
			p.Error.Message = strings.TrimSuffix(p.Error.Message, "; "+e.Next)
		}
		_ = json.NewEncoder(c.Stderr).Encode(p)
		return
	}
	fmt.Fprintf(c.Stderr, "belay: %v\n", err)
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "belay",
		Short: "Watch every deployment, take it back when it goes wrong, prove that it came back",
		Long: `belay watches every deployment, takes it back when it goes wrong, proves that it came back, and learns from it.

A deployment starts; belay observes it (metrics, health checks, the proxy's own counts), judges it against the
release before, and, when it is worse, runs the service's rollback plan, reads everything back from the real
systems and writes a certificate.

  belay serve                          run the server on ./belay.yaml
  belay deploy shop --version 1.5      deploy and watch
  belay verify shop                    wait for the verdict, with live progress
  belay rollback shop                  take it back, after showing what will change
  belay show ID                        decision card, certificate and timeline of a deployment

Exit codes: ` + exitCodesShort,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if c.output != "text" && c.output != "json" {
				return belay.Errorf(belay.CodeInvalid, "--output %q is unknown", c.output).WithNext("use text or json")
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return belay.Errorf(belay.CodeInvalid, "%w", err).WithNext("see %q", cmd.CommandPath()+" --help")
	})
	f := root.PersistentFlags()
	f.StringVarP(&c.config, "config", "c", envOr(c.Getenv, "BELAY_CONFIG", "belay.yaml"), "configuration `file` (BELAY_CONFIG)")
	f.StringVar(&c.server, "server", c.Getenv("BELAY_SERVER"), "server `address` (BELAY_SERVER); default: server.listen of the configuration, else http://127.0.0.1:8475")
	f.StringVarP(&c.output, "output", "o", "text", "`format` of the answer: text or json")
	f.BoolVar(&c.noColor, "no-color", false, "draw without colours (also NO_COLOR)")
	root.AddGroup(
		&cobra.Group{ID: "deploy", Title: "Deploy and roll back:"},
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "steer", Title: "Steer a deployment:"},
		&cobra.Group{ID: "run", Title: "Run and configure:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("deploy", c.deployCommand(), c.verifyCommand(), c.rollbackCommand(), c.planCommand())
	add("look", c.statusCommand(), c.historyCommand(), c.showCommand())
	add("steer", c.actCommands()...)
	add("run", c.serveCommand(), c.proxyCommand(), c.configCommand())
	return root
}

func envOr(getenv func(string) string, key, def string) string {
	if v := getenv(key); v != "" {
		return v
	}
	return def
}

// client connects to the server named by --server, BELAY_SERVER, or the configuration.
func (c *cli) client() (*client.Client, error) {
	addr := c.server
	if addr == "" {
		addr = c.configuredServer()
	}
	return client.New(addr, client.WithToken(belay.Secret(c.Getenv("BELAY_TOKEN"))))
}

// configuredServer looks into the configuration, if there is one and it can be read: a command that only asks
// a server must not fail for a broken file.
func (c *cli) configuredServer() string {
	if cfg, err := config.Load(c.config, c.lookup); err == nil && cfg.Server.Listen != "" {
		return "http://" + cfg.Server.Listen
	}
	return "http://127.0.0.1:8475"
}

func (c *cli) lookup(key string) (string, bool) {
	v := c.Getenv(key)
	return v, v != ""
}

func (c *cli) loadConfig() (*config.Config, error) {
	cfg, err := config.Load(c.config, c.lookup)
	if errors.Is(err, os.ErrNotExist) {
		return nil, belay.Errorf(belay.CodeInvalid, "there is no configuration file %s", c.config).
			WithNext("name one with --config, or write one: docs/quickstart.md starts with five lines")
	}
	return cfg, err
}

// style decides how to draw on stdout.
func (c *cli) style() screen.Style {
	s := screen.Style{Width: 100}
	if f, ok := c.Stdout.(*os.File); ok && term.IsTerminal(f.Fd()) {
		s.Color = !c.noColor && c.Getenv("NO_COLOR") == "" && c.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(f.Fd()); err == nil && w > 0 {
			s.Width = w
		}
	}
	return s
}

// live tells whether stdout can be redrawn.
func (c *cli) live() bool {
	f, ok := c.Stdout.(*os.File)
	return ok && term.IsTerminal(f.Fd()) && c.Getenv("TERM") != "dumb" && c.output == "text"
}

// print writes v as JSON, or draws it.
func (c *cli) print(v any, draw func()) error {
	if c.output == "json" {
		enc := json.NewEncoder(c.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	draw()
	return nil
}

// actor says who is at the keyboard, for the audit trail.
func (c *cli) actor() string {
	if v := c.Getenv("BELAY_ACTOR"); v != "" {
		return v
	}
	if c.Getenv("CI") != "" {
		return "ci:" + envOr(c.Getenv, "GITHUB_ACTOR", envOr(c.Getenv, "GITLAB_USER_LOGIN", "pipeline"))
	}
	if u, err := user.Current(); err == nil {
		return "user:" + u.Username
	}
	return "user:unknown"
}

// resolve finds the environment of a service: the named one, or the only one there is.
func (c *cli) resolve(ctx context.Context, api *client.Client, service, environment string) (belay.Ref, error) {
	if environment != "" {
		return belay.Ref{Service: service, Environment: environment}, nil
	}
	list, err := api.Services(ctx)
	if err != nil {
		return belay.Ref{}, err
	}
	return pick(list, service)
}

func pick(list []belay.ServiceStatus, service string) (belay.Ref, error) {
	var found []belay.Ref
	var names []string
	for _, s := range list {
		if s.Service == service {
			found = append(found, s.Ref)
			names = append(names, s.Environment)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var known []string
		for _, s := range list {
			known = append(known, s.Service)
		}
		return belay.Ref{}, belay.Errorf(belay.CodeNotFound, "there is no service %q", service).
			WithNext("the server knows: %s", strings.Join(known, ", "))
	}
	return belay.Ref{}, belay.Errorf(belay.CodeInvalid, "service %q has several environments", service).
		WithNext("name one with --env: %s", strings.Join(names, ", "))
}

// completeServices offers the names of the server's services.
func (c *cli) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := c.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := api.Services(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Service)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeDeployments offers the ids of deployments, active ones first.
func (c *cli) completeDeployments(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := c.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := api.Deployments(cmd.Context(), belay.DeploymentFilter{Limit: 20})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, d := range list {
		names = append(names, d.ID+"\t"+d.Ref.String()+" "+d.Release.String()+" "+string(d.State))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// abs makes a path absolute for messages that are read elsewhere.
func abs(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		return p
	}
	return path
}
