package gate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/gate"
	"github.com/belaydev/belay/internal/config"
)

func TestWhatIsMissingIsSaid(t *testing.T) {
	shop := belay.Ref{Service: "shop", Environment: "production"}
	for name, c := range map[string]struct {
		service  string
		previous string
		active   []belay.Deployment
		want     string // names of findings; those that refuse with a !
	}{
		"nothing":     {service: "{}", want: "plan health monitoring first deployment deploy!"},
		"all":         {service: "{targets: [a:1], health: /healthz, deploy: ./d.sh, rollback: ./r.sh}", previous: "1.0", want: ""},
		"in between":  {service: "{targets: [a:1], health: /healthz, deploy: ./d.sh, rollback: ./r.sh}", active: []belay.Deployment{{Ref: shop}}, want: ""},
		"by hand":     {service: "{targets: [a:1], health: /healthz, deploy: ./d.sh, rollback: {command: ./r.sh, auto: false}}", previous: "1.0", want: "auto"},
		"not watched": {service: "{health: /healthz, deploy: ./d.sh, rollback: ./r.sh}", previous: "1.0", want: "monitoring"},
	} {
		cfg, err := config.Parse("/etc/belay.yaml", []byte("services: {shop: "+c.service+"}"), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		g := gate.Gate{Config: func() *config.Config { return cfg }, Active: func(context.Context) ([]belay.Deployment, error) { return c.active, nil }}
		found, err := g.Check(t.Context(), belay.Deployment{Ref: shop, Previous: belay.Release{Version: c.previous}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			if f.Refuse {
				f.Name += "!"
			}
			got = append(got, f.Name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}
