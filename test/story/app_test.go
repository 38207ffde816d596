//go:build story

package story

import (
	"fmt"
	"testing"
	"time"

	"github.com/belaydev/belay/test/world"
)

// appYAML is a service that is replaced in place, scraped by belay itself or by the server that {{metrics}} names.
const appYAML = `
server: {listen: "{{listen}}"}
metrics: {scrape_interval: 500ms, watch_interval: 500ms{{metrics}}}
{{more}}
services:
  app:
    targets: ["{{app}}"]
    metrics: {selector: {{selector}}}
    health: [{name: web, http: /healthz, interval: 200ms, timeout: 1s, rise: 2, fall: 2}]
    watch: {start_deadline: 5s, deadline: {{deadline}}, min_time: 2s, bake: {{bake}}, interval: 200ms}
    deploy: ./deploy.sh
    rollback:
      proof_timeout: {{proof}}
      max_per_hour: 60
      steps: [{command: [./rollback.sh], inspect: [./current.sh], deadline: 10s}]
    verify: {front_door: "http://{{app}}/", release: {http: /version, json: .version}, proof_time: 1s}
`

// appWorld makes a world around the small application; settings replace those of appYAML.
func appWorld(t *testing.T, settings map[string]string) (*world.World, *world.App) {
	t.Helper()
	addr := world.Ports(t, 1)[0]
	w := world.New(t, appYAML, appSettings(addr, settings))
	return w, w.App(addr, "1.0")
}

func appSettings(addr string, settings map[string]string) map[string]string {
	all := map[string]string{"app": addr, "metrics": "", "more": "", "selector": "{}", "deadline": "30s", "bake": "60s", "proof": "20s"}
	for k, v := range settings {
		all[k] = v
	}
	return all
}

// users sends 60 requests a second and waits until the application has served some.
func users(w *world.World, a *world.App) *world.Load {
	w.T.Helper()
	l := w.Load("http://"+a.Addr, 60, []world.Request{{Method: "GET", Path: "/", Share: 100}})
	w.Until("users are served", 10*time.Second, func() error {
		if n := l.Total.Load(); n < 20 {
			return fmt.Errorf("%d requests: %s", n, l.FirstFailure())
		}
		return nil
	})
	return l
}
