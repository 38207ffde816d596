package proof

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric"
)

// scraped answers every selector with what one instance said of its release a second ago.
type scraped struct{ now time.Time }

func (s scraped) Samples(_ context.Context, selector string, _, _ time.Time) ([]metric.Series, error) {
	if !strings.Contains(selector, "build_info") {
		return nil, nil
	}
	return []metric.Series{{
		Labels: map[string]string{"__name__": "shop_build_info", "instance": "127.0.0.1:8000", "version": "1.0"},
		Points: []metric.Point{{T: s.now.Add(-time.Second), V: 1}},
	}}, nil
}

func (scraped) Eval(context.Context, string, time.Time) ([]metric.Series, error) { return nil, nil }
func (scraped) Ready(context.Context) error                                      { return nil }

// The proof begins between two scrapes: an application that tells its release by its metrics alone has not been
// scraped since. That must not pass for one that does not tell it.
func TestReleaseToldByMetricsIsReadBack(t *testing.T) {
	cfg, err := config.Parse("belay.yaml", []byte("services: {shop: {targets: ['127.0.0.1:8000']}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p := &Prover{Config: func() *config.Config { return cfg }, Reader: scraped{now}, Now: func() time.Time { return now }}
	d := belay.Deployment{
		Ref: cfg.Services[0].Ref(), Release: belay.Release{Version: "1.0"}, CreatedAt: now,
		Targets: []belay.Target{{Address: "127.0.0.1:8000"}},
	}
	r := p.releases(t.Context(), cfg.Services[0], d)
	if r == nil {
		t.Fatal("the release is not read back")
	}
	list, err := r.Releases(t.Context(), d.Targets)
	if err != nil || len(list) != 1 || list[0].Version != "" || list[0].Problem != "not scraped since the rollback" {
		t.Errorf("%+v, %v; want the scrape from before the proof refused", list, err)
	}
	now = now.Add(-2 * time.Second) // had the proof begun earlier, it would count
	d.CreatedAt = now
	if list, err = p.releases(t.Context(), cfg.Services[0], d).Releases(t.Context(), d.Targets); err != nil || len(list) != 1 || list[0].Version != "1.0" {
		t.Errorf("%+v, %v; want 1.0", list, err)
	}
}
