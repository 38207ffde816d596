// Command bench measures the product and writes docs/benchmarks.md. It reports; it asserts nothing, since a machine
// that is busy with something else is no defect of belay. It needs the built binary ("make bench" builds it), no
// network and no rights, and leaves nothing behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run of the command.
type bench struct {
	belay string // the binary
	quick bool
	only  string // the scenarios asked for; empty is all
	clean []func()
	data  string // a data folder with history, once a scenario has left one
	heads []headline
	parts []part
}

// headline is one measured number against its limit.
type headline struct{ what, measured, limit, met, note string }

// part is one chapter of the report.
type part struct{ title, text string }

type scenario struct {
	name string
	run  func(context.Context, *bench) error
}

func scenarios() []scenario {
	return []scenario{
		{"harm", harm}, {"switch", switching}, {"start", starting}, {"proxy", overhead}, {"judge", judging}, {"rollback", rolling}, {"crash", crashing},
	}
}

func main() {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	out := flag.String("out", "", "`file` to write the report to; empty is standard output")
	bin := flag.String("belay", "bin/belay", "the built `binary`")
	quick := flag.Bool("quick", false, "fewer runs: about a minute")
	only := flag.String("only", "", "`names` of scenarios, with commas: "+strings.Join(names, ", "))
	role := flag.String("role", "", "used by the bench itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		if *role != "" {
			return play(ctx, *role, flag.Args())
		}
		return run(ctx, *bin, *out, *only, *quick)
	}()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1) //nolint:gocritic // everything was closed by then
	}
}

func run(ctx context.Context, bin, out, only string, quick bool) error {
	abs, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return fmt.Errorf("%w; \"make bench\" builds it", err)
	}
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	for _, w := range wanted {
		if !slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.name == w }) {
			return fmt.Errorf("there is no scenario %q", w)
		}
	}
	b := &bench{belay: abs, quick: quick, only: only}
	defer func() {
		for _, f := range slices.Backward(b.clean) {
			f()
		}
	}()
	began := time.Now()
	for _, s := range scenarios() {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) {
			continue
		}
		at := time.Now()
		b.say("== %s", s.name)
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("measure %s: %w", s.name, err)
		}
		b.say("   took %.1f s", time.Since(at).Seconds())
	}
	text := b.report(ctx, time.Since(began))
	if out == "" {
		fmt.Print("\n" + text)
		return nil
	}
	b.say("written to %s", out)
	return os.WriteFile(out, []byte(text), 0o644) //nolint:gosec // a document for everyone
}

// say prints progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// times chooses the number of runs.
func (b *bench) times(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

func (b *bench) headline(h headline) { b.heads = append(b.heads, h) }

func (b *bench) part(title, format string, args ...any) {
	b.parts = append(b.parts, part{title, fmt.Sprintf(format, args...)})
}
