package app_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app"
	"github.com/belaydev/belay/internal/app/replay"
)

// recordedAlike records a deployment that has ended, and judges the recording: it comes to the same decision card.
func recordedAlike(t *testing.T, c *client.Client, d belay.Deployment) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Record(t.Context(), d.ID, true, &b); err != nil {
		t.Fatalf("record: %v", err)
	}
	j, err := replay.File(replay.Source{Name: "recording", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }})
	if err != nil {
		t.Fatalf("judge the recording: %v\n%.2000s", err, b.String())
	}
	if d.Card == nil || d.Card.DecidedAt == nil || j.DecidedAt == nil {
		t.Fatalf("no decision: %+v, recorded %+v", d.Card, j)
	}
	if j.Verdict != d.Card.Verdict || *j.DecidedAt != *d.Card.DecidedAt || j.Reason != d.Card.Reason || j.Policy != d.Card.Policy {
		t.Errorf("the watch came to %s at %v by %q: %s\nits recording to %s at %v by %q: %s", d.Card.Verdict, *d.Card.DecidedAt, d.Card.Policy, d.Card.Reason, j.Verdict, *j.DecidedAt, j.Policy, j.Reason)
	}
	if j.Candidate != d.Release.Version || !strings.Contains(b.String(), `"baseline":"1.0"`) {
		t.Errorf("releases %q and %q", j.Candidate, j.Baseline)
	}
	card, err := c.Card(t.Context(), d.ID)
	if err != nil || len(card.Signals) == 0 || len(card.Signals[0].Trail) == 0 || card.Reason != d.Card.Reason {
		t.Errorf("card %+v, %v", card, err)
	}
	var svg bytes.Buffer
	if err := c.CardSVG(t.Context(), d.ID, &svg); err != nil || xml.Unmarshal(svg.Bytes(), new(struct{})) != nil || !strings.Contains(svg.String(), "1.1-bad against 1.0") {
		t.Errorf("picture: %v\n%.300s", err, svg.String())
	}
	return b.String()
}

// follow records a deployment from now on; what it returns waits for the end.
func follow(t *testing.T, a *app.App, id string) func() (string, error) {
	t.Helper()
	var b bytes.Buffer
	done := make(chan error, 1)
	c := api(t, a)
	go func() { done <- c.Record(t.Context(), id, true, &b) }()
	return func() (string, error) {
		err := <-done
		return b.String(), err
	}
}
