package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
	"github.com/belaydev/belay/internal/cli/engine"
	"github.com/belaydev/belay/internal/config"
)

// load reads the configuration that is named as the argument, or by --config.
func (c *cli) load(args []string) (*config.Config, error) {
	if len(args) == 1 {
		c.config = args[0]
	}
	cfg, err := config.Load(c.config, c.lookup, app.CheckQuery)
	if belay.CodeOf(err) == belay.CodeNotFound {
		// Naming a file that is not there is a mistake of the command line.
		return nil, engine.NoFile(c.config)
	}
	return cfg, err
}

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and explain the configuration",
		Long: `Check, show and explain the configuration. docs/configuration.md describes every key; with the JSON Schema, editors
complete and check the file while it is written.`,
	}
	family(cmd)
	check := &cobra.Command{
		Use:     "check [FILE]",
		Short:   "Check a configuration: every problem, with its line and what would be right",
		Example: "  belay config check\n  belay config check deploy/belay.yaml --output json",
		Args:    takes(0, 1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.load(args)
			if err != nil {
				return c.problems(err)
			}
			answer := map[string]any{"file": c.config, "ok": true, "services": len(cfg.Services), "proxies": len(cfg.Proxies)}
			return c.Print(answer, func() string {
				return fmt.Sprintf("%s is good: %s, %s\n", c.config, plural(len(cfg.Services), "service"), plural(len(cfg.Proxies), "proxy"))
			})
		},
	}
	show := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a configuration with every default filled in; secrets are not shown",
		Long:  "Show a configuration with every default filled in, as YAML. Secrets are not shown.",
		Args:  takes(0, 1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.load(args)
			if err != nil {
				return c.problems(err)
			}
			text, err := cfg.YAML()
			if err != nil {
				return err
			}
			if c.JSON {
				return c.Print(map[string]any{"file": c.config, "yaml": string(text)}, nil)
			}
			c.Say(string(text))
			return nil
		},
	}
	schema := &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of belay.yaml, for editors",
		Example: "  belay config schema > belay.schema.json",
		Args:    takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b, err := config.Schema()
			if err != nil {
				return err
			}
			c.Say(string(b))
			return nil
		},
	}
	cmd.AddCommand(check, show, schema)
	return cmd
}

// problems gives each problem of a configuration a line of its own.
func (c *cli) problems(err error) error {
	list, ok := errors.AsType[*config.Problems](err)
	if !ok || c.JSON {
		return err
	}
	n := len(*list)
	return belay.Errorf(belay.CodeInvalid, "%s has %s:\n%w", c.config, plural(n, "problem"), err)
}

func plural(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "proxy":
		return fmt.Sprintf("%d proxies", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
