package cli_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/belaydev/belay"
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
	for f := range fields(reflect.TypeFor[belay.SignalEvidence]()) {
		switch f {
		case "signal", "verdict", "candidate", "baseline", "n", "x", "base_n", "base_x", "e_value", "limit", "effect", "interval", "trail":
			if !strings.Contains(string(page), "`"+f+"`") {
				t.Errorf("the field %s of the answer is not there", f)
			}
		}
	}
}

// fields are the names in JSON of the fields of a struct.
func fields(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}
