package exit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
)

func TestCode(t *testing.T) {
	for want, errs := range map[int][]error{
		exit.OK:          {nil},
		exit.Error:       {errors.New("x"), belay.Errorf(belay.CodeNotFound, "x"), belay.Errorf(belay.CodeInternal, "x")},
		exit.Usage:       {belay.Errorf(belay.CodeInvalid, "x"), fmt.Errorf("read: %w", belay.Errorf(belay.CodeInvalid, "x"))},
		exit.Refused:     {belay.Errorf(belay.CodeConflict, "x"), belay.Errorf(belay.CodeDenied, "x")},
		exit.Unavailable: {belay.Errorf(belay.CodeUnavailable, "x")},
		exit.Interrupted: {context.Canceled, fmt.Errorf("ask: %w", context.Canceled)},
		exit.RolledBack:  {exit.Outcome(exit.RolledBack), exit.With(3)},
	} {
		for _, err := range errs {
			if got := exit.Code(err); got != want {
				t.Errorf("%v: %d, want %d", err, got, want)
			}
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	last := -1
	for _, m := range exit.Table() {
		if m.Code <= last || m.Short == "" || !strings.HasSuffix(m.Long, ".") {
			t.Errorf("%+v is out of order or incomplete", m)
		}
		last = m.Code
	}
	if n := len(exit.Table()); n != 11 {
		t.Errorf("%d exit codes, want 0 to 9 and 130", n)
	}
}

func TestExplain(t *testing.T) {
	err := fmt.Errorf("find it: %w", belay.Errorf(belay.CodeNotFound, "there is no service %q", "shp").WithNext("did you mean %q?", "shop"))
	var text, js bytes.Buffer
	exit.Explain(&text, err, false)
	if got := text.String(); got != "belay: find it: there is no service \"shp\"; did you mean \"shop\"?\n" {
		t.Errorf("text %q", got)
	}
	exit.Explain(&js, err, true)
	var p belay.Problem
	if jerr := json.Unmarshal(js.Bytes(), &p); jerr != nil || p.Error.Code != belay.CodeNotFound ||
		p.Error.Message != `find it: there is no service "shp"` || p.Error.Next != `did you mean "shop"?` {
		t.Errorf("JSON %s, %v", js.String(), jerr)
	}
	var quiet bytes.Buffer
	exit.Explain(&quiet, exit.Outcome(3), false)
	exit.Explain(&quiet, nil, true)
	if quiet.Len() > 0 {
		t.Errorf("an outcome was explained twice: %q", quiet.String())
	}
}
