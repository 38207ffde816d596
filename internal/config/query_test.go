package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/config"
)

func TestQueriesAreCheckedWhereTheyStand(t *testing.T) {
	check := func(q string) error {
		if strings.Contains(q, "sum((") {
			return errors.New("unclosed parenthesis")
		}
		return nil
	}
	const services = `services:
  shop:
    targets: [127.0.0.1:8000]
    signals:
      orders: {query: "sum((orders", threshold: 1}
      error_rate: {query: "sum((errors"}
      fine: {query: "sum(x)"}
`
	_, err := config.Parse("belay.yaml", []byte(services), env, check)
	for _, want := range []string{"belay.yaml:5:23: services.shop.signals.orders.query: unclosed", "belay.yaml:6:27: services.shop.signals.error_rate.query: unclosed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "fine") {
		t.Errorf("a good query is refused: %v", err)
	}
	// Another server may know functions that we do not.
	if _, err := config.Parse("belay.yaml", []byte("metrics: {url: http://127.0.0.1:9090}\n"+services), env, check); err != nil {
		t.Errorf("with metrics.url: %v", err)
	}
}
