package lookback

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay/internal/app/advice"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/config"
)

func (c Commands) policySuggest() *cobra.Command {
	var f backtestFlags
	var dir string
	cmd := &cobra.Command{
		Use:   "suggest SERVICE",
		Short: "Propose thresholds, margins and the length of the watch from a service's past",
		Long: `Propose from the past of a service how it should be judged: thresholds that its good releases stayed clear of, margins
as wide as good releases really differ, a watch as long as it takes to prove a good release and to find a bad one; and
show what the present policy, each kind of change, and all of them together would have done. Nothing is changed.

A release counts as good when it is labelled so (belay label), or was kept and is not labelled; as bad when it is
labelled so. The past comes from the server's history, from --streams, or from --prometheus, as for "belay backtest".`,
		Example: `  belay policy suggest shop --since 90d
  belay policy suggest shop --prometheus http://prometheus:9090 --deployments deployments.csv
  belay policy suggest shop --streams recordings/ --output json`,
		Args:              c.Takes(1, 1, "one service"),
		ValidArgsFunction: c.Services,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.of.Service = args[0]
			f.history = dir == "" && f.prometheus == "" && f.deployments == ""
			return c.suggest(cmd.Context(), dir, f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&dir, "streams", "", "learn from the evidence streams in this `folder`, all of the service")
	fs.StringVar(&f.prometheus, "prometheus", "", "learn from what this server remembers: its `URL` (default with --deployments: metrics.url of the configuration)")
	fs.StringVar(&f.deployments, "deployments", "", "`file` that lists past deployments: .yaml, .json or .csv")
	fs.StringVarP(&f.of.Environment, "env", "e", "", "`environment` of the service (default: the only one)")
	fs.StringVar(&f.since, "since", "", "only deployments after this `time`: 30d, or 2026-05-01")
	fs.DurationVar(&f.step, "step", 0, "time between two looks at the Prometheus server (default 15s)")
	fs.DurationVar(&f.length, "length", 0, "how long to look at each deployment there (default: the longest deadline and bake)")
	_ = cmd.MarkFlagDirname("streams")
	_ = cmd.MarkFlagFilename("deployments", "yaml", "yml", "json", "csv")
	return cmd
}

func (c Commands) suggest(ctx context.Context, dir string, f backtestFlags) error {
	from, err := f.source(dir)
	if err != nil {
		return err
	}
	since, err := past.Since(f.since, time.Now())
	if err != nil {
		return err
	}
	var q question
	switch from {
	case fromFolder:
		q, err = c.folderOf(ctx, dir, f)
	case fromHistory:
		q, err = c.history(ctx, f, since)
	case fromMetrics:
		q, err = c.metrics(ctx, f, since)
	}
	if err != nil {
		return c.explain(err)
	}
	step, end := c.Counting("trying")
	a, err := advice.Suggest(ctx, advice.Question{Cases: q.cases, Streams: q.streams, Present: *q.present, Progress: step})
	end()
	if err != nil {
		return err
	}
	a.Report.Left = append(q.left, a.Report.Left...)
	return c.Print(a, func() string { return drawAdvice(c.Style(), a) })
}

// folderOf is a folder of one service's streams. Without a configuration the defaults are the present policy.
func (c Commands) folderOf(ctx context.Context, dir string, f backtestFlags) (question, error) {
	streams := &past.Streams{Dir: dir, Ref: f.of}
	cases, err := streams.Cases(ctx)
	if err != nil {
		return question{}, err
	}
	step, end := c.Counting("reading")
	signals, _, err := streams.Survey(ctx, step)
	end()
	if err != nil {
		return question{}, err
	}
	q := question{cases: cases, streams: streams}
	path := c.Config()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		cfg, err := config.ParsePolicy("the defaults", []byte("watch: {}\n"), signals)
		if err != nil {
			return q, err
		}
		q.present = &past.Policy{Name: "present", File: "the defaults", Config: cfg, Bare: true}
		return q, nil
	}
	_, policies, err := c.present(f)
	if err != nil {
		return q, err
	}
	q.present = &policies[0]
	return q, q.present.Fit(cases)
}

// drawAdvice writes advice for people.
func drawAdvice(s screen.Style, a advice.Advice) string {
	var b strings.Builder
	of := strings.Trim(a.String(), "/")
	b.WriteString(s.Wrap(s.Strong(of)+": learned from "+times(a.Good, "good release")+" and "+times(a.Bad, "bad one"), 2) + "\n")
	for _, c := range a.Changes {
		value := s.Dim(c.Present + ", leave it")
		if c.Proposed != "" {
			value = c.Present + " → " + s.Good(c.Proposed)
		}
		b.WriteString(s.Wrap("  "+s.Strong(c.Setting)+"  "+value, 6))
		b.WriteString(s.Wrap("      "+c.Why, 6))
	}
	b.WriteString("\n" + s.Strong("What each would have done") + "\n" + s.Tables(summaries(s, a.Report), 1) + notes(s, a.Report) + "\n")
	if t := matrix(s, a.Report, false); t != "" && len(a.Report.Disagreements) > 0 {
		b.WriteString(t + "\n")
	}
	how := "did no worse than the present policy on this past, and guards against more"
	if a.Better {
		how = "did better than the present policy on this past"
	}
	if a.Section == "" {
		b.WriteString(s.Wrap("Keep the present policy: nothing else is proposed, or what is did worse on this past.", 2))
	} else {
		b.WriteString(s.Wrap("Advised: "+s.Strong(a.Best)+", which "+how+". Put this under the service in belay.yaml:", 2) + "\n")
		for line := range strings.Lines(a.Section) {
			b.WriteString("    " + line)
		}
	}
	b.WriteString("\n")
	for _, n := range a.Notes {
		b.WriteString(s.Wrap(s.Dim("  "+n), 2))
	}
	b.WriteString(left(s, a.Report))
	return b.String()
}
