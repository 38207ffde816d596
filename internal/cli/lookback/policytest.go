package lookback

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/judgetest"
)

// Policy is "belay policy".
func (c Commands) Policy() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Test a policy, and find a better one", Long: "Test how a service is judged against stories of how it fails, and find from its past how it should be judged."}
	c.Family(cmd)
	cmd.AddCommand(c.policyTest(), c.policySuggest())
	return cmd
}

// scriptEnd is how the name of a script ends.
const scriptEnd = ".judge"

// tested is what came of one script.
type tested struct {
	Script       string              `json:"script"`
	Passed       bool                `json:"passed"`
	Expectations int                 `json:"expectations"`
	Failures     []judgetest.Failure `json:"failures,omitempty"`
	Error        string              `json:"error,omitempty"` // the script cannot be read

	lines []string
}

func (c Commands) policyTest() *cobra.Command {
	var file string
	var of belay.Ref
	cmd := &cobra.Command{
		Use:   "test FILE|DIR...",
		Short: "Run verdict tests: what a service shows, and which verdict is expected when",
		Long: `Run verdict tests. A script (*.judge; docs/policy-tests.md) says what the releases show second by second and which
verdict is expected when; of a folder all scripts in it are run. Nothing is random, nothing is waited for.

They are judged by --policy: a belay.yaml, or a file with the keys signals, hard_stops and watch of a service; else by the default
policy. Lines of a script that begin with "policy" change it for that script.

The exit code is 0 when every expectation is met, 1 when one is not, 2 when a script or the policy cannot be read.`,
		Example: `  belay policy test tests/
  belay policy test leak.judge --policy belay.yaml --service shop
  belay policy test tests/ --output json`,
		Args: func(cmd *cobra.Command, args []string) error {
			return c.Takes(1, max(1, len(args)), "one script or folder at least")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error { return c.runScripts(args, file, of) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&file, "policy", "p", "", "`file` of the policy that is tested")
	fs.StringVar(&of.Service, "service", "", "`service` of that file (default: the only one)")
	fs.StringVarP(&of.Environment, "env", "e", "", "`environment` of that service (default: the only one)")
	_ = cmd.MarkFlagFilename("policy", "yaml", "yml")
	return cmd
}

func (c Commands) runScripts(args []string, file string, of belay.Ref) error {
	if file == "" && of != (belay.Ref{}) {
		return belay.Errorf(belay.CodeInvalid, "--service and --env choose from the file that --policy names, and there is none").WithNext("add --policy belay.yaml")
	}
	names, err := scripts(args)
	if err != nil {
		return err
	}
	var all []tested
	failed, unread := 0, 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return belay.Errorf(belay.CodeInvalid, "read the script: %w", err)
		}
		t := tested{Script: name, lines: strings.Split(string(text), "\n")}
		s, err := judgetest.ParseOn(name, string(text), func(shown []judgetest.Signal) (judge.Policy, error) {
			if file == "" {
				return judge.DefaultPolicy(), nil
			}
			p, err := under(file, of, shown)
			return p, err
		})
		var refused refusal
		switch {
		case errors.As(err, &refused):
			return c.explain(refused.error) // of no script's making
		case err != nil:
			t.Error = err.Error()
			unread++
		default:
			t.Expectations, t.Failures = s.Expectations(), s.Check()
			if t.Passed = len(t.Failures) == 0; !t.Passed {
				failed++
			}
		}
		all = append(all, t)
	}
	if err := c.Print(all, func() string { return drawTests(c.Style(), all) }); err != nil {
		return err
	}
	switch {
	case unread > 0:
		return exit.With(exit.Usage)
	case failed > 0:
		return exit.With(exit.Error)
	}
	return nil
}

// refusal is an error of the policy, which every script would meet.
type refusal struct{ error }

// Unwrap gives the cause.
func (r refusal) Unwrap() error { return r.error }

// under is the policy of a file for what a script shows.
func under(file string, of belay.Ref, shown []judgetest.Signal) (judge.Policy, error) {
	var seen replay.Seen
	for _, s := range shown {
		seen.Signals = append(seen.Signals, replay.SeenSignal{Name: s.Name, Kind: s.Kind, Candidate: s.Candidate})
	}
	policies, err := past.LoadPolicies([]string{file}, seen.Names())
	if err != nil {
		return judge.Policy{}, refusal{err}
	}
	section, err := policies[0].Section(of)
	if belay.CodeOf(err) == belay.CodeNotFound { // what the flags name, not what the script expects
		err = belay.Errorf(belay.CodeInvalid, "%s: %w", file, err)
	}
	if err != nil {
		return judge.Policy{}, refusal{err}
	}
	if len(shown) == 0 { // health checks alone
		return past.JudgePolicy(section.Service, nil), nil
	}
	return seen.Of(section)
}

// scripts are the files that are named, and those in the folders that are.
func scripts(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			return nil, belay.Errorf(belay.CodeInvalid, "there is no script or folder %s", arg).WithNext("write one: docs/policy-tests.md")
		case !info.IsDir():
			out = append(out, arg)
			continue
		}
		found, err := filepath.Glob(filepath.Join(escape(arg), "*"+scriptEnd))
		if err != nil || len(found) == 0 {
			return nil, belay.Errorf(belay.CodeInvalid, "no file in %s ends in %s", arg, scriptEnd).WithNext("write one: docs/policy-tests.md")
		}
		slices.Sort(found)
		out = append(out, found...)
	}
	return out, nil
}

// escape takes the meaning from what Glob would match.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

func drawTests(s screen.Style, all []tested) string {
	var b strings.Builder
	passed, failed, unread := 0, 0, 0
	for _, t := range all {
		switch {
		case t.Error != "":
			unread++
			b.WriteString(s.Bad("✗ ") + s.Strong(t.Script) + " cannot be read\n")
			for _, l := range strings.Split(t.Error, "\n") {
				b.WriteString(s.Wrap("    "+l, 6))
			}
		case t.Passed:
			passed++
			b.WriteString(s.Good("✓ ") + t.Script + s.Dim(fmt.Sprintf("  %s met", times(t.Expectations, "expectation"))) + "\n")
		default:
			failed++
			b.WriteString(s.Bad("✗ ") + s.Strong(t.Script) + fmt.Sprintf("  %d of %s not met\n", len(t.Failures), times(t.Expectations, "expectation")))
			for _, f := range t.Failures {
				b.WriteString(s.Dim(fmt.Sprintf("    %s:%d: %s", t.Script, f.Line, strings.TrimSpace(t.lines[f.Line-1]))) + "\n")
				b.WriteString(s.Wrap("      want  "+f.Want, 12))
				b.WriteString(s.Wrap("      got   "+f.Got, 12))
			}
		}
	}
	sum := []string{fmt.Sprintf("%d passed", passed)}
	if failed > 0 {
		sum = append(sum, s.Bad(fmt.Sprintf("%d failed", failed)))
	}
	if unread > 0 {
		sum = append(sum, s.Bad(fmt.Sprintf("%d cannot be read", unread)))
	}
	b.WriteString("\n" + strings.Join(sum, ", ") + "\n")
	return b.String()
}

func times(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
