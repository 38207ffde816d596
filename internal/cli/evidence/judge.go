package evidence

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/cli/exit"
)

type judgeFlags struct {
	policy, svg string
	choice      belay.Ref
}

// Judge is "belay judge".
func (c Commands) Judge() *cobra.Command {
	var f judgeFlags
	cmd := &cobra.Command{
		Use:   "judge FILE",
		Short: "Judge recorded evidence: no server, no state",
		Long: `Judge recorded evidence as a watch would have, without a server and without keeping anything. FILE is an evidence
stream (docs/streams.md), as "belay record" writes it or anybody else: JSON Lines, one reading of one instance a line;
- is standard input. It may be compressed by gzip. The same stream and policy give the same answer, byte for byte. A
stream that is not right to its last line is refused, with the number of the line.

It is judged by --policy: a belay.yaml, or a file with the keys signals, hard_stops and watch of a service. Without it,
by the policy that the stream brings along, as recordings do. Without that, every signal in it is compared, 25 % errors
stop at once, and the signal that says most about users, error_rate where there is one, is needed for healthy.

The verdict is regressed if the release ever was called that; judging stops there. Else it is that of the end. The exit
code is 0 for healthy, 3 for regressed, 5 for insufficient and blind.`,
		Example: `  belay judge evidence.jsonl
  belay judge evidence.jsonl --policy belay.yaml --service shop
  belay record shop | belay judge - --output json
  belay judge evidence.jsonl --svg card.svg`,
		Args:        c.Takes(1, 1, "one file, or - for standard input"),
		Annotations: map[string]string{Formats: "svg"},
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.judge(cmd.Context(), args[0], f)
			if errors.Is(err, context.Canceled) {
				c.Warn("interrupted")
				return exit.Outcome(exit.Interrupted)
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.policy, "policy", "p", "", "`file` that says how to judge: a belay.yaml, or signals, hard_stops and watch of a service")
	fs.StringVar(&f.choice.Service, "service", "", "`service` of that file (default: the only one)")
	fs.StringVarP(&f.choice.Environment, "env", "e", "", "`environment` of that service (default: the only one)")
	fs.StringVar(&f.svg, "svg", "", "write the decision card as a picture to this `file` too")
	_ = cmd.MarkFlagFilename("policy", "yaml", "yml")
	_ = cmd.MarkFlagFilename("svg", "svg")
	return cmd
}

func (c Commands) judge(ctx context.Context, file string, f judgeFlags) error {
	if f.policy == "" && f.choice != (belay.Ref{}) {
		return belay.Errorf(belay.CodeInvalid, "--service and --env choose from the file that --policy names, and there is none").WithNext("add --policy belay.yaml")
	}
	if f.svg == "-" {
		return belay.Errorf(belay.CodeInvalid, "--svg wants the name of a file").WithNext("for the picture on standard output write --output svg")
	}
	src, done, err := Open(ctx, c.Terminal, file)
	defer done()
	if err != nil {
		return err
	}
	judged, err := c.judged(src, f)
	if err != nil {
		return err
	}
	for _, name := range judged.NotJudged {
		c.Warn("%s is in the stream and is not judged: the policy does not name it", name)
	}
	if f.svg != "" {
		if err := os.WriteFile(f.svg, judged.SVG(), 0o644); err != nil { //nolint:gosec // a picture to be shown
			return belay.Errorf(belay.CodeInvalid, "write the picture: %w", err).WithNext("name another file with --svg")
		}
	}
	if c.Output() == "svg" {
		c.Say(string(judged.SVG()))
	} else if err := c.Print(judged, func() string {
		return c.Style().Charts(judged.Card, judged.Candidate, judged.Baseline)
	}); err != nil {
		return err
	}
	return exit.With(exit.OfVerdict(judged.Verdict))
}

// judged judges by what the flags name, by what the stream brings along, or by all that is in it.
func (c Commands) judged(src replay.Source, f judgeFlags) (replay.Judgement, error) {
	if f.policy == "" {
		return replay.File(src)
	}
	seen, err := replay.Survey(src)
	if err != nil {
		return replay.Judgement{}, err
	}
	section, err := Section(f.policy, f.choice, seen.Names())
	if err != nil {
		return replay.Judgement{}, c.Problems(f.policy, err)
	}
	p, err := seen.Of(section)
	if err != nil {
		return replay.Judgement{}, err
	}
	return replay.Judge(src, p)
}
