package config_test

import (
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/config"
)

func TestParsePolicy(t *testing.T) {
	measured := []string{"orders", "error_rate"}
	for name, src := range map[string]string{
		"section": "signals:\n  error_rate: {threshold: 5%, for: 30s}\n  orders: {direction: lower_is_worse}\nwatch: {min_time: 3s}\n",
		"whole":   "services:\n  shop:\n    signals:\n      error_rate: {threshold: 5%, for: 30s}\n      orders: {direction: lower_is_worse}\n    watch: {min_time: 3s}\n",
	} {
		c, err := config.ParsePolicy("p.yaml", []byte(src), measured)
		if err != nil || len(c.Services) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		s := c.Services[0]
		if s.Watch.MinTime.Seconds() != 3 || s.Signals[0].Threshold == nil || s.Signals[len(s.Signals)-1].Name != "orders" {
			t.Errorf("%s: %+v", name, s)
		}
		if _, written := c.Line(s.Ref(), "signals.error_rate.threshold"); !written {
			t.Errorf("%s: what was written is not known", name)
		}
		if _, written := c.Line(s.Ref(), "signals.orders.smallest_change"); written {
			t.Errorf("%s: a default counts as written", name)
		}
	}
	for src, want := range map[string]string{
		"signals: {eror_rate: 5%}":                   `p.yaml:1:22: signals.eror_rate: belay does not know how to measure eror_rate; did you mean "error_rate"?`,
		"signals: {order: {}}":                       `did you mean "orders"?`,
		"signls: {}":                                 `p.yaml:1:1: signls: unknown key; did you mean "signals"?`,
		"watch: {min_time: 3}":                       "p.yaml:1:19: watch.min_time:",
		"hard_stops: {orders: {above: 3}}\n":         "hard_stops.orders",
		"services: {shop: {watch: {min_tim: 3s}}}\n": `p.yaml:1:27: services.shop.watch.min_tim: unknown key; did you mean "min_time"?`,
		"[1, 2]": "want a mapping",
		"":       "p.yaml",
	} {
		if _, err := config.ParsePolicy("p.yaml", []byte(src), measured); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", src, err, want)
		}
	}
}
