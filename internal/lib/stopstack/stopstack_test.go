package stopstack_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/lib/stopstack"
)

func TestStopRunsAllNewestFirstOnce(t *testing.T) {
	var s stopstack.Stack
	var order []string
	add := func(name string, err error) {
		s.Push(name, func(context.Context) error { order = append(order, name); return err })
	}
	add("store", nil)
	add("engine", errors.New("stuck"))
	add("server", nil)
	err := s.Stop(t.Context(), slog.New(slog.DiscardHandler))
	if got := strings.Join(order, " "); got != "server engine store" {
		t.Errorf("order %q", got)
	}
	if err == nil || err.Error() != "stop engine: stuck" {
		t.Errorf("error %v", err)
	}
	if err := s.Stop(t.Context(), slog.New(slog.DiscardHandler)); err != nil || len(order) != 3 {
		t.Errorf("second stop ran again: %v, %v", order, err)
	}
}
