package past_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/observe/metric"
)

var start = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// lines are an evidence stream: so many bad answers of so many, for so many seconds.
func lines(seconds int, candidate, baseline [2]int) string {
	var b strings.Builder
	for t := 1; t <= seconds; t++ {
		fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"candidate","instance":"a","n":%d,"x":%d}`+"\n", t, candidate[1], candidate[0])
		fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"baseline","instance":"b","n":%d,"x":%d}`+"\n", t, baseline[1], baseline[0])
	}
	return b.String()
}

func run(t *testing.T, cases []backtest.Case, rules ...backtest.Rule) backtest.Report {
	t.Helper()
	r, err := backtest.Run(t.Context(), cases, rules, backtest.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fates are those of a case by each rule.
func fates(r backtest.Report, id string) string {
	for _, o := range r.Cases {
		if o.ID == id {
			var out []string
			for _, res := range o.Results {
				out = append(out, string(res.Fate))
			}
			return strings.Join(out, " ")
		}
	}
	return ""
}

func TestAFolderOfStreams(t *testing.T) {
	dir := t.TempDir()
	packed, err := os.Create(filepath.Join(dir, "d-2.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(packed)
	_, _ = z.Write([]byte(lines(90, [2]int{30, 100}, [2]int{0, 100})))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	_ = packed.Close()
	write(t, dir, map[string]string{
		"d-1.jsonl":       lines(300, [2]int{0, 100}, [2]int{0, 100}),
		"good-3.jsonl":    lines(300, [2]int{2, 100}, [2]int{2, 100}),
		"d-4.jsonl":       `{"kind":"policy","policy":{"signals":[{"name":"error_rate","kind":"events","threshold":0.5,"required":true}]}}` + "\n" + lines(300, [2]int{9, 100}, [2]int{0, 100}),
		"d-4.label":       "bad\n",
		"torn.jsonl":      lines(3, [2]int{0, 1}, [2]int{0, 1}) + "{\n",
		"notes.txt":       "not a stream",
		"labels.yaml":     "d-1: good\nd-2: {label: bad, outcome: rolled_back, rolled_back_at: 80s, first_bad: 1s}\n",
		"../strict.yaml":  "signals: {error_rate: {threshold: 1%, for: 5s}}\n",
		"../several.yaml": "services: {shop: {}, mail: {}}\n",
	})
	s := &past.Streams{Dir: dir}
	cases, err := s.Cases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signals, own, err := s.Survey(t.Context(), nil)
	if err != nil || !own || len(signals) != 1 {
		t.Errorf("survey: %v, %v, %v", signals, own, err)
	}
	policies, err := past.LoadPolicies([]string{filepath.Join(dir, "../strict.yaml")}, signals)
	if err != nil || policies[0].Name != "strict" || policies[0].Fit(cases) != nil {
		t.Fatalf("policies %+v, %v", policies, err)
	}
	r := run(t, cases, past.AsRecorded(s), policies[0].Rule(s))
	for id, want := range map[string]string{"d-1": "kept kept", "d-2": "taken_back taken_back", "good-3": "kept undecided", "d-4": "kept taken_back"} {
		if got := fates(r, id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if len(r.Left) != 1 || r.Left[0].ID != "torn" || !r.Left[0].Broken || !strings.Contains(r.Left[0].Reason, "torn.jsonl: line 7") && !strings.Contains(r.Left[0].Reason, "torn.jsonl:7") {
		t.Errorf("left out: %+v", r.Left)
	}
	if g, b := r.Labelled(); g != 2 || b != 2 {
		t.Errorf("%d good, %d bad", g, b)
	}
	if o := r.Cases[1]; o.ID != "d-2" || *o.Actual.T != 80 || *o.FirstBad != 1 || o.Actual.Fate != backtest.FateTakenBack {
		t.Errorf("%+v", o)
	}
	several, err := past.LoadPolicies([]string{filepath.Join(dir, "../several.yaml")}, signals)
	if err != nil {
		t.Fatal(err)
	}
	if err := several[0].Fit(cases); err == nil || !strings.Contains(err.Error(), "several.yaml: the configuration has 2 services") {
		t.Errorf("a file of two services for streams of nobody knows which: %v", err)
	}
}

func TestWrongFolders(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"empty":           {nil, "there are no streams in"},
		"two of one name": {map[string]string{"a.jsonl": "", "a.jsonl.gz": ""}, "same name"},
		"unknown stream":  {map[string]string{"abc.jsonl": "", "labels.yaml": "abd: good\n"}, `labels.yaml:1:1: abd: there is no such stream in the folder; did you mean "abc"?`},
		"word":            {map[string]string{"a.jsonl": "", "labels.yaml": "a: fine\n"}, `labels.yaml:1:4: label: "fine" is neither good nor bad`},
		"field":           {map[string]string{"a.jsonl": "", "labels.yaml": "a: {lable: good}\n"}, `did you mean "label"?`},
		"outcome":         {map[string]string{"a.jsonl": "", "labels.yaml": "a: {outcome: gone}\n"}, `"gone" is no outcome`},
		"time":            {map[string]string{"a.jsonl": "", "labels.yaml": "a: {first_bad: 12}\n"}, "no unit"},
		"no mapping":      {map[string]string{"a.jsonl": "", "labels.yaml": "[a]\n"}, "want a mapping"},
		"beside":          {map[string]string{"a.jsonl": "", "a.label": "wrong\n"}, `a.label: "wrong" is neither good nor bad`},
	} {
		dir := t.TempDir()
		write(t, dir, c.files)
		s := &past.Streams{Dir: dir}
		if _, err := s.Cases(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	s := &past.Streams{Dir: filepath.Join(t.TempDir(), "none")}
	if _, err := s.Cases(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no folder") {
		t.Errorf("%v", err)
	}
}

func TestReadList(t *testing.T) {
	csv := "time,service,version,label,outcome,rolled_back_at,first_bad\n2026-05-02 10:00,shop,2,bad,,12m,1m\n# noted by hand\n2026-05-01T10:00:00Z,shop,1,good,kept,,\n"
	yaml := "- {time: 2026-05-02 10:00, service: shop, version: 2, label: bad, rolled_back_at: 12m, first_bad: 2026-05-02 10:01}\n- {time: 1777629600, service: shop, version: 1, label: good, outcome: kept}\n"
	js := "{\"deployments\": [\n\t{\"time\": \"2026-05-02T12:00:00+02:00\", \"service\": \"shop\", \"version\": \"2\", \"label\": \"bad\", \"rolled_back_at\": \"12m\", \"first_bad\": \"1m\"},\n\t{\"time\": \"2026-05-01T10:00\", \"service\": \"shop\", \"version\": \"1\", \"label\": \"good\", \"outcome\": \"kept\"}\n]}"
	for name, text := range map[string]string{"l.csv": csv, "l.yaml": yaml, "l.json": js} {
		list, err := past.ReadList(name, []byte(text))
		if err != nil || len(list) != 2 {
			t.Errorf("%s: %+v, %v", name, list, err)
			continue
		}
		first, second := list[0], list[1]
		if !first.Time.Equal(start) || first.Version != "1" || first.Label != backtest.TruthGood || first.Outcome != backtest.FateKept || first.Service != "shop" {
			t.Errorf("%s: first %+v", name, first)
		}
		if second.Outcome != backtest.FateTakenBack || second.BackAt.Sub(second.Time) != 12*time.Minute || second.FirstBad.Sub(second.Time) != time.Minute {
			t.Errorf("%s: second %+v", name, second)
		}
	}
	if list, err := past.ReadList("l.yml", []byte("- 2026-05-01T10:00:00Z\n- 2026-05-01T12:00:00Z\n")); err != nil || len(list) != 2 || list[0].Outcome != backtest.FateUnknown {
		t.Errorf("bare times: %+v, %v", list, err)
	}
}

func TestWrongLists(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "l.csv",
		"when,service\n":                        `l.csv:1:1: when: unknown field`,
		"time,servise\n":                        `did you mean "service"?`,
		"time,time\n":                           "given twice",
		"time\nyesterday\n":                     `l.csv:2:1: time: "yesterday" is no time`,
		"time,version\n,1\n":                    "l.csv:2:1: time: is missing",
		"time,version\n2026-05-01T10:00:00Z\n":  "l.csv:2:",
		"time,label\n2026-05-01 10:00,fine\n":   `l.csv:2:18: label: "fine" is neither good nor bad`,
		"time,outcome\n2026-05-01 10:00,gone\n": `"gone" is no outcome`,
		"time,outcome,rolled_back_at\n2026-05-01 10:00,kept,5m\n": "it was kept, and yet",
		"time,first_bad\n2026-05-01 10:00,2026-05-01 09:00\n":     "before the deployment",
		"time\n": "it lists no deployments",
	} {
		if _, err := past.ReadList("l.csv", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"a: 1\n":                      "want a list of deployments",
		"- [1]\n":                     "want a deployment",
		"- {time: {a: b}}\n":          "want a text",
		"- {tme: 2026-05-01 10:00}\n": `did you mean "time"?`,
	} {
		if _, err := past.ReadList("l.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := past.ReadList("l.txt", nil); err == nil || !strings.Contains(err.Error(), "write it as") {
		t.Errorf("%v", err)
	}
}

// told are the deployments that a belay remembers.
type told struct {
	list  []belay.Deployment // newest first
	ticks map[string][]belay.Tick
	pages int
}

func (r *told) Deployments(_ context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	r.pages++
	var out []belay.Deployment
	for _, d := range r.list {
		if (f.Before == "" || d.ID < f.Before) && (f.Service == "" || d.Service == f.Service) && len(out) < f.Limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (r *told) GetRollback(_ context.Context, id string) (belay.Rollback, error) {
	return belay.Rollback{ID: id, StartedAt: start.Add(70 * time.Second)}, nil
}

func (r *told) Ticks(_ context.Context, id string, see func(belay.Tick) error) error {
	for _, tick := range r.ticks[id] {
		if err := see(tick); err != nil {
			return err
		}
	}
	return nil
}

func ticks(seconds int, candidate, baseline [2]float64) []belay.Tick {
	var out []belay.Tick
	for i := 1; i <= seconds; i++ {
		t := float64(i)
		out = append(out, belay.Tick{T: t, Sources: []belay.SourceStatus{{Source: "scrape of a:1", OK: true}}, Samples: []belay.Sample{
			{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Instance: "a", X: candidate[0], N: candidate[1]},
			{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmBaseline, Instance: "b", X: baseline[0], N: baseline[1]},
		}})
	}
	return out
}

func parse(t *testing.T, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("belay.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const shop = `services:
  shop:
    environment: production
    targets: ["a:1"]
    metrics: {selector: {job: shop}}
    rollback: {steps: [{command: [./back.sh]}]}
`

func TestHistory(t *testing.T) {
	ref := belay.Ref{Service: "shop", Environment: "production"}
	of := func(id string, state belay.State, change func(*belay.Deployment)) belay.Deployment {
		d := belay.Deployment{ID: id, Ref: ref, Release: belay.Release{Version: id}, Previous: belay.Release{Version: "0"}, State: state, CreatedAt: start, DeployedAt: start.Add(time.Second), Trigger: "regressed"}
		if change != nil {
			change(&d)
		}
		return d
	}
	r := &told{ticks: map[string][]belay.Tick{
		"d-1": ticks(900, [2]float64{0, 50}, [2]float64{0, 50}), "d-2": ticks(60, [2]float64{20, 50}, [2]float64{0, 50}), "d-3": ticks(80, [2]float64{0, 50}, [2]float64{0, 50}),
	}, list: []belay.Deployment{
		of("d-7", belay.StateRolledBack, func(d *belay.Deployment) { d.Reverts, d.Actor = "d-1", "user:ann" }),
		of("d-6", belay.StateWatching, nil), of("d-5", belay.StateRefused, nil), of("d-4", belay.StateSucceeded, nil),
		of("d-3", belay.StateRolledBack, func(d *belay.Deployment) {
			d.Trigger, d.Rollback, d.Label = "user:ann", "r-3", &belay.Label{Word: belay.LabelWrong}
		}),
		of("d-2", belay.StateRolledBack, func(d *belay.Deployment) {
			d.DetectedAt, d.Card, d.Label = start.Add(9*time.Second), &belay.Card{Verdict: belay.VerdictRegressed, FirstBad: new(float64)}, &belay.Label{Word: belay.LabelRight}
		}),
		of("d-1", belay.StateSucceeded, nil),
	}}
	cases, left, err := past.History{Records: r}.Cases(t.Context())
	if err != nil || len(cases) != 4 || len(left) != 2 {
		t.Fatalf("%d cases, left %+v, %v", len(cases), left, err)
	}
	report := run(t, cases, past.Present(parse(t, shop), "belay.yaml").Rule(nil))
	got := map[string]string{}
	for _, o := range report.Cases {
		at := "-"
		if o.Actual.T != nil {
			at = fmt.Sprint(*o.Actual.T)
		}
		got[o.ID] = fmt.Sprint(o.Truth, " ", o.Actual.Fate, " ", at, " ", o.Results[0].Fate, " ", o.Actual.Note)
	}
	for id, want := range map[string]string{
		"d-1": " kept - kept taken back by hand on 2026-05-01 by user:ann (d-7)", "d-2": "bad taken_back 9 taken_back ", "d-3": "good taken_back 70 undecided ",
	} {
		if got[id] != want {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	if len(report.Left) != 1 || report.Left[0].ID != "d-4" || report.Left[0].Broken {
		t.Errorf("nothing was recorded of d-4: %+v", report.Left)
	}
	if cases, _, err := (past.History{Records: r, Since: start.Add(time.Hour)}).Cases(t.Context()); err != nil || len(cases) > 0 {
		t.Errorf("since later: %d, %v", len(cases), err)
	}
}

func TestHistoryIsReadInPages(t *testing.T) {
	r := &told{}
	for i := range 450 {
		r.list = append(r.list, belay.Deployment{ID: fmt.Sprintf("d-%03d", 449-i), State: belay.StateSucceeded, CreatedAt: start})
	}
	cases, _, err := past.History{Records: r}.Cases(t.Context())
	if err != nil || len(cases) != 450 || cases[0].ID != "d-000" || r.pages != 3 {
		t.Errorf("%d cases in %d pages, %v", len(cases), r.pages, err)
	}
}

// TestMetrics replays what a metrics store remembers of a shop that is replaced in place: 1.1 was good, 1.2 was not.
func TestMetrics(t *testing.T) {
	store, err := metric.Open(metric.Options{Dir: t.TempDir(), Retention: 1e6 * time.Hour, MaxBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	good, bad := map[string]float64{}, map[string]float64{}
	var samples []metric.Sample
	for s := -1800; s <= 7200; s += 15 {
		version, share := "1.0", 0.01
		switch {
		case s >= 3600:
			version, share = "1.2", 0.3
		case s >= 0:
			version = "1.1"
		}
		bad[version] += 300 * share
		good[version] += 300 * (1 - share)
		for code, v := range map[string]float64{"200": good[version], "500": bad[version]} {
			samples = append(samples, metric.Sample{T: start.Add(time.Duration(s) * time.Second), V: v,
				Labels: map[string]string{"__name__": "http_requests_total", "job": "shop", "instance": "a:1", "version": version, "code": code}})
		}
	}
	if err := store.Append(t.Context(), samples); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, shop)
	list, err := past.ReadList("l.csv", []byte("time,version,previous,label,rolled_back_at\n2026-05-01T10:00:00Z,1.1,1.0,good,\n2026-05-01T11:00:00Z,1.2,1.1,bad,20m\n2026-05-03T11:00:00Z,1.3,1.2,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	replayed := func() []byte {
		m := past.Metrics{Reader: store, Config: cfg, Now: start.Add(1000 * time.Hour)}
		cases, err := m.Cases(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		usual, err := past.Against([]string{"argo"})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, cases, past.Present(cfg, "belay.yaml").Rule(nil), usual[0])
		if a, b := fates(r, "shop@2026-05-01T10:00:00"), fates(r, "shop@2026-05-01T11:00:00"); a != "kept kept" || b != "taken_back taken_back" {
			t.Errorf("1.1: %s; 1.2: %s", a, b)
		}
		if len(r.Left) != 1 || !strings.Contains(r.Left[0].Reason, "nothing of the new release") || !strings.Contains(r.Left[0].Reason, "{job=shop}") {
			t.Errorf("left out: %+v", r.Left)
		}
		if o := r.Cases[1]; *o.Results[0].Avoided < 5000 || *o.Results[0].T > 60 {
			t.Errorf("1.2: %+v avoided %v", o.Results[0], *o.Results[0].Avoided)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if first, again := replayed(), replayed(); string(first) != string(again) {
		t.Error("the same past gave two answers")
	}
	if _, err := (past.Metrics{Reader: store, Config: cfg}).Cases(t.Context(), []past.Entry{{Ref: belay.Ref{Service: "mail"}, Time: start, Line: 3}}); err == nil || !strings.Contains(err.Error(), "line 3: the configuration has no service mail") {
		t.Errorf("unknown service: %v", err)
	}
	kept := past.Only(cfg, list, belay.Ref{Service: "shop"}, start.Add(time.Minute))
	if len(kept) != 2 || len(past.Only(cfg, list, belay.Ref{Service: "mail"}, time.Time{})) != 0 {
		t.Errorf("only: %+v", kept)
	}
}

func TestWrongPolicies(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": "signals: {eror_rate: {threshold: 1%}}\n", "b.yaml": "watch: {min_time: 3s}\n"})
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{a}, `a.yaml:1:22: signals.eror_rate`},
		{[]string{b, b}, "named twice"},
		{[]string{filepath.Join(dir, "c.yaml")}, "there is no policy"},
		{[]string{dir}, "read the policy"},
	} {
		if _, err := past.LoadPolicies(c.files, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.files, err, c.want)
		}
	}
	if _, err := past.Against([]string{"argo", "flager"}); err == nil || !strings.Contains(err.Error(), `did you mean "flagger"?`) {
		t.Errorf("%v", err)
	}
	if _, err := past.Against([]string{"spinnaker"}); err == nil || !strings.Contains(err.Error(), "kayenta") {
		t.Errorf("%v", err)
	}
	if r, err := past.Against([]string{"argo", "argo", "kayenta"}); err != nil || len(r) != 2 {
		t.Errorf("%v, %v", r, err)
	}
	if got := past.Name([]string{"x/a.yaml", "y/a.yml"}, "x/a.yaml"); got != "x/a.yaml" {
		t.Errorf("two files of one name are told apart by %q", got)
	}
	for text, want := range map[string]time.Time{"30d": start.Add(-720 * time.Hour), "2026-04-01": time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), "2026-04-01 10:00": time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC), "": {}} {
		if got, err := past.Since(text, start); err != nil || !got.Equal(want) {
			t.Errorf("since %q: %v, %v", text, got, err)
		}
	}
	if _, err := past.Since("soon", start); err == nil {
		t.Error("since soon")
	}
	if _, err := past.Server(parse(t, shop), "", ""); err == nil || !strings.Contains(err.Error(), "metrics.url") {
		t.Errorf("%v", err)
	}
}
