package storetest

import (
	"slices"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

// told returns the event ids of what is due on a channel at the n-th second.
func due(t *testing.T, s Store, channel string, n, limit int) ([]string, []belay.Delivery) {
	t.Helper()
	list := must[[]belay.Delivery](t)(s.NextDeliveries(t.Context(), channel, after(n), limit))
	return ids(list, func(d belay.Delivery) string { return d.Event.ID }), list
}

func wantDue(t *testing.T, s Store, channel string, n int, want ...string) []belay.Delivery {
	t.Helper()
	got, list := due(t, s, channel, n, 100)
	if !slices.Equal(got, want) {
		t.Errorf("second %d: due on %s: %v, want %v", n, channel, got, want)
	}
	return list
}

func testOutboxOrder(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	lone1, lone2 := event("e-5", "", 0), event("e-6", "", 0)
	byRollback := event("e-7", "", 0)
	byRollback.Rollback = "r-1"
	byRollback2 := byRollback
	byRollback2.ID = "e-8"
	ok(t, s.Append(ctx, event("e-1", "d-1", 0), event("e-2", "d-1", 0), event("e-3", "d-2", 0), event("e-4", "d-1", 0),
		lone1, lone2, byRollback, byRollback2))

	list := wantDue(t, s, "ops", 0, "e-1", "e-3", "e-5", "e-6", "e-7")
	if got, _ := due(t, s, "ops", 0, 2); !slices.Equal(got, []string{"e-1", "e-3"}) {
		t.Errorf("the first two: %v", got)
	}
	first := list[0]
	if first.Attempt != 1 || first.Channel != "ops" || !first.Created.Equal(after(0)) || first.Event.Message != "event e-1" {
		t.Errorf("first delivery %+v", first)
	}
	// A failed one holds up its own deployment and no other.
	ok(t, s.MarkFailed(ctx, first.ID, after(10), "HTTP 503"))
	wantDue(t, s, "ops", 9, "e-3", "e-5", "e-6", "e-7")
	list = wantDue(t, s, "ops", 10, "e-1", "e-3", "e-5", "e-6", "e-7")
	if list[0].Attempt != 2 {
		t.Errorf("attempt %d, want 2", list[0].Attempt)
	}
	ok(t, s.MarkDelivered(ctx, first.ID, after(10)))
	list = wantDue(t, s, "ops", 10, "e-2", "e-3", "e-5", "e-6", "e-7")
	ok(t, s.MarkDelivered(ctx, list[0].ID, after(10)))
	wantDue(t, s, "ops", 10, "e-3", "e-4", "e-5", "e-6", "e-7")
	wantCode(t, "delivered twice", s.MarkDelivered(ctx, first.ID, after(11)), belay.CodeNotFound)
	wantCode(t, "failed after it was delivered", s.MarkFailed(ctx, first.ID, after(11), ""), belay.CodeNotFound)
}

func testOutboxChannels(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	ok(t, s.Append(ctx, event("e-0", "d-1", 0))) // before there was a channel
	channels := map[string][]belay.EventKind{"ops": {belay.EventState, belay.EventProof}, "audit": {belay.EventProof, belay.EventNotify}}
	s.SetChannels(channels)
	channels["ops"][0] = belay.EventAct // a caller that goes on using its map changes nothing
	proof, notify := event("e-2", "d-1", 2), event("e-3", "d-1", 3)
	proof.Kind, notify.Kind = belay.EventProof, belay.EventNotify
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 0), event("e-1", "d-1", 1), proof, notify))
	list := wantDue(t, s, "ops", 5, "e-1")
	wantDue(t, s, "audit", 5, "e-2")
	wantDue(t, s, "none", 5)
	// Nothing is due before its time, and the backlog says when it is.
	wantDue(t, s, "audit", 1)
	for channel, want := range map[string]belay.Backlog{"ops": {Pending: 2, Due: after(1)}, "audit": {Pending: 1, Due: after(2)}, "none": {}} {
		if got := must[belay.Backlog](t)(s.Backlog(ctx, channel)); got.Pending != want.Pending || !got.Due.Equal(want.Due) {
			t.Errorf("backlog of %s: %+v, want %+v", channel, got, want)
		}
	}
	ok(t, s.MarkFailed(ctx, list[0].ID, after(60), "no route"))
	// The second waits for the first, so the first one's time counts.
	if got := must[belay.Backlog](t)(s.Backlog(ctx, "ops")); got.Pending != 2 || !got.Due.Equal(after(60)) {
		t.Errorf("backlog of ops: %+v, want 2 from %s", got, after(60))
	}
}

