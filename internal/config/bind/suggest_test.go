package bind_test

import (
	"testing"

	"github.com/belaydev/belay/internal/config/bind"
)

func TestNearest(t *testing.T) {
	known := []string{"deadline", "hard_stops", "error_rate", "bake", "command", "on_timeout"}
	for got, want := range map[string]string{
		"deadlin": "deadline", "daedline": "deadline", "Hard-Stops": "hard_stops", "error": "error_rate", "baked": "bake",
		"timeout": "on_timeout", "comand": "command", "colour": "", "x": "", "": "",
	} {
		if n := bind.Nearest(got, known); n != want {
			t.Errorf("%q: got %q, want %q", got, n, want)
		}
	}
}

func TestPlacesFindTheNearest(t *testing.T) {
	places := bind.Places{
		"":               {Path: "services.shop", Line: 2},
		"watch":          {Path: "services.shop.watch", Line: 3},
		"watch.deadline": {Path: "services.shop.environments.staging.watch.deadline", Line: 9},
		"steps[0]":       {Path: "services.shop.steps[0]", Line: 5},
	}
	for path, want := range map[string]bind.Place{
		"watch.deadline":  {Path: "services.shop.environments.staging.watch.deadline", Line: 9},
		"watch.bake":      {Path: "services.shop.watch.bake", Line: 3},
		"steps[0].a.b":    {Path: "services.shop.steps[0].a.b", Line: 5},
		"rollback.budget": {Path: "services.shop.rollback.budget", Line: 2},
	} {
		if got := places.Find(path); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}
