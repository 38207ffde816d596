package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/unit"
)

var update = flag.Bool("update", false, "rewrite the expected files and docs/configuration.md")

// env is the environment of all tests: every variable but MISSING is set.
func env(name string) (string, bool) {
	return "hunter2-" + name, name != "MISSING"
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.bad.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d bad files, want at least 40 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.Parse("belay.yaml", src, env)
			var problems *config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			if got := belay.CodeOf(err); got != belay.CodeInvalid {
				t.Errorf("code %q, want %q", got, belay.CodeInvalid)
			}
			dir, _ := os.Getwd()
			golden(t, strings.TrimSuffix(file, ".bad.yaml")+".txt", []byte(strings.ReplaceAll(err.Error(), dir, "DIR")+"\n"))
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is made now (go test ./internal/config -update rewrites it)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestGoodFilesSurviveShow(t *testing.T) {
	for _, file := range goodFiles(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"_"+filepath.Base(file), func(t *testing.T) {
			c, err := config.Load(file, env)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := c.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(shown, []byte("hunter2")) {
				t.Errorf("a secret is shown:\n%s", shown)
			}
			again, err := config.Parse(file, shown, env)
			if err != nil {
				t.Fatalf("%v\nin\n%s", err, shown)
			}
			if !reflect.DeepEqual(config.Unplaced(c), config.Unplaced(again)) {
				t.Errorf("what is shown means something else:\n%s", shown)
			}
		})
	}
}

func goodFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no good files (%v)", err)
	}
	examples, err := filepath.Glob("../../examples/*/belay.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("found no examples (%v)", err)
	}
	return append(files, examples...)
}

func TestMinimal(t *testing.T) {
	src, err := os.ReadFile("../../examples/minimal/belay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(src, []byte("\n")); n != 5 {
		t.Errorf("the five-line file has %d lines", n)
	}
	c, err := config.Parse("/etc/belay/belay.yaml", src, env)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 1 || c.Services[0].Ref() != (belay.Ref{Service: "shop", Environment: "production"}) {
		t.Fatalf("services %+v", c.Services)
	}
	s, _ := c.Service(belay.Ref{Service: "shop", Environment: "production"})
	rung := s.Rollback.Rungs()
	if len(rung) != 1 || len(rung[0]) != 1 {
		t.Fatalf("rungs %+v", rung)
	}
	step := rung[0][0]
	check(t, "listen", c.Server.Listen, "127.0.0.1:8475")
	check(t, "data", c.Server.Data, "/etc/belay/belay-data")
	check(t, "watch interval", c.Metrics.WatchInterval, time.Second)
	check(t, "retention", c.Metrics.Retention.Size, unit.Size(2<<30))
	check(t, "health path", s.Health[0].HTTP.Path, "/healthz")
	check(t, "health name", s.Health[0].Name, "http")
	check(t, "health fall", s.Health[0].Fall, 3)
	check(t, "signals", len(s.Signals), 5)
	check(t, "smallest change of errors", s.Signals[0].SmallestChange, unit.Percent(0.005))
	check(t, "hard stop", s.HardStops[0].Above.Value, 0.25)
	check(t, "hard stop requests", s.HardStops[0].MinRequests, 20)
	check(t, "bake", s.Watch.Bake, 30*time.Minute)
	check(t, "false rollbacks", s.Watch.FalseRollback, unit.Percent(0.01))
	check(t, "no traffic", s.Watch.OnTimeout.Insufficient, config.TimeoutHold)
	check(t, "program", step.Command[0], "/etc/belay/rollback.sh")
	check(t, "driver", step.Driver(), "command")
	check(t, "kind", step.Kind, belay.StepWorkload)
	check(t, "budget", s.Rollback.Budget, 10*time.Minute)
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReference(t *testing.T) {
	golden(t, "../../docs/configuration.md", config.Reference())
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "belay.yaml"), env)
	if belay.CodeOf(err) != belay.CodeNotFound || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(t.TempDir(), env); belay.CodeOf(err) != belay.CodeInvalid {
		t.Errorf("a folder: got %v", err)
	}
}