func testOutboxReopened(t *testing.T, open Open) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	ok(t, s.SaveRollback(ctx, rollback("r-1", 0), event("e-1", "d-1", 1), event("e-2", "d-2", 2)))
	list := wantDue(t, s, "ops", 5, "e-1", "e-2")
	ok(t, s.MarkFailed(ctx, list[0].ID, after(7), "HTTP 500"))
	ok(t, s.MarkDelivered(ctx, list[1].ID, after(5)))
	ok(t, s.Close())

	s = open(t, dir)
	defer func() { ok(t, s.Close()) }()
	wantDue(t, s, "ops", 6)
	if list = wantDue(t, s, "ops", 7, "e-1"); len(list) == 1 && list[0].Attempt != 2 {
		t.Errorf("attempt %d after reopening, want 2", list[0].Attempt)
	}
}

func testOutboxGiveUp(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState, belay.EventNotify}})
	ok(t, s.Append(ctx, event("e-1", "d-1", 1), event("e-2", "d-1", 2)))
	list := wantDue(t, s, "ops", 5, "e-1")
	gone := event("e-gone", "d-1", 9)
	gone.Kind = belay.EventNotify
	bad := gone
	bad.ID = ""
	wantCode(t, "without an id", s.GiveUp(ctx, list[0].ID, after(9), "HTTP 404", bad), belay.CodeInvalid)
	wantDue(t, s, "ops", 9, "e-1")
	ok(t, s.GiveUp(ctx, list[0].ID, after(9), "HTTP 404", gone))
	wantDue(t, s, "ops", 9, "e-2") // the next is no longer held up, and giving up is not itself a delivery
	again := gone
	again.ID = "e-again"
	wantCode(t, "given up twice", s.GiveUp(ctx, list[0].ID, after(9), "HTTP 404", again), belay.CodeNotFound)
	got := ids(must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{Kinds: []belay.EventKind{belay.EventNotify}})), eventID)
	if !slices.Equal(got, []string{"e-gone"}) {
		t.Errorf("notify events %v, want e-gone alone", got)
	}
}

func testPrune(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	end := func(id string, n int, state belay.State) {
		d := deployment(id, n)
		d.State = state
		if state.Final() {
			d.EndedAt = after(n)
		}
		ok(t, s.SaveDeployment(ctx, d, event("e-"+id, id, n)))
		ok(t, s.AppendTick(ctx, id, belay.Tick{T: 1}))
	}
	end("d-old", 1, belay.StateSucceeded)
	end("d-stable", 2, belay.StateSucceeded)
	end("d-active", 3, belay.StateHeld)
	end("d-new", 100, belay.StateSucceeded)
	end("d-was-stable", 4, belay.StateSucceeded)
	for i, id := range []string{"d-was-stable", "d-stable"} {
		ok(t, s.SetStable(ctx, belay.StableRelease{Ref: shop(), Deployment: id, Since: after(i)}))
	}
	for i, id := range []string{"r-old", "r-named"} {
		r := rollback(id, i)
		r.State = belay.RollbackVerified
		r.EndedAt = time.Time{}
		ok(t, s.SaveRollback(ctx, r))
	}
	ok(t, s.SaveRollback(ctx, rollback("r-active", 5)))
	ok(t, s.Quarantine(ctx, belay.Quarantine{Ref: shop(), Key: "1.1", Rollback: "r-named", Since: after(1)}))
	ok(t, s.Append(ctx, events(10, 20, "")...))

	ok(t, s.Prune(ctx, after(50)))
	got := ids(must[[]belay.Deployment](t)(s.Deployments(ctx, belay.DeploymentFilter{})), deploymentID)
	if want := []string{"d-new", "d-active", "d-stable"}; !slices.Equal(got, want) {
		t.Errorf("deployments %v, want %v", got, want)
	}
	got = ids(must[[]belay.Rollback](t)(s.Rollbacks(ctx, belay.RollbackFilter{})), rollbackID)
	if want := []string{"r-active", "r-named"}; !slices.Equal(got, want) {
		t.Errorf("rollbacks %v, want %v", got, want)
	}
	got = ids(must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{})), eventID)
	if want := []string{"e-d-stable", "e-d-active", "e-d-new"}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	for id, want := range map[string]int{"d-old": 0, "d-active": 1, "d-stable": 1} {
		if n := len(must[[]belay.Tick](t)(s.Ticks(ctx, id, 0))); n != want {
			t.Errorf("%d ticks of %s, want %d", n, id, want)
		}
	}
	wantDue(t, s, "ops", 200, "e-d-new")
	if n := len(must[[]belay.StableRelease](t)(s.StableHistory(ctx, shop(), 0))); n != 2 {
		t.Errorf("%d stable releases, want 2", n)
	}
	if n := len(must[[]belay.Quarantine](t)(s.Quarantines(ctx))); n != 1 {
		t.Errorf("%d in quarantine, want 1", n)
	}
	ok(t, s.Prune(ctx, after(50)))
}
