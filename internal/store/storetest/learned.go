package storetest

import (
	"strings"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

func learned(n int) belay.Learned {
	l := filled(belay.Learned{})
	l.Until = after(n)
	return l
}

func testLearned(t *testing.T, open Open) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	if _, found, err := s.Learned(ctx, shop()); found || err != nil {
		t.Fatalf("nothing set: found %t, error %v", found, err)
	}
	first, second, third := learned(0), learned(3600), learned(7200)
	second.Seconds, third.Seconds = 2, 3
	ok(t, s.SetLearned(ctx, shop(), first))
	wantLearned(t, s, first)
	ok(t, s.SetLearned(ctx, shop(), second))
	wantLearned(t, s, second)

	// Learned again after a crash, or from a time that was learned from: the sums of then must not come twice.
	for _, old := range []belay.Learned{{Until: after(3600), Seconds: 99}, {Until: after(3599), Seconds: 99}} {
		ok(t, s.SetLearned(ctx, shop(), old))
		wantLearned(t, s, second)
	}
	ok(t, s.Close())
	s = open(t, dir)
	defer func() { ok(t, s.Close()) }()
	wantLearned(t, s, second)

	ok(t, s.SetLearned(ctx, shop(), third))
	for _, c := range []struct {
		at   time.Time
		want *belay.Learned
	}{{after(7201), &third}, {after(7200), &third}, {after(7199), &second}, {after(3600), &second}, {after(3599), nil}} {
		got, found, err := s.LearnedBefore(ctx, shop(), c.at)
		switch {
		case err != nil || found != (c.want != nil):
			t.Errorf("before %s: found %t, error %v", c.at, found, err)
		case found:
			same(t, "learned before "+c.at.String(), got, *c.want)
		}
	}
	if _, found, err := s.Learned(ctx, belay.Ref{Service: "shop", Environment: "staging"}); found || err != nil {
		t.Errorf("staging knows what production learned: %t, %v", found, err)
	}
	wantCode(t, "without a time", s.SetLearned(ctx, shop(), belay.Learned{}), belay.CodeInvalid)
	wantCode(t, "without a service", s.SetLearned(ctx, belay.Ref{}, first), belay.CodeInvalid)
}

func wantLearned(t *testing.T, s Store, want belay.Learned) {
	t.Helper()
	got, found, err := s.Learned(t.Context(), shop())
	if err != nil || !found {
		t.Fatalf("found %t, error %v", found, err)
	}
	same(t, "what was learned", got, want)
}

func testForget(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	wantCode(t, "nothing to forget", s.ForgetLearned(ctx, shop(), "user:ann"), belay.CodeNotFound)
	if n := len(must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{}))); n != 0 {
		t.Errorf("%d events of what was refused", n)
	}
	ok(t, s.SetLearned(ctx, shop(), learned(0)))
	ok(t, s.SetLearned(ctx, shop(), learned(3600)))
	ok(t, s.ForgetLearned(ctx, shop(), "user:ann"))
	got, found, err := s.Learned(ctx, shop())
	if err != nil || !found || len(got.Signals) != 0 || got.Seconds != 0 || time.Since(got.Until) > time.Minute {
		t.Errorf("after it was forgotten: %+v, found %t, error %v; want nothing, learned until now", got, found, err)
	}
	if _, found, err := s.LearnedBefore(ctx, shop(), got.Until.Add(-time.Second)); found || err != nil {
		t.Errorf("what was known before is still there: %t, %v", found, err)
	}
	told := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{Service: "shop", Kinds: []belay.EventKind{belay.EventAct}}))
	if len(told) != 1 || told[0].Actor != "user:ann" || !strings.Contains(told[0].Message, "forgotten") {
		t.Errorf("forgetting is told as %+v, want one act of user:ann", told)
	}
	// What was being learned meanwhile is of the time before.
	late := learned(7200)
	late.Until = got.Until.Add(-time.Second)
	ok(t, s.SetLearned(ctx, shop(), late))
	if now, _, _ := s.Learned(ctx, shop()); len(now.Signals) != 0 {
		t.Errorf("what was forgotten came back: %+v", now)
	}
}

func testLearnedPruned(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	ok(t, s.SetLearned(ctx, shop(), learned(0)))
	for _, c := range []struct {
		before time.Duration // from now
		found  bool
	}{{-time.Hour, true}, {time.Hour, false}} {
		ok(t, s.Prune(ctx, time.Now().Add(c.before)))
		if _, found, err := s.Learned(ctx, shop()); found != c.found || err != nil {
			t.Errorf("pruned what is older than %s from now: found %t, error %v", c.before, found, err)
		}
	}
}
