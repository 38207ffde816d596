// Package lookback has the commands that judge the past again: "belay backtest" and "belay policy". They change
// nothing; what they judge with is package past, and package cli gives them the terminal and the way to a server.
package lookback

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/terminal"
	"github.com/belaydev/belay/internal/config"
)

// Commands are what the commands share with the rest of the command line.
type Commands struct {
	*terminal.Terminal
	Config  func() string // path of belay.yaml
	Connect func() (*client.Client, error)
	Lookup  func(key string) (string, bool)                                    // of the environment
	Known   func(ctx context.Context, api *client.Client, ref belay.Ref) error // an error when the server has no such service
	Takes   func(least, most int, what string) cobra.PositionalArgs
	Family  func(*cobra.Command)
	// Services completes the names of services.
	Services func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)
}

// explain gives each problem of a file a line of its own.
func (c Commands) explain(err error) error {
	list, ok := errors.AsType[*config.Problems](err)
	if !ok || c.JSON || len(*list) == 0 {
		return err
	}
	what := "a problem"
	if n := len(*list); n > 1 {
		what = fmt.Sprintf("%d problems", n)
	}
	return belay.Errorf(belay.CodeInvalid, "%s has %s:\n%w", (*list)[0].File, what, err)
}
