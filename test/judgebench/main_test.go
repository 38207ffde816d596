package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunWritesTheReportAndItsCharts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "decision-quality.md")
	err := run(t.Context(), []string{"-quick", "-only", "A,E", "-rivals", "none", "-rate", "200", "-share", "0.1", "-onset", "0", "-bad", "0.05,0.1", "-out", out, "-set", "margin=1.5"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go run ./test/judgebench -quick", "changed by `-set margin=1.5`", "## Gauges side by side"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(out), "images", "decision-harm.svg")); err != nil {
		t.Error(err)
	}
}

func TestArgumentsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "Z"}, {"-rate", "many"}, {"-set", "colour=red"}, {"-set", "margin"}, {"-cells", "-only", "E", "-rivals", "argo99"},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%s: was taken", strings.Join(args, " "))
		}
	}
}
