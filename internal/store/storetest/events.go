package storetest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

func testEvents(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	want := filled(belay.Event{})
	want.Data = map[string]any{"weight": 50, "big": json.RawMessage("12345678901234567890")}
	d := deployment(want.Deployment, 0)
	ok(t, s.SaveDeployment(ctx, d, want))
	got := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{}))
	if len(got) != 1 {
		t.Fatalf("%d events, want 1", len(got))
	}
	same(t, "an event with every field set", got[0], want)
	if raw, is := got[0].Data.(json.RawMessage); !is || string(raw) != `{"big":12345678901234567890,"weight":50}` {
		t.Errorf("data is %T %s, want the stored JSON, exactly", got[0].Data, got[0].Data)
	}
	if got[0].Time.Location() != time.UTC {
		t.Errorf("the time is in %s, want UTC", got[0].Time.Location())
	}

	// The order is the order of storing, not that of the times that the events claim.
	late, early := event("e-late", "d-9", 50), event("e-early", "d-9", 40)
	late.Kind, early.Rollback = belay.EventProof, "r-9"
	early.Service = "cart"
	ok(t, s.Append(ctx, late, early))
	for _, c := range []struct {
		name string
		f    belay.EventFilter
		want []string
	}{
		{"all", belay.EventFilter{}, []string{want.ID, "e-late", "e-early"}},
		{"deployment", belay.EventFilter{Deployment: "d-9"}, []string{"e-late", "e-early"}},
		{"rollback", belay.EventFilter{Rollback: "r-9"}, []string{"e-early"}},
		{"service", belay.EventFilter{Service: "shop"}, []string{"e-late"}},
		{"service and environment", belay.EventFilter{Service: "cart", Environment: "production"}, []string{"e-early"}},
		{"kinds", belay.EventFilter{Kinds: []belay.EventKind{belay.EventProof, belay.EventPlan}}, []string{"e-late"}},
		{"limit", belay.EventFilter{Limit: 2}, []string{want.ID, "e-late"}},
		{"after", belay.EventFilter{After: "e-late", Deployment: "d-9"}, []string{"e-early"}},
		{"nothing", belay.EventFilter{Deployment: "d-8"}, []string{}},
	} {
		if got := ids(must[[]belay.Event](t)(s.Events(ctx, c.f)), eventID); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	_, err := s.Events(ctx, belay.EventFilter{After: "no such"})
	wantCode(t, "after an unknown event", err, belay.CodeNotFound)
}

func testCursor(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	all := events(0, 25, "d-1")
	ok(t, s.Append(ctx, all[:20]...))
	var got []belay.Event
	f := belay.EventFilter{Deployment: "d-1", Limit: 7}
	for page := 0; ; page++ {
		if page == 2 { // what is stored while somebody pages is not missed
			ok(t, s.Append(ctx, all[20:]...))
		}
		list := must[[]belay.Event](t)(s.Events(ctx, f))
		if len(list) == 0 {
			break
		}
		got = append(got, list...)
		f.After = list[len(list)-1].ID
	}
	if a, b := ids(got, eventID), ids(all, eventID); !slices.Equal(a, b) {
		t.Errorf("paging gives %v, want %v", a, b)
	}
}

func testDuplicates(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	first := event("e-1", "d-1", 1)
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 0), first))
	changed := first
	changed.Message = "something else"
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 0), changed, event("e-2", "d-1", 2), changed))
	ok(t, s.Append(ctx, changed))
	got := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{}))
	same(t, "each event once, as it was stored first", got, []belay.Event{first, event("e-2", "d-1", 2)})
	if b := must[belay.Backlog](t)(s.Backlog(ctx, "ops")); b.Pending != 2 {
		t.Errorf("%d deliveries wait, want 2: one an event", b.Pending)
	}
}

func testIncomplete(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	for name, spoil := range map[string]func(e *belay.Event){
		"no id":   func(e *belay.Event) { e.ID = "" },
		"no kind": func(e *belay.Event) { e.Kind = "" },
		"no time": func(e *belay.Event) { e.Time = time.Time{} },
		"no JSON": func(e *belay.Event) { e.Data = make(chan int) },
	} {
		bad := event("e-2", "d-1", 2)
		spoil(&bad)
		wantCode(t, name, s.SaveDeployment(ctx, deployment("d-1", 0), event("e-1", "d-1", 1), bad), belay.CodeInvalid)
		wantCode(t, name, s.Append(ctx, event("e-1", "d-1", 1), bad), belay.CodeInvalid)
	}
	_, err := s.Deployment(ctx, "d-1")
	wantCode(t, "of a refused write", err, belay.CodeNotFound)
	if got := must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{})); len(got) != 0 {
		t.Errorf("%d events of refused writes were stored", len(got))
	}
	ok(t, s.Append(ctx)) // nothing to store is not an error
}

func testSubscribe(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	woken, cancel := s.Subscribe()
	other, cancelOther := s.Subscribe()
	defer cancelOther()
	ok(t, s.Append(ctx, event("e-1", "d-1", 1)))
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 1)))
	for name, ch := range map[string]<-chan struct{}{"first": woken, "second": other} {
		if !ready(ch) {
			t.Errorf("the %s subscriber was not woken", name)
		}
		if ready(ch) {
			t.Errorf("the %s subscriber was woken twice for what it had not read yet", name)
		}
	}
	cancel()
	cancel()
	ok(t, s.Append(ctx, event("e-2", "d-1", 2)))
	if ready(woken) {
		t.Error("a cancelled subscription was woken")
	}
	if !ready(other) {
		t.Error("the other subscription ended too")
	}
	if err := s.Append(ctx, belay.Event{}); err == nil || ready(other) {
		t.Error("a refused write woke a subscriber")
	}
}

func ready(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
