package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/belaydev/belay/internal/cli/exit"
)

const manual = "../../docs/cli.md"

// tree is the tree of commands, as it is where nothing is set in the environment.
func tree() *cobra.Command {
	_, root := build(Environment{Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Getenv: func(string) string { return "" }})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// TestManual holds docs/cli.md to the commands as they are; UPDATE=1 rewrites it.
func TestManual(t *testing.T) {
	got := writeManual(tree())
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(manual, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the commands say; run make generate", manual)
	}
}

func writeManual(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\n<!-- Made from the commands themselves by `make generate`. Do not edit. -->\n\n")
	b.WriteString("Every command understands `--output json`: the answer goes to standard output as one JSON value, an error to\n")
	b.WriteString("standard error as `{\"error\": {\"code\", \"message\", \"next\"}}`. On a terminal `deploy`, `verify` and `rollback` redraw a\n")
	b.WriteString("live view; in a pipe they write a line per event. `belay completion bash` (or zsh, fish, powershell) prints the\n")
	b.WriteString("script for your shell.\n\n## Exit codes\n\nPipelines decide by them.\n\n| code | meaning |\n| --- | --- |\n")
	for _, m := range exit.Table() {
		fmt.Fprintf(&b, "| %d | %s |\n", m.Code, m.Long)
	}
	b.WriteString("\n## Environment\n\n| variable | meaning |\n| --- | --- |\n")
	for _, v := range [][2]string{
		{"BELAY_CONFIG", "the configuration file, as `--config`"},
		{"BELAY_SERVER", "the server's address, as `--server`"},
		{"BELAY_TOKEN", "the bearer token that the server asks for"},
		{"BELAY_ACTOR", "who acts, for the record; default: `ci:` and the pipeline's user when `CI` is set, else `user:` and your login"},
		{"NO_COLOR", "any value: no colours"},
	} {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v[0], v[1])
	}
	b.WriteString("\n## Flags of every command\n\n")
	flags(&b, root.PersistentFlags())
	for _, g := range root.Groups() {
		fmt.Fprintf(&b, "## %s\n\n", strings.TrimSuffix(g.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.ID && cmd.Name() != "help" && cmd.Name() != "completion" {
				command(&b, cmd)
			}
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func command(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "### %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	text, _, _ = strings.Cut(text, "\n\nExit codes: ")
	fmt.Fprintf(b, "%s\n\n```\n%s\n```\n\n", text, cmd.UseLine())
	if cmd.Example != "" {
		var lines []string
		for l := range strings.Lines(cmd.Example) {
			lines = append(lines, strings.TrimRight(strings.TrimPrefix(l, "  "), "\n"))
		}
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", strings.Join(lines, "\n"))
	}
	flags(b, cmd.LocalNonPersistentFlags())
	for _, sub := range cmd.Commands() {
		command(b, sub)
	}
}

func flags(b *strings.Builder, set *pflag.FlagSet) {
	rows := ""
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if kind != "" && kind != "bool" {
			name += " " + strings.ToUpper(strings.ReplaceAll(kind, " ", "-"))
		}
		name += "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" {
			def = "`" + f.DefValue + "`"
		}
		rows += fmt.Sprintf("| %s | %s | %s |\n", name, strings.ReplaceAll(usage, "|", "\\|"), def)
	})
	if rows != "" {
		b.WriteString("| flag | meaning | default |\n| --- | --- | --- |\n" + rows + "\n")
	}
}
