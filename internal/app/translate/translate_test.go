package translate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
)

func env(string) (string, bool) { return "hunter2", true }

func parse(t *testing.T, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "belay.yaml"), []byte(yaml), env)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func first(t *testing.T, service string) (config.Service, *config.Config) {
	t.Helper()
	cfg := parse(t, "services: {shop: {"+service+"}}")
	return cfg.Services[0], cfg
}

// used says, for every setting of a service, who takes it. A setting that is added to the configuration and to no
// list here is one that does nothing.
func used() map[string]string {
	return map[string]string{
		"Name": "everywhere", "Environment": "everywhere",
		"Targets.Address": "Targets", "Targets.Release": "Targets", "Targets.Slot": "Targets",
		"Metrics.Path": "scrape.Jobs", "Metrics.Scheme": "scrape.Jobs", "Metrics.BearerToken.Env": "config", "Metrics.BearerToken.File": "config",
		"Metrics.BearerToken.Value": "scrape.Jobs", "Metrics.Selector": "Subject", "Metrics.ReleaseLabel": "Subject",
		"Health":       "Assignments, by TestEveryHealthSettingArrives",
		"Signals.Name": "JudgePolicy", "Signals.Query": "Specs", "Signals.Direction": "JudgePolicy", "Signals.Unit": "JudgePolicy",
		"Signals.Threshold": "JudgePolicy", "Signals.For": "JudgePolicy", "Signals.Quantile": "JudgePolicy", "Signals.Compare": "JudgePolicy",
		"Signals.SmallestChange": "JudgePolicy", "Signals.Harm": "JudgePolicy", "Signals.Margin": "JudgePolicy", "Signals.Dispersion": "JudgePolicy", "Signals.Weight": "JudgePolicy",
		"HardStops.Signal": "JudgePolicy", "HardStops.Above": "JudgePolicy", "HardStops.Below": "JudgePolicy", "HardStops.MinRequests": "JudgePolicy",
		"Watch.StartDeadline": "Settings", "Watch.Deadline": "Settings", "Watch.Bake": "Settings", "Watch.MinTime": "Settings",
		"Watch.Interval": "Settings", "Watch.FalseRollback": "JudgePolicy", "Watch.OnTimeout.NeverHealthy": "Settings",
		"Watch.OnTimeout.Insufficient": "Settings", "Watch.OnTimeout.Blind": "Settings",
		"Deploy.Command": "deploy", "Deploy.Timeout": "deploy", "Deploy.Env": "deploy",
		"Rollout.Proxy": "Settings, deploy", "Rollout.Steps": "Settings", "Rollout.StepTime": "Settings",
		"Rollback.Auto": "Settings", "Rollback.Budget": "app.planOf", "Rollback.ProofTimeout": "app.planOf", "Rollback.MaxPerHour": "app.buildEngine",
		"Rollback.Command": "config makes it a step", "Rollback.Steps": "Steps, by TestEveryStepSettingArrives",
		"Verify.FrontDoor": "proof", "Verify.Release": "proof", "Verify.ProofTime": "proof",
	}
}

func TestEverySettingOfAServiceIsUsed(t *testing.T) {
	known := used()
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			path := strings.TrimPrefix(prefix+"."+f.Name, ".")
			if _, ok := known[path]; ok {
				delete(known, path)
				continue
			}
			elem := f.Type
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if elem.Kind() == reflect.Struct && elem != reflect.TypeFor[time.Time]() {
				walk(path, elem)
				continue
			}
			t.Errorf("services.NAME.%s is translated for nobody: use it and name it in used", path)
		}
	}
	walk("", reflect.TypeFor[config.Service]())
	for path := range known {
		t.Errorf("%s is no setting any more: take it out of used", path)
	}
}

// filled sets every field of a struct, deeply, and returns how it looks as JSON in the end.
func filled(v reflect.Value, seed *int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				filled(f, seed)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), seed)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0), seed)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		filled(k, seed)
		filled(e, seed)
		v.SetMapIndex(k, e)
	case reflect.String:
		*seed++
		v.SetString("text" + string(rune('a'+*seed%26)) + string(rune('a'+*seed/26%26)))
	case reflect.Int, reflect.Int64:
		*seed++
		v.SetInt(int64(*seed))
	case reflect.Float64:
		*seed++
		v.SetFloat(float64(*seed))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("fill a " + v.Kind().String())
	}
}

// ignored says which fields of *in have no influence on what out says of it.
func ignored(t *testing.T, in any, out func() any) []string {
	t.Helper()
	var found []string
	before := out()
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Field(i).CanSet() {
					walk(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		default:
			old := reflect.New(v.Type()).Elem()
			old.Set(v)
			v.SetZero()
			if reflect.DeepEqual(before, out()) {
				found = append(found, strings.TrimPrefix(path, "."))
			}
			v.Set(old)
		}
	}
	walk("", reflect.ValueOf(in).Elem())
	return found
}

