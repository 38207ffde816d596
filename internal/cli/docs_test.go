package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/belaydev/belay/internal/config"
)

// pages are the pages for people: all Markdown at the top and in docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[f] = string(b)
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d pages found", len(out))
	}
	return out
}

// block is a fenced block of a page.
type block struct {
	info, text string
	line       int
}

func blocks(page string) []block {
	var out []block
	var open *block
	for i, l := range strings.Split(page, "\n") {
		fence := strings.TrimSpace(l)
		switch {
		case open == nil && strings.HasPrefix(fence, "```"):
			open = &block{info: strings.TrimPrefix(fence, "```"), line: i + 1}
		case open != nil && fence == "```":
			out, open = append(out, *open), nil
		case open != nil:
			open.text += l + "\n"
		}
	}
	return out
}

// TestExamplesInDocs: every block that is marked as a belay.yaml is one.
func TestExamplesInDocs(t *testing.T) {
	n := 0
	for file, page := range pages(t) {
		for _, b := range blocks(page) {
			marked := b.info == "yaml belay.yaml"
			if !marked && strings.HasPrefix(b.info, "yaml") && strings.Contains(b.text, "rollback:") && !strings.Contains(file, "configuration.md") {
				t.Errorf("%s:%d: looks like a belay.yaml; mark it as ```yaml belay.yaml, so that it is checked", file, b.line)
			}
			if !marked {
				continue
			}
			n++
			if _, err := config.Parse(fmt.Sprintf("%s:%d", file, b.line), []byte(b.text), nil); err != nil {
				t.Errorf("%s:%d is refused:\n%v", file, b.line, err)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d examples found", n)
	}
}

var inline = regexp.MustCompile("`(belay [^`]*)`")

// TestCommandsInDocs: every belay command in the pages exists, with its flags.
func TestCommandsInDocs(t *testing.T) {
	n := 0
	for file, page := range pages(t) {
		var found []string
		for _, b := range blocks(page) {
			if strings.HasPrefix(b.info, "yaml") || b.info == "sh" || b.info == "console" || b.info == "" {
				for l := range strings.Lines(b.text) {
					found = append(found, commandIn(l)...)
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(page, -1) {
			found = append(found, m[1])
		}
		for _, c := range found {
			n++
			if err := known(c); err != nil {
				t.Errorf("%s: %q: %v", file, c, err)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d commands found", n)
	}
}

// commandIn finds a belay command at the start of a line of a shell, after a prompt, "- run:" or "if !".
func commandIn(line string) []string {
	line = strings.TrimSpace(line)
	for _, lead := range []string{"$ ", "- run: ", "run: ", "- ", "if ! ", "sudo ", "ExecStart=/usr/local/bin/"} {
		line = strings.TrimPrefix(line, lead)
	}
	if !strings.HasPrefix(line, "belay ") {
		return nil
	}
	for _, end := range []string{" #", " |", " >", " &", ";"} {
		line, _, _ = strings.Cut(line, end)
	}
	return []string{strings.TrimSuffix(strings.TrimSpace(line), "\\")}
}

// known tells whether the words are a command, with flags that it has.
func known(text string) error {
	words := strings.Fields(text)[1:]
	cmd, rest, err := tree().Find(words)
	if err != nil {
		return err
	}
	if len(words) > 0 && !cmd.HasParent() && !strings.HasPrefix(words[0], "-") && words[0] != "..." {
		return fmt.Errorf("there is no command %q", words[0])
	}
	if cmd.HasSubCommands() && cmd.HasParent() && cmd.Name() == "config" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !strings.Contains(rest[0], "|") {
		return fmt.Errorf("there is no command %q", rest[0])
	}
	for _, w := range rest {
		if strings.Trim(w, "[]") == "--" {
			break
		}
		if flag := strings.Trim(w, "[]"); strings.HasPrefix(flag, "-") && flag != "-" && !hasFlag(cmd, flag) {
			return fmt.Errorf("%s has no flag %s", cmd.CommandPath(), flag)
		}
	}
	return nil
}

func hasFlag(cmd *cobra.Command, word string) bool {
	name, _, _ := strings.Cut(word, "=")
	has := func(set *pflag.FlagSet) bool {
		if long, ok := strings.CutPrefix(name, "--"); ok {
			return set.Lookup(long) != nil
		}
		return set.ShorthandLookup(name[1:2]) != nil
	}
	cmd.InitDefaultHelpFlag()
	return has(cmd.Flags()) || has(cmd.InheritedFlags()) || name == "--version"
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinksInDocs: what a page points to in this repository is there.
func TestLinksInDocs(t *testing.T) {
	for file, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s points to %s: %v", file, m[1], err)
			}
		}
	}
}

var folder = regexp.MustCompile("`((?:internal|client|cmd|examples|test|docs)(?:/[a-z_0-9-]+)*(?:/[a-z_0-9.-]+\\.[a-z]+)?)(?:/\\.\\.\\.)?/?`")

// TestFoldersInDocs: every folder and file of this repository that a page names exists.
func TestFoldersInDocs(t *testing.T) {
	n := 0
	for file, page := range pages(t) {
		for _, m := range folder.FindAllStringSubmatch(page, -1) {
			n++
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s names %s: %v", file, m[1], err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d folders found", n)
	}
}
