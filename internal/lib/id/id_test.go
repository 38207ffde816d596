package id_test

import (
	"testing"
	"time"

	"github.com/belaydev/belay/internal/lib/id"
)

func TestNew(t *testing.T) {
	t0 := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for range 10_000 {
		s := id.New("d", t0)
		if len(s) != 20 || s[:2] != "d-" {
			t.Fatalf("id %q: want d- and 18 characters", s)
		}
		if seen[s] {
			t.Fatalf("id %q was made twice", s)
		}
		seen[s] = true
	}
	if a, b := id.New("d", t0), id.New("d", t0.Add(time.Millisecond)); a >= b {
		t.Errorf("ids do not sort by time: %s, then %s", a, b)
	}
}