func TestEveryHealthSettingArrives(t *testing.T) {
	kinds := map[string]func(*config.HealthCheck){
		"http": func(h *config.HealthCheck) { h.HTTP = &config.HTTPCheck{} }, "tcp": func(h *config.HealthCheck) { h.TCP = &config.TCPCheck{} },
		"grpc": func(h *config.HealthCheck) { h.GRPC = &config.GRPCCheck{} }, "dns": func(h *config.HealthCheck) { h.DNS = &config.DNSCheck{} },
		"icmp": func(h *config.HealthCheck) { h.ICMP = &config.ICMPCheck{} }, "command": func(h *config.HealthCheck) { h.Command = &config.CommandCheck{} },
	}
	for name, set := range kinds {
		var all config.HealthCheck
		seed := 0
		filled(reflect.ValueOf(&all).Elem(), &seed)
		var h config.HealthCheck
		set(&h)
		// The one kind, and what all kinds have.
		v, from := reflect.ValueOf(&h).Elem(), reflect.ValueOf(&all).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && (f.Kind() != reflect.Pointer || !f.IsNil()) {
				f.Set(from.Field(i))
			}
		}
		if name == "http" {
			h.HTTP.Body = "a+"
		}
		s, _ := first(t, "targets: [127.0.0.1:1]")
		got := ignored(t, &h, func() any {
			s.Health = []config.HealthCheck{h}
			return translate.Assignments(s, "/dir", belay.ArmCandidate, []belay.Target{{Address: "a:1"}})
		})
		if len(got) > 0 {
			t.Errorf("a %s check ignores %v", name, got)
		}
	}
}

func TestEveryStepSettingArrives(t *testing.T) {
	for name, keep := range map[string]func(*config.Step){
		"command": func(s *config.Step) { s.HTTP, s.Proxy = nil, "" },
		"http":    func(s *config.Step) { s.Command, s.Inspect, s.Proxy = nil, nil, "" },
		"proxy":   func(s *config.Step) { s.Command, s.Inspect, s.HTTP = nil, nil, nil },
	} {
		var step config.Step
		seed := 0
		v := reflect.ValueOf(&step).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "Next" {
				filled(f, &seed)
			}
		}
		keep(&step)
		_, cfg := first(t, "targets: [127.0.0.1:1]")
		got := ignored(t, &step, func() any {
			specs, err := translate.Steps(config.Service{Rollback: config.Rollback{Steps: []config.Step{step}}}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			return specs
		})
		got = slices.DeleteFunc(got, func(p string) bool {
			return p == "HTTP" || p == "Command" || p == "Inspect" || p == "Proxy" || p == "Next" || // of another kind, or emptied whole
				p == "HTTP.Token.Value" // a plan is stored and shown: it says where the secret is
		})
		if len(got) > 0 {
			t.Errorf("a %s step ignores %v", name, got)
		}
	}
}

