package lookback

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/learn/backtest"
)

type backtestFlags struct {
	history     bool
	prometheus  string
	deployments string
	policies    []string
	against     []string
	of          belay.Ref
	since       string
	step        time.Duration
	length      time.Duration
	all         bool
}

// Backtest is "belay backtest".
func (c Commands) Backtest() *cobra.Command {
	var f backtestFlags
	cmd := &cobra.Command{
		Use:   "backtest [DIR]",
		Short: "Replay past deployments through a policy: what it would have taken back, and when",
		Long: `Replay past deployments through the present policy, through proposed ones, and through the usual rules of other
products, side by side: what each would have taken back, when, how many bad answers users would have been spared, how
often it would have been wrong. Nothing is changed. The same past and policies give the same answer.

The past comes from one of three places:

  DIR           a folder of evidence streams (*.jsonl, *.jsonl.gz), as "belay record" writes them. labels.yaml in it
                may say what became of each, and what it was worth.
  --history     what the server remembers of its own deployments, with the labels of "belay label".
  --prometheus  what a Prometheus-compatible server remembers. --deployments lists when was deployed; the
                configuration says how each service is measured.

The present policy is that of the configuration (--config); for a folder, the one that each stream was recorded with. Each --policy
adds one: a belay.yaml, or a file with the keys signals, hard_stops and watch of a service.

The exit code is 0 when all could be replayed, 1 when a record could not be read.`,
		Example: `  belay backtest --history --since 90d
  belay backtest --history --policy stricter.yaml --against argo,flagger,kayenta
  belay backtest --prometheus http://prometheus:9090 --deployments deployments.csv --output json
  belay backtest recordings/ --policy a.yaml --policy b.yaml --all`,
		Args: c.Takes(0, 1, "one folder of streams"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			}
			return c.backtest(cmd.Context(), dir, f)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.history, "history", false, "replay what the server remembers of its deployments")
	fs.StringVar(&f.prometheus, "prometheus", "", "replay what this server remembers: its `URL` (default with --deployments: metrics.url of the configuration)")
	fs.StringVar(&f.deployments, "deployments", "", "`file` that lists past deployments: .yaml, .json or .csv")
	fs.StringArrayVarP(&f.policies, "policy", "p", nil, "`file` of a proposed policy; may be given several times")
	fs.StringSliceVar(&f.against, "against", nil, "`rules` to compare with: argo, argo99, flagger, flagger1, kayenta")
	fs.StringVar(&f.of.Service, "service", "", "only this `service`; of streams, the one that they are of")
	fs.StringVarP(&f.of.Environment, "env", "e", "", "only this `environment`")
	fs.StringVar(&f.since, "since", "", "only deployments after this `time`: 30d, or 2026-05-01")
	fs.DurationVar(&f.step, "step", 0, "time between two looks at the Prometheus server (default 15s)")
	fs.DurationVar(&f.length, "length", 0, "how long to look at each deployment there (default: the longest deadline and bake)")
	fs.BoolVar(&f.all, "all", false, "tell of every deployment, not only of those that are decided differently")
	_ = cmd.MarkFlagFilename("policy", "yaml", "yml")
	_ = cmd.MarkFlagFilename("deployments", "yaml", "yml", "json", "csv")
	_ = cmd.RegisterFlagCompletionFunc("against", cobra.FixedCompletions([]string{"argo", "argo99", "flagger", "flagger1", "kayenta"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("service", c.Services)
	return cmd
}

func (c Commands) backtest(ctx context.Context, dir string, f backtestFlags) error {
	from, err := f.source(dir)
	if err != nil {
		return err
	}
	usual, err := past.Against(f.against)
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
		q, err = c.folder(ctx, dir, f)
	case fromHistory:
		q, err = c.history(ctx, f, since)
	case fromMetrics:
		q, err = c.metrics(ctx, f, since)
	}
	if err != nil {
		return c.explain(err)
	}
	q.rules = append(q.rules, usual...)
	report, err := c.replay(ctx, q)
	if err != nil {
		return err
	}
	if err := c.Print(report, func() string { return draw(c.Style(), report, f.all) }); err != nil {
		return err
	}
	for _, l := range report.Left {
		if l.Broken {
			return exit.With(exit.Error)
		}
	}
	return nil
}

// question is what is replayed through what.
type question struct {
	cases []backtest.Case
	left  []backtest.Left // what could not be a case
	rules []backtest.Rule

	streams *past.Streams // where the cases come from; nil for other places
	present *past.Policy  // of the configuration; nil when there is none
}

func (c Commands) replay(ctx context.Context, q question) (backtest.Report, error) {
	step, end := c.Counting("replaying")
	defer end()
	report, err := backtest.Run(ctx, q.cases, q.rules, backtest.Options{Workers: runtime.GOMAXPROCS(0), Progress: step})
	report.Left = append(q.left, report.Left...)
	return report, err
}

// The places that the past comes from.
const (
	fromFolder  = "a folder"
	fromHistory = "--history"
	fromMetrics = "--prometheus"
)

// source says where the past comes from, and refuses what does not go together.
func (f backtestFlags) source(dir string) (string, error) {
	var given []string
	if dir != "" {
		given = append(given, fromFolder)
	}
	if f.history {
		given = append(given, fromHistory)
	}
	if f.prometheus != "" || f.deployments != "" {
		given = append(given, fromMetrics)
	}
	switch {
	case len(given) == 0:
		return "", belay.Errorf(belay.CodeInvalid, "nothing to replay is named").
			WithNext("name a folder of streams, or add --history, or --prometheus URL --deployments FILE")
	case len(given) > 1:
		return "", belay.Errorf(belay.CodeInvalid, "the past can come from %s or from %s, not from both", given[0], given[1]).WithNext("leave one out")
	}
	from := given[0]
	switch {
	case from == fromMetrics && f.deployments == "":
		return "", belay.Errorf(belay.CodeInvalid, "a Prometheus server does not say when was deployed").
			WithNext("list the deployments in a file and add --deployments FILE: docs/backtest.md")
	case from != fromMetrics && (f.step != 0 || f.length != 0):
		return "", belay.Errorf(belay.CodeInvalid, "--step and --length are for --prometheus").WithNext("leave them out")
	case from == fromFolder && f.since != "":
		return "", belay.Errorf(belay.CodeInvalid, "--since cannot be: streams in a folder have no date").WithNext("leave it out")
	case f.step < 0 || f.length < 0 || f.step > 0 && f.step < time.Second:
		return "", belay.Errorf(belay.CodeInvalid, "--step and --length must be a second at least").WithNext("write for example --step 15s --length 40m")
	}
	return from, nil
}

// folder replays streams.
func (c Commands) folder(ctx context.Context, dir string, f backtestFlags) (question, error) {
	streams := &past.Streams{Dir: dir, Ref: f.of}
	cases, err := streams.Cases(ctx)
	if err != nil {
		return question{}, err
	}
	step, end := c.Counting("reading")
	signals, own, err := streams.Survey(ctx, step)
	end()
	if err != nil {
		return question{}, err
	}
	policies, err := past.LoadPolicies(f.policies, signals)
	if err != nil {
		return question{}, err
	}
	q := question{cases: cases, streams: streams}
	if own || len(policies) == 0 {
		q.rules = append(q.rules, past.AsRecorded(streams))
	}
	return q, q.propose(policies, streams)
}

// propose adds the rules of policies.
func (q *question) propose(policies []past.Policy, streams *past.Streams) error {
	for _, p := range policies {
		if err := p.Fit(q.cases); err != nil {
			return err
		}
		q.rules = append(q.rules, p.Rule(streams))
	}
	return nil
}

// present reads the configuration: its policy is the first.
func (c Commands) present(f backtestFlags) (*config.Config, []past.Policy, error) {
	path := c.Config()
	cfg, err := config.Load(path, c.Lookup)
	if err != nil {
		if again, other := config.Load(path, nil); other == nil { // without the secrets, which may be readable by the server alone
			cfg, err = again, nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	proposed, err := past.LoadPolicies(f.policies, past.Measured(cfg))
	return cfg, append([]past.Policy{past.Present(cfg, path)}, proposed...), err
}

// records are the deployments that a server remembers.
type records struct{ *client.Client }

// history replays what the server remembers. A server that is configured elsewhere may be asked without its file.
func (c Commands) history(ctx context.Context, f backtestFlags, since time.Time) (question, error) {
	api, err := c.Connect()
	if err != nil {
		return question{}, err
	}
	var policies []past.Policy
	if _, statErr := os.Stat(c.Config()); errors.Is(statErr, fs.ErrNotExist) && len(f.policies) > 0 {
		policies, err = past.LoadPolicies(f.policies, nil)
	} else {
		_, policies, err = c.present(f)
	}
	if err != nil {
		return question{}, err
	}
	h := past.History{Records: records{api}, Service: f.of.Service, Environment: f.of.Environment, Since: since}
	cases, left, err := h.Cases(ctx)
	if err != nil {
		return question{}, err
	}
	if len(cases) == 0 && len(left) == 0 {
		if f.of.Service != "" { // one that has no history may be mistyped
			if err := c.Known(ctx, api, f.of); err != nil {
				return question{}, err
			}
		}
		return question{}, belay.Errorf(belay.CodeNotFound, "the server remembers no deployments that fit").WithNext("belay history lists those that it knows")
	}
	q := question{cases: cases, left: left, present: &policies[0]}
	return q, q.propose(policies, nil)
}

// metrics replays what a Prometheus-compatible server remembers.
func (c Commands) metrics(ctx context.Context, f backtestFlags, since time.Time) (question, error) {
	text, err := os.ReadFile(f.deployments)
	if err != nil {
		return question{}, belay.Errorf(belay.CodeInvalid, "read the list of deployments: %w", err).WithNext("name a .yaml, .json or .csv file with --deployments")
	}
	entries, err := past.ReadList(f.deployments, text)
	if err != nil {
		return question{}, err
	}
	cfg, policies, err := c.present(f)
	if err != nil {
		return question{}, err
	}
	token, _ := c.Lookup("BELAY_PROMETHEUS_TOKEN")
	reader, err := past.Server(cfg, f.prometheus, belay.Secret(token))
	if err != nil {
		return question{}, err
	}
	entries = past.Only(cfg, entries, f.of, since)
	if len(entries) == 0 {
		if _, err := policies[0].Section(f.of); f.of.Service != "" && belay.CodeOf(err) == belay.CodeNotFound {
			return question{}, err
		}
		return question{}, belay.Errorf(belay.CodeNotFound, "%s lists no deployments that fit", f.deployments).WithNext("leave out --service, --env or --since")
	}
	m := past.Metrics{Reader: reader, Config: cfg, Step: f.step, Length: f.length, More: past.Sections(policies), Now: time.Now()}
	cases, err := m.Cases(ctx, entries)
	if err != nil {
		return question{}, err
	}
	q := question{cases: cases, present: &policies[0]}
	return q, q.propose(policies, nil)
}
