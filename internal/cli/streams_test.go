package cli_test

import (
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
)

// TestStreamsInDocs: every stream of docs/streams.md is judged, and the tables name every field of a reading.
func TestStreamsInDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/streams.md")
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for i, part := range strings.Split(string(page), "```jsonl stream\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		got := runner{stdin: text}.run(t, "judge", "-")
		if got.errors != "" {
			t.Errorf("stream %d: exit code %d\n%s%s", i+1, got.code, got.out, got.errors)
		}
		word, _, _ := strings.Cut(got.out, " ")
		verdicts = append(verdicts, word)
	}
	if got := strings.Join(verdicts, " "); got != "INSUFFICIENT REGRESSED" {
		t.Errorf("verdicts %s", got)
	}
	for f := range fields(reflect.TypeFor[belay.Sample]()) {
		if !strings.Contains(string(page), "\n| `"+f+"` | ") {
			t.Errorf("the field %s of a reading is not in the table", f)
		}
	}
	_, answer, _ := strings.Cut(string(page), "`--output json` is one object:")
	object, signals, _ := strings.Cut(answer, "Each of `signals` has these fields")
	named(t, object, reflect.TypeFor[replay.Judgement]())
	named(t, signals, reflect.TypeFor[belay.SignalEvidence]())
}

// named holds the first columns of a table against the fields of a struct, both ways.
func named(t *testing.T, table string, of reflect.Type) {
	t.Helper()
	want := fields(of)
	for line := range strings.Lines(table) {
		column, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for i, f := range strings.Split(column, "`") {
			if i%2 == 0 || !strings.HasPrefix(line, "| `") {
				continue
			}
			if !want[f] {
				t.Errorf("the table has the field %q, which %s has not", f, of)
			}
			delete(want, f)
		}
	}
	for f := range want {
		t.Errorf("the field %q of %s is not in the table", f, of)
	}
}

// fields are the names in JSON of the fields of a struct.
func fields(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			maps.Copy(out, fields(t.Field(i).Type))
			continue
		}
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}
