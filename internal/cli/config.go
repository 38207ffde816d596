package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay/internal/config"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and explain the configuration",
		Args:  cobra.NoArgs,
	}
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration: every problem, with its line and what would be right",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.config = args[0]
			}
			cfg, err := c.loadConfig()
			if err != nil {
				return err
			}
			return c.print(map[string]any{"file": c.config, "services": len(cfg.Services), "ok": true}, func() {
				fmt.Fprintf(c.Stdout, "%s is good: %d service(s), %d proxy(ies)\n", c.config, len(cfg.Services), len(cfg.Proxies))
			})
		},
	}
	show := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a configuration with every default filled in; secrets are not shown",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.config = args[0]
			}
			cfg, err := c.loadConfig()
			if err != nil {
				return err
			}
			text, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = c.Stdout.Write(text)
			return err
		},
	}
	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of belay.yaml, for editors",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = c.Stdout.Write(b)
			return err
		},
	}
	cmd.AddCommand(check, show, schema)
	return cmd
}
