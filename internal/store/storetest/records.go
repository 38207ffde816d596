package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

func testDeployment(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	want := filled(belay.Deployment{})
	ok(t, s.SaveDeployment(ctx, want))
	got := must[belay.Deployment](t)(s.Deployment(ctx, want.ID))
	same(t, "a deployment with every field set", got, want)
	if got.CreatedAt.Location() != time.UTC || got.Card.Health[0].Since.Location() != time.UTC {
		t.Errorf("times come back in %s and %s, want UTC", got.CreatedAt.Location(), got.Card.Health[0].Since.Location())
	}

	want.State, want.Weight = belay.StateSucceeded, 0
	ok(t, s.SaveDeployment(ctx, want))
	same(t, "after it was saved again", must[belay.Deployment](t)(s.Deployment(ctx, want.ID)), want)

	_, err := s.Deployment(ctx, "no such")
	wantCode(t, "an unknown id", err, belay.CodeNotFound)
	_, err = s.Deployment(ctx, "")
	wantCode(t, "an empty id", err, belay.CodeInvalid)
	wantCode(t, "a deployment without id", s.SaveDeployment(ctx, belay.Deployment{}), belay.CodeInvalid)
}

func testPrefix(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	for i, id := range []string{"d-abc1", "d-abc2", "d-abd", "d-ab", "d-x%_"} {
		ok(t, s.SaveDeployment(ctx, deployment(id, i)))
	}
	for prefix, want := range map[string]string{"d-abd": "d-abd", "d-abc1": "d-abc1", "d-x": "d-x%_", "d-ab": "d-ab"} {
		if got := must[belay.Deployment](t)(s.Deployment(ctx, prefix)); got.ID != want {
			t.Errorf("%q finds %s, want %s", prefix, got.ID, want)
		}
	}
	_, err := s.Deployment(ctx, "d-abc")
	wantCode(t, "an ambiguous prefix", err, belay.CodeInvalid)
	if err == nil || !strings.Contains(err.Error(), "d-abc1, d-abc2") {
		t.Errorf("ambiguous prefix: error %q does not name the candidates", err)
	}
	for _, none := range []string{"d-z", "d-%", "d-ab_", "D-ABD", "d-abc10"} {
		_, err = s.Deployment(ctx, none)
		wantCode(t, none, err, belay.CodeNotFound)
	}
}

func testDeployments(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	staging, other := deployment("d-3", 3), deployment("d-4", 4)
	staging.Environment = "staging"
	other.Service = "cart"
	done := deployment("d-2", 2)
	done.State = belay.StateRolledBack
	twin := deployment("d-0", 1) // at the same moment as d-1
	for _, d := range []belay.Deployment{staging, deployment("d-1", 1), other, twin, done} {
		ok(t, s.SaveDeployment(ctx, d))
	}
	for _, c := range []struct {
		name string
		f    belay.DeploymentFilter
		want []string
	}{
		{"all, newest first", belay.DeploymentFilter{}, []string{"d-4", "d-3", "d-2", "d-1", "d-0"}},
		{"service", belay.DeploymentFilter{Service: "shop"}, []string{"d-3", "d-2", "d-1", "d-0"}},
		{"environment", belay.DeploymentFilter{Environment: "production"}, []string{"d-4", "d-2", "d-1", "d-0"}},
		{"service and environment", belay.DeploymentFilter{Service: "shop", Environment: "staging"}, []string{"d-3"}},
		{"active", belay.DeploymentFilter{Service: "shop", Active: true}, []string{"d-3", "d-1", "d-0"}},
		{"limit", belay.DeploymentFilter{Limit: 2}, []string{"d-4", "d-3"}},
		{"before", belay.DeploymentFilter{Before: "d-3", Limit: 2}, []string{"d-2", "d-1"}},
		{"before, at the same moment", belay.DeploymentFilter{Before: "d-1"}, []string{"d-0"}},
		{"nothing", belay.DeploymentFilter{Service: "none"}, []string{}},
	} {
		if got := ids(must[[]belay.Deployment](t)(s.Deployments(ctx, c.f)), deploymentID); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	_, err := s.Deployments(ctx, belay.DeploymentFilter{Before: "d-9"})
	wantCode(t, "before an unknown id", err, belay.CodeNotFound)
}

func testRollback(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	want := filled(belay.Rollback{})
	e := event("e-1", "", 1)
	e.Rollback = want.ID
	ok(t, s.SaveRollback(ctx, want, e))
	same(t, "a rollback with every field set", must[belay.Rollback](t)(s.Rollback(ctx, want.ID)), want)
	same(t, "found by prefix", must[belay.Rollback](t)(s.Rollback(ctx, want.ID[:4])), want)
	if got := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{Rollback: want.ID})); len(got) != 1 {
		t.Errorf("%d events of the rollback, want 1", len(got))
	}
	want.State, want.Certificate = belay.RollbackFailed, nil
	ok(t, s.SaveRollback(ctx, want))
	same(t, "after it was saved again", must[belay.Rollback](t)(s.Rollback(ctx, want.ID)), want)
	_, err := s.Rollback(ctx, "no such")
	wantCode(t, "an unknown id", err, belay.CodeNotFound)
}