func TestPlansHoldNoSecret(t *testing.T) {
	s, cfg := first(t, `rollback: {steps: [{http: {url: "http://127.0.0.1:1/", token: {env: FLAGS}}}]}`)
	specs, err := translate.Steps(s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(specs); err != nil || strings.Contains(string(b), "hunter2") || !strings.Contains(string(b), "FLAGS") {
		t.Errorf("plan %s, %v", b, err)
	}
}

func TestFallbacksBecomeRungs(t *testing.T) {
	s, cfg := first(t, `rollback: {steps: [{command: [./a.sh], next: {command: [./b.sh], next: {command: [./c.sh]}}}]}`)
	specs, err := translate.Steps(s, cfg)
	if err != nil || len(specs) != 1 || specs[0].Next == nil || specs[0].Next.Next == nil || specs[0].Next.Next.Next != nil {
		t.Errorf("steps %+v, %v", specs, err)
	}
}

func TestEveryExampleIsJudged(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*/belay.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("examples %v, %v", files, err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse(file, src, env)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range cfg.Services {
			for _, d := range []belay.Deployment{
				{Release: belay.Release{Version: "2"}, Previous: belay.Release{Version: "1"}}, {Release: belay.Release{Version: "1"}},
				{Release: belay.Release{Version: "1"}, Previous: belay.Release{Version: "1"}},
			} {
				if err := translate.JudgePolicy(s, d, true).Validate(); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
}

func TestJudgePolicy(t *testing.T) {
	s, _ := first(t, `targets: [a:1], hard_stops: {error_rate: {above: 30%, min_requests: 7}}, watch: {min_time: 20s, deadline: 1m, bake: 2m, false_rollback_rate: 2%},
		signals: {error_rate: 5%, response_time: {threshold: 1s, quantile: 90%, for: 5s}, throughput: off, orders: {query: x, direction: lower_is_worse, threshold: 3}}`)
	p := translate.JudgePolicy(s, belay.Deployment{Release: belay.Release{Version: "2"}}, false)
	if p.FalseRollbackRate != 0.02 || p.MinTime != 20 || p.Deadline != 180 || p.Baseline != "before" || p.Candidate != "2" {
		t.Errorf("policy %+v", p)
	}
	by := map[string]judge.SignalPolicy{}
	for _, sig := range p.Signals {
		by[sig.Name] = sig
	}
	if e := by["error_rate"]; *e.Threshold != 0.05 || *e.HardStop != 0.3 || e.HardStopMin != 7 || e.Required || e.Kind != belay.KindEvents {
		t.Errorf("error_rate %+v", e)
	}
	if r := by["response_time"]; *r.Threshold != 1 || r.Quantile != 0.9 || r.For != 5 || r.Kind != belay.KindHistogram {
		t.Errorf("response_time %+v", r)
	}
	if o := by["orders"]; o.Direction != judge.LowerIsWorse || o.Compare || *o.Threshold != 3 || o.Kind != belay.KindGauge {
		t.Errorf("orders %+v", o)
	}
	if _, on := by["throughput"]; on {
		t.Error("throughput is judged although it is off")
	}
	if p := translate.JudgePolicy(s, belay.Deployment{}, true); !p.Signals[slices.IndexFunc(p.Signals, func(s judge.SignalPolicy) bool { return s.Name == "error_rate" })].Required {
		t.Error("without traffic it would be called healthy")
	}
}

func TestWhatIsComparedAndHow(t *testing.T) {
	s, _ := first(t, `targets: [a:1], signals: {error_rate: {margin: 1.3, dispersion: 4, harm: 3, weight: 0.5}, response_time: {compare: false}, cpu_usage: {compare: true, margin: 2x},
		throughput: {compare: true}, queue: {query: "q{$selector}", compare: true, direction: either_is_worse, weight: 0.2}, orders: {query: x, threshold: 3}}`)
	p := translate.JudgePolicy(s, belay.Deployment{Release: belay.Release{Version: "2"}}, false)
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	type row struct {
		compare                          bool
		margin, dispersion, harm, weight float64
		direction                        judge.Direction
	}
	got := map[string]row{}
	for _, sig := range p.Signals {
		got[sig.Name] = row{sig.Compare, sig.Margin, sig.Dispersion, sig.Harm, sig.Weight, sig.Direction}
	}
	want := map[string]row{
		"error_rate":    {true, 1.3, 4, 3, 0.5, judge.HigherIsWorse},
		"response_time": {false, 0, 0, 2, 0.4, judge.HigherIsWorse},
		"throughput":    {true, 0, 0, 0, 0.1, judge.LowerIsWorse},
		"cpu_usage":     {true, 2, 0, 0, 0.1, judge.HigherIsWorse},
		"memory_usage":  {false, 0, 0, 0, 0.1, judge.HigherIsWorse},
		"queue":         {true, 0, 0, 0, 0.2, judge.Either},
		"orders":        {false, 0, 0, 0, 0.1, judge.HigherIsWorse},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestABuiltInSignalThatIsMeasuredByAQueryIsAValue: its samples are no counts.
func TestABuiltInSignalThatIsMeasuredByAQueryIsAValue(t *testing.T) {
	s, _ := first(t, `targets: [a:1], signals: {error_rate: {query: x}}`)
	p := translate.JudgePolicy(s, belay.Deployment{}, true)
	if e := p.Signals[0]; e.Name != "error_rate" || e.Kind != belay.KindGauge || e.Compare || *e.HardStop != 0.25 {
		t.Errorf("error_rate %+v", e)
	}
}

func TestChecksAreAskedOfEachTargetOrOnce(t *testing.T) {
	s, _ := first(t, `targets: [a:1], health: [{http: /healthz}, {name: db, tcp: db:5432}, {name: own, command: [./check.sh]}]`)
	targets := []belay.Target{{Address: "a:1"}, {Address: "https://b:2/metrics"}}
	var got []string
	for _, a := range translate.Assignments(s, "/dir", belay.ArmCandidate, targets) {
		got = append(got, a.Name+"@"+a.Target)
	}
	if want := "http@http://a:1 http@https://b:2 db@db:5432 own@http://a:1 own@https://b:2"; strings.Join(got, " ") != want {
		t.Errorf("candidate: %q, want %q", strings.Join(got, " "), want)
	}
	for _, a := range translate.Assignments(s, "/dir", belay.ArmBaseline, targets) {
		if a.Name == "db" {
			t.Error("what is of the whole service is put to the old release too")
		}
	}
}

func TestTargetsAndSpecsBehindAProxy(t *testing.T) {
	cfg := parse(t, `{proxies: {edge: {listen: "127.0.0.1:1", slots: {blue: "127.0.0.1:2", green: "127.0.0.1:3"}}},
		services: {shop: {rollout: {proxy: edge}, signals: {orders: {query: x}}}}}`)
	s := cfg.Services[0]
	if got := translate.Behind(translate.Targets(s, cfg), "green"); len(got) != 1 || got[0].Address != "127.0.0.1:3" {
		t.Errorf("behind green: %+v", got)
	}
	var names []string
	for _, spec := range translate.Specs(s) {
		names = append(names, spec.Name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "cpu_usage memory_usage orders" {
		t.Errorf("read from metrics: %s; the proxy counts the rest", got)
	}
	if w := translate.Settings(s, cfg); strings.Join(w.Slots, " ") != "blue green" || !slices.Equal(w.Policy.Steps, []int{10, 50, 100}) || w.Policy.HealthFirst {
		t.Errorf("settings %+v", w)
	}
}
