package labels_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/labels"
)

// memory is a store of one deployment.
type memory struct {
	d      belay.Deployment
	events []belay.Event
	err    error
}

func (m *memory) Deployment(_ context.Context, id string) (belay.Deployment, error) {
	if !strings.HasPrefix(m.d.ID, id) {
		return belay.Deployment{}, belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id)
	}
	return m.d, nil
}

func (m *memory) SaveDeployment(_ context.Context, d belay.Deployment, events ...belay.Event) error {
	if m.err == nil {
		m.d, m.events = d, append(m.events, events...)
	}
	return m.err
}

func of(state belay.State) (*memory, *labels.Labels) {
	m := &memory{d: belay.Deployment{ID: "d-1a", Ref: belay.Ref{Service: "shop", Environment: "production"}, Release: belay.Release{Version: "1.5"}, State: state, Rollback: "r-1"}}
	return m, &labels.Labels{Store: m, Now: func() time.Time { return time.Unix(1000, 0) }, Actor: func(name string) string { return "user:" + name }}
}

func TestALabelIsKeptAndTold(t *testing.T) {
	m, l := of(belay.StateRolledBack)
	d, err := l.Label(t.Context(), "d-1", belay.LabelRequest{Label: belay.LabelWrong, Reason: "a broken dashboard", Actor: "ann"})
	if err != nil || m.d.Label == nil || *m.d.Label != (belay.Label{Word: belay.LabelWrong, Reason: "a broken dashboard", Actor: "user:ann", Time: time.Unix(1000, 0).UTC()}) || d.Label == nil {
		t.Fatalf("%+v, %v", m.d.Label, err)
	}
	if good, known := m.d.Good(); !good || !known {
		t.Error("a release that was wrongly taken back was a good one")
	}
	e := m.events[0]
	if e.Kind != belay.EventLabel || e.Message != "taking back 1.5 was wrong: a broken dashboard" || e.Deployment != "d-1a" || e.Rollback != "r-1" || e.Actor != "user:ann" || e.Service != "shop" || e.ID == "" {
		t.Errorf("event %+v", e)
	}
	// The newest word counts; the timeline has both.
	if _, err := l.Label(t.Context(), "d-1a", belay.LabelRequest{Label: belay.LabelRight, Actor: "bob"}); err != nil || m.d.Label.Word != belay.LabelRight || len(m.events) != 2 {
		t.Errorf("second label: %+v, %v", m.d.Label, err)
	}
	if good, known := m.d.Good(); good || !known {
		t.Error("a release that was rightly taken back was a bad one")
	}
	if _, err := l.Label(t.Context(), "d-1a", belay.LabelRequest{Actor: "bob"}); err != nil || m.d.Label != nil || m.events[2].Message != "the label on taking back 1.5 was taken away" {
		t.Errorf("no label: %+v, %v, %q", m.d.Label, err, m.events[2].Message)
	}
	if _, known := m.d.Good(); known {
		t.Error("without a label nothing is known")
	}
}

func TestARightlyKeptReleaseWasGood(t *testing.T) {
	for word, want := range map[belay.LabelWord]bool{belay.LabelRight: true, belay.LabelWrong: false} {
		m, l := of(belay.StateSucceeded)
		if _, err := l.Label(t.Context(), "d-1a", belay.LabelRequest{Label: word}); err != nil {
			t.Fatal(err)
		}
		if good, known := m.d.Good(); good != want || !known {
			t.Errorf("%s: good %v, known %v", word, good, known)
		}
		if want := "keeping 1.5 was " + string(word); m.events[0].Message != want {
			t.Errorf("told %q, want %q", m.events[0].Message, want)
		}
	}
}

func TestWhatCannotBeLabelled(t *testing.T) {
	for name, c := range map[string]struct {
		state belay.State
		id    string
		req   belay.LabelRequest
		code  belay.Code
		want  string
	}{
		"unknown":           {belay.StateSucceeded, "d-9", belay.LabelRequest{Label: belay.LabelRight}, belay.CodeNotFound, "no deployment"},
		"word":              {belay.StateSucceeded, "d-1", belay.LabelRequest{Label: "good"}, belay.CodeInvalid, `no label "good"; use right or wrong`},
		"under way":         {belay.StateBaking, "d-1", belay.LabelRequest{Label: belay.LabelRight}, belay.CodeConflict, "has not ended: it is baking"},
		"refused":           {belay.StateRefused, "d-1", belay.LabelRequest{Label: belay.LabelRight}, belay.CodeConflict, "never judged: it is refused"},
		"deploy failed":     {belay.StateDeployFailed, "d-1", belay.LabelRequest{Label: belay.LabelRight}, belay.CodeConflict, "deploy failed"},
		"nothing to remove": {belay.StateSucceeded, "d-1", belay.LabelRequest{}, belay.CodeConflict, "has no label"},
		"a novel":           {belay.StateSucceeded, "d-1", belay.LabelRequest{Label: belay.LabelRight, Reason: strings.Repeat("x", 2001)}, belay.CodeInvalid, "longer than 2000"},
	} {
		m, l := of(c.state)
		_, err := l.Label(t.Context(), c.id, c.req)
		if belay.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) || len(m.events) > 0 || m.d.Label != nil {
			t.Errorf("%s: %v (%s)", name, err, belay.CodeOf(err))
		}
	}
	m, l := of(belay.StateSucceeded)
	m.err = errors.New("disk full")
	if _, err := l.Label(t.Context(), "d-1", belay.LabelRequest{Label: belay.LabelRight}); err == nil {
		t.Error("a label that could not be stored is an error")
	}
}