func testRollbacks(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	done, other := rollback("r-2", 2), rollback("r-3", 3)
	done.State = belay.RollbackVerified
	other.Plan.Service = "cart"
	for _, r := range []belay.Rollback{rollback("r-1", 1), done, other, rollback("r-4", 4)} {
		ok(t, s.SaveRollback(ctx, r))
	}
	for _, c := range []struct {
		name string
		f    belay.RollbackFilter
		want []string
	}{
		{"all, newest first", belay.RollbackFilter{}, []string{"r-4", "r-3", "r-2", "r-1"}},
		{"service", belay.RollbackFilter{Service: "shop"}, []string{"r-4", "r-2", "r-1"}},
		{"environment", belay.RollbackFilter{Environment: "staging"}, []string{}},
		{"since, that moment included", belay.RollbackFilter{Since: after(2)}, []string{"r-4", "r-3", "r-2"}},
		{"active", belay.RollbackFilter{Active: true}, []string{"r-4", "r-3", "r-1"}},
		{"limit", belay.RollbackFilter{Limit: 1}, []string{"r-4"}},
	} {
		if got := ids(must[[]belay.Rollback](t)(s.Rollbacks(ctx, c.f)), rollbackID); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func testStable(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	if _, found, err := s.Stable(ctx, shop()); found || err != nil {
		t.Fatalf("nothing set: found %t, error %v", found, err)
	}
	first := filled(belay.StableRelease{})
	first.Ref = shop()
	ok(t, s.SetStable(ctx, first))
	again := first
	again.Since = again.Since.Add(time.Hour)
	ok(t, s.SetStable(ctx, again))
	got, found, err := s.Stable(ctx, shop())
	if err != nil || !found {
		t.Fatalf("found %t, error %v", found, err)
	}
	same(t, "what was set, since it was set first", got, first)

	second := belay.StableRelease{Ref: shop(), Release: belay.Release{Version: "2"}, Since: after(100)}
	ok(t, s.SetStable(ctx, second))
	ok(t, s.SetStable(ctx, first)) // back again: history must show it
	hist := must[[]belay.StableRelease](t)(s.StableHistory(ctx, shop(), 0))
	same(t, "history, newest first", hist, []belay.StableRelease{first, second, first})
	if hist = must[[]belay.StableRelease](t)(s.StableHistory(ctx, shop(), 2)); len(hist) != 2 {
		t.Errorf("%d entries, want 2", len(hist))
	}
	if _, found, _ := s.Stable(ctx, belay.Ref{Service: "shop", Environment: "staging"}); found {
		t.Error("what is stable in production is stable in staging too")
	}
}

// testQuarantineByVersion: a release that is forbidden by its digest is forbidden without it too, and allowed again
// by its version. Another build of the version is another release.
func testQuarantineByVersion(t *testing.T, s Store) {
	t.Helper()
	ctx, ref := t.Context(), belay.Ref{Service: "cart", Environment: "production"}
	built := belay.Quarantine{Ref: ref, Key: "sha256:bad", Release: belay.Release{Version: "7.1", Digest: "sha256:bad"}, Reason: "built"}
	plain := belay.Quarantine{Ref: ref, Key: "7.1", Release: belay.Release{Version: "7.1"}, Reason: "plain"}
	for _, step := range []struct {
		forbid belay.Quarantine
		want   string // reason by version
	}{{built, "built"}, {plain, "plain"}} {
		ok(t, s.Quarantine(ctx, step.forbid))
		if got, found, err := s.Quarantined(ctx, ref, "7.1"); err != nil || !found || got.Reason != step.want {
			t.Errorf("7.1 is in quarantine as %+v, %t, %v; want %s", got, found, err, step.want)
		}
		if _, found, err := s.Quarantined(ctx, ref, "sha256:other"); err != nil || found {
			t.Errorf("another build is in quarantine: %t, %v", found, err)
		}
	}
	if err := s.LiftQuarantine(ctx, ref, "7.1", "user:bob"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"7.1", "sha256:bad"} {
		if _, found, err := s.Quarantined(ctx, ref, key); err != nil || found {
			t.Errorf("%s is in quarantine after 7.1 was lifted: %t, %v", key, found, err)
		}
	}
}

func testQuarantine(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	want := filled(belay.Quarantine{})
	want.Ref = shop()
	ok(t, s.Quarantine(ctx, want))
	want.Reason = "again"
	ok(t, s.Quarantine(ctx, want))
	got, found, err := s.Quarantined(ctx, shop(), want.Key)
	if err != nil || !found {
		t.Fatalf("found %t, error %v", found, err)
	}
	same(t, "quarantine", got, want)
	if _, found, _ := s.Quarantined(ctx, shop(), "other"); found {
		t.Error("another release is in quarantine too")
	}
	if _, found, _ := s.Quarantined(ctx, belay.Ref{Service: "shop"}, want.Key); found {
		t.Error("another environment has it in quarantine too")
	}
	if list := must[[]belay.Quarantine](t)(s.Quarantines(ctx)); len(list) != 1 {
		t.Errorf("%d in quarantine, want 1", len(list))
	}
	wantCode(t, "without a key", s.Quarantine(ctx, belay.Quarantine{Ref: shop()}), belay.CodeInvalid)

	ok(t, s.LiftQuarantine(ctx, shop(), want.Key, "user:ann"))
	if _, found, _ := s.Quarantined(ctx, shop(), want.Key); found {
		t.Error("still in quarantine after it was lifted")
	}
	told := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{Service: "shop", Kinds: []belay.EventKind{belay.EventAct}}))
	if len(told) != 1 || told[0].Actor != "user:ann" || !strings.Contains(told[0].Message, want.Key) {
		t.Errorf("lifting is told as %+v, want one act of user:ann", told)
	}
	wantCode(t, "lifted twice", s.LiftQuarantine(ctx, shop(), want.Key, "user:ann"), belay.CodeNotFound)
	if n := len(must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{}))); n != 1 {
		t.Errorf("%d events after a refused lift, want 1", n)
	}
	testQuarantineByVersion(t, s)
}
