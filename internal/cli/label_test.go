package cli_test

import (
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

func TestLabels(t *testing.T) {
	w := newWorld()
	r := runner{server: w.serve(t)}
	if got := r.run(t, "history"); strings.Contains(got.out, "label") {
		t.Errorf("labels where there are none:\n%s", got.out)
	}
	r.run(t, "label", shopID, "wrong", "--reason", "the dashboard was broken")
	r.run(t, "label", mailID, "right")
	got := r.run(t, "history")
	for _, want := range []string{"state        label  when", "rolled back  wrong", "succeeded    right", "Listed and labelled: false rollbacks 1 of 2 (1.3–99 %), missed –"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("does not say %q:\n%s", want, got.out)
		}
	}
	if got := r.run(t, "show", shopID); !strings.Contains(got.out, "labelled wrong by user:test: the dashboard was broken") {
		t.Errorf("show:\n%s", got.out)
	}
	r.run(t, "label", shopID, "none")
	if l := w.deps[0].Label; l == nil || l.Word != belay.LabelNone || l.Actor != "user:test" {
		t.Errorf("asked to take it away: %+v", l)
	}
}

func TestLabelsThatCannotBe(t *testing.T) {
	w := newWorld()
	r := runner{server: w.serve(t)}
	for want, args := range map[string]string{
		`there is no label "good"; use right or wrong`: "label shop good",
		"needs a deployment and one of":                "label shop",
		`did you mean "shop"`:                          "label shpo right",
	} {
		if got := r.run(t, strings.Fields(args)...); got.code != 2 && got.code != 1 || !strings.Contains(got.errors, want) {
			t.Errorf("%s: exit code %d, %s", args, got.code, got.errors)
		}
	}
	w.refusal = belay.Errorf(belay.CodeConflict, "deployment %s has not ended", shopID)
	if got := r.run(t, "label", "shop", "right"); got.code != 7 || !strings.Contains(got.errors, "has not ended") {
		t.Errorf("exit code %d, %s", got.code, got.errors)
	}
}
