// Command judgebench measures how well the judge decides: how often it takes back a release that is fine, how soon it
// finds one that is not, whom that harms, and how far that is from what any rule could do. It runs pretended
// deployments, the same ones past the judge and past the rules that people use instead, and writes
// docs/decision-quality.md. All is drawn from seeds: it gives the same numbers on every machine.
//
// Whoever works on the judge will want -cells, which prints a line for each cell as it is done:
//
//	go run ./test/judgebench -cells -only B -rivals none -null clump5,retries -rate 20,200 -runs 300 -set dispersion=4
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay/test/judgebench/report"
	"github.com/belaydev/belay/test/judgebench/track"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "judgebench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.cells {
		_, err := measure(ctx, o, printCell)
		return err
	}
	began := time.Now()
	parts, err := measure(ctx, o, func(*track.Result, time.Duration) {})
	if err != nil {
		return err
	}
	command := "make bench-judge"
	if len(args) != 2 || args[0] != "-out" {
		command = "go run ./test/judgebench " + strings.Join(args, " ")
	}
	text, charts := report.Document(report.Run{
		Command: command, Date: began, Took: time.Since(began), Machine: machine(ctx), Changes: o.changes,
	}, parts)
	if o.out == "" {
		fmt.Print(text)
		return nil
	}
	return write(o.out, text, charts)
}

// write puts the report into a file and its charts beside it.
func write(out, text string, charts map[string]string) error {
	images := filepath.Join(filepath.Dir(out), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for name, svg := range charts {
		if err := os.WriteFile(filepath.Join(images, name), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "written to %s\n", out)
	return os.WriteFile(out, []byte(text), 0o644)
}

// machine describes where it was measured, for the times.
func machine(ctx context.Context) [][2]string {
	model := "unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	version := "unknown"
	if b, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(b))
	}
	return [][2]string{
		{"processor", fmt.Sprintf("%s, %d cores", model, runtime.NumCPU())},
		{"system", runtime.GOOS + ", " + runtime.GOARCH},
		{"Go", runtime.Version()},
		{"belay", version},
	}
}
