package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/belaydev/belay/test/bench/figure"
)

// report writes the document.
func (b *bench) report(ctx context.Context, took time.Duration) string {
	var w strings.Builder
	command := "make bench"
	if b.quick || b.only != "" {
		command = "go run ./test/bench"
	}
	if b.quick {
		command += " -quick"
	}
	if b.only != "" {
		command += " -only " + b.only
	}
	fmt.Fprintf(&w, `<!-- Written by "make bench". Do not edit: run it again. -->

# Benchmarks

Measured by `+"`%s`"+` on %s, in %.0f s. Everything here was measured in that one run, by the built binary unless
it says otherwise. The numbers are of that machine, which also ran the users, the application and what belay is
compared with; nothing else was kept from running on it.

%s
To repeat: `+"`make bench`"+` (needs Go and a few minutes; nginx is a further peer where it is installed),
`+"`go run ./test/bench -quick`"+` for a minute's version with fewer runs, `+"`-only harm,switch`"+` for some of it.
A missed limit is written down and fails nothing: time is not asserted, since it depends on the machine.

`, command, time.Now().UTC().Format("2006-01-02 15:04 MST"), took.Seconds(), machine(ctx, b))
	t := figure.NewTable("What", "Measured", "Limit", "", "In the same run")
	for _, h := range b.heads {
		t.Row(h.what, h.measured, h.limit, h.met, h.note)
	}
	fmt.Fprintf(&w, "%s\nIn every table: p90 is the value that nine of ten runs did not exceed (nearest rank); min and max are single runs.\n", t)
	for _, p := range b.parts {
		fmt.Fprintf(&w, "\n## %s\n\n%s\n", p.title, strings.TrimSpace(p.text))
	}
	return w.String()
}

// machine describes where it was measured.
func machine(ctx context.Context, b *bench) string {
	model, memory := "unknown", "unknown"
	if s, ok := field("/proc/cpuinfo", "model name"); ok {
		model = s
	}
	if s, ok := field("/proc/meminfo", "MemTotal"); ok {
		var kb float64
		if _, err := fmt.Sscanf(s, "%f kB", &kb); err == nil {
			memory = fmt.Sprintf("%.1f GiB", kb/(1<<20))
		}
	}
	version := "unknown"
	if out, err := exec.CommandContext(ctx, b.belay, "--version").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	return figure.NewTable("Machine", "").
		Row("processor", fmt.Sprintf("%s, %d cores", model, runtime.NumCPU())).
		Row("memory", memory).
		Row("kernel", runtime.GOOS+" "+strings.TrimSpace(string(kernel))+", "+runtime.GOARCH).
		Row("Go", runtime.Version()).
		Row("belay", version).
		Row("load averages at the end", strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], ", ")).
		String()
}

// field reads "name : value" from a file of the kernel.
func field(path, name string) (string, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}
