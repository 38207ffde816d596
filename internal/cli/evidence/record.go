package evidence

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/exit"
)

type recordFlags struct {
	file     string
	noFollow bool
}

// Record is "belay record".
func (c Commands) Record() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record DEPLOYMENT | SERVICE",
		Short: "Write what a watch saw, so that it can be judged anywhere",
		Long: `Write what a watch saw as an evidence stream (docs/streams.md): every reading, the policy, and the names of the releases.
"belay judge" of it comes to the same verdict, with no server. A watch that goes on is followed to its end; --no-follow
takes what there is now. The name of a service means its newest deployment.

What a person or a deadline decided is not evidence: the stream has what they knew. The names of instances are in it; look
through it before you give it to strangers.`,
		Example: `  belay record shop --file evidence.jsonl
  belay record d-01kdexample --no-follow | belay judge -`,
		Args:              c.Takes(1, 1, "one deployment or service"),
		ValidArgsFunction: c.Offer,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.Connect()
			if err != nil {
				return err
			}
			id, err := c.Newest(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return c.record(cmd.Context(), api, id, f)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.file, "file", "f", "", "write to this `file` (default: standard output)")
	fs.BoolVar(&f.noFollow, "no-follow", false, "end with what there is now")
	_ = cmd.MarkFlagFilename("file", "jsonl")
	return cmd
}

func (c Commands) record(ctx context.Context, api *client.Client, id string, f recordFlags) error {
	counted := &Lines{To: c.Out}
	if f.file == "" {
		err := api.Record(ctx, id, !f.noFollow, counted)
		return c.recorded(err, counted.N)
	}
	file := &LaterFile{Name: f.file}
	counted.To = file
	err := api.Record(ctx, id, !f.noFollow, counted)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err = c.recorded(err, counted.N); err == nil {
		c.Warn("%d lines of %s are in %s: belay judge %s", counted.N, id, f.file, f.file)
	}
	return err
}

// recorded says of a recording that was cut off that what there is of it can be judged.
func (c Commands) recorded(err error, lines int) error {
	switch {
	case errors.Is(err, context.Canceled):
		c.Warn("interrupted: %d lines are written, which can be judged as they are", lines)
		return exit.Outcome(exit.Interrupted)
	case err != nil && lines > 0:
		c.Warn("%d lines are written, which can be judged as they are", lines)
	}
	return err
}
