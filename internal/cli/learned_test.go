package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

func TestLearned(t *testing.T) {
	w := newWorld()
	r := runner{server: w.serve(t)}
	if got := r.run(t, "learned", "shop"); got.code != 0 || !strings.Contains(got.out, "shop/production  learned from 37 h") || !strings.Contains(got.out, "assumed") {
		t.Errorf("%+v", got)
	}
	var l belay.LearnedStatus
	if got := r.run(t, "learned", "shop", "--output", "json"); json.Unmarshal([]byte(got.out), &l) != nil || l.Hours != 37 || l.Service != "shop" {
		t.Errorf("as JSON: %+v", got)
	}
	if got := r.run(t, "learned", "shop", "--forget"); got.code != 2 || !strings.Contains(got.errors, "--yes") || w.lifted != "" {
		t.Errorf("forgotten though nobody could agree: %+v", got)
	}
	asked := runner{server: r.server, tty: true, stdin: "n\n"}
	if got := asked.run(t, "learned", "shop", "--forget"); got.code != 7 || w.lifted != "" {
		t.Errorf("forgotten after a no: %+v", got)
	}
	if got := r.run(t, "learned", "shop", "--forget", "--yes"); got.code != 0 || !strings.Contains(got.out, "nothing learned yet") || w.lifted != "shop/production forgotten by user:test" {
		t.Errorf("%+v, %q", got, w.lifted)
	}
	for args, want := range map[string]string{
		"learned":                    "needs one service",
		"learned shap":               `did you mean "shop"?`,
		"learned shop -e qa":         "there is no environment of shop",
		"learned shop -y":            "--yes goes with --forget",
		"learned shop --output yaml": "use text or json",
	} {
		if got := r.run(t, strings.Fields(args)...); got.code == 0 || !strings.Contains(got.errors, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
	w.refusal = belay.Errorf(belay.CodeNotFound, "nothing was learned of shop/production yet")
	if got := r.run(t, "learned", "shop", "--forget", "-y"); got.code == 0 || !strings.Contains(got.errors, "nothing was learned") {
		t.Errorf("nothing to forget: %+v", got)
	}
}
