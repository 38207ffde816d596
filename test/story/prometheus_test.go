//go:build story

package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// promYAML deploys a Prometheus server, judged by another one. Its version is the page title that it is started with:
// the one thing that a team can name freely and that the server reports.
const promYAML = `
server: {listen: "{{listen}}"}
metrics: {url: "http://{{judge}}"}
services:
  metrics:
    targets: ["{{subject}}"]
    metrics: {selector: {job: prometheus}}
    health: [{name: ready, http: /-/ready, interval: 200ms, timeout: 1s, rise: 2, fall: 3}]
    signals:
      error_rate: off       # it names its requests prometheus_http_requests_total
      response_time: off
      failed_queries:
        query: '(sum(rate(prometheus_http_requests_total{$selector,handler="/api/v1/query",code=~"4..|5.."}[5s])) or vector(0)) / sum(rate(prometheus_http_requests_total{$selector,handler="/api/v1/query"}[5s]))'
        unit: "%"
        threshold: 10%
        for: 2s
    hard_stops: {error_rate: off}
    watch: {start_deadline: 10s, deadline: 30s, min_time: 6s, bake: 1s, interval: 250ms}
    deploy: ./deploy.sh
    rollback:
      proof_timeout: 30s
      max_per_hour: 60
      steps: [{command: [./rollback.sh], inspect: [./current.sh], deadline: 20s}]
    verify:
      front_door: {url: "http://{{subject}}/api/v1/query?query=sum(prometheus_http_requests_total)", body: success}
      release: {http: /api/v1/status/flags, json: '.data["web.page-title"]'}
      proof_time: 2s
`

const (
	promInstall = `
if [ -s run/server.pid ]; then
  kill "$(cat run/server.pid)" 2>/dev/null || true
  while kill -0 "$(cat run/server.pid)" 2>/dev/null; do sleep 0.05; done
fi
set -- $(cat "releases/$version")
setsid /usr/bin/prometheus --config.file=subject.yml --storage.tsdb.path=run/data --web.listen-address="$ADDRESS" \
  --web.page-title="$version" "$@" >> run/log 2>&1 < /dev/null &
echo $! > run/server.pid
`
	promDeploy   = "#!/bin/sh\nset -eu\nversion=$BELAY_VERSION\n" + promInstall
	promRollback = "#!/bin/sh\nset -eu\nversion=$BELAY_TO_VERSION\n" + promInstall
	promCurrent  = `#!/bin/sh
set -eu
tr '\0' '\n' < "/proc/$(cat run/server.pid)/cmdline" | sed -n 's/^--web.page-title=//p'
`
)

// TestPrometheusAsService deploys Prometheus's own server. Its bad releases are bad configurations: queries that
// answer 422 because nothing may be loaded, and one that does not start.
func TestPrometheusAsService(t *testing.T) {
	t.Parallel()
	p := world.Ports(t, 2)
	subject := p[0]
	w := world.New(t, promYAML, map[string]string{"subject": subject, "judge": p[1]})
	w.Env = append(w.Env, "ADDRESS="+subject)
	for version, flags := range map[string]string{
		"1.0": "",
		"1.1": "--query.max-concurrency=10",
		"2.0": "--query.max-samples=1",
		"2.1": "--query.timeout=never",
	} {
		w.Write("releases/"+version, flags+"\n", 0o644)
	}
	w.Write("subject.yml", "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: self, static_configs: [{targets: ['"+subject+"']}]}]\n", 0o644)
	w.Write("run/log", "", 0o644)
	w.Write("deploy.sh", promDeploy, 0o755)
	w.Write("rollback.sh", promRollback, 0o755)
	w.Write("current.sh", promCurrent, 0o755)
	w.StopByPidFiles("run")
	start := w.Spawn("first start", "/bin/sh", "-c", "BELAY_VERSION=1.0 exec ./deploy.sh")
	<-start.Done
	w.Until("prometheus answers", 20*time.Second, func() error { return world.Get("http://"+subject+"/-/ready", nil) })
	judge := w.Prometheus(p[1], world.Job{Name: "prometheus", Target: subject})
	w.Load("http://"+subject, 20, []world.Request{{Method: "GET", Path: "/api/v1/query?query=sum(prometheus_http_requests_total)", Share: 100}})
	judge.Has(`rate(prometheus_http_requests_total{handler="/api/v1/query"}[5s]) > 5`)
	w.Serve()
	w.Adopted("metrics", "1.0")

	r := w.Deploy(0, "metrics", "--version", "1.1", "--until", "end")
	world.MustHave(t, r, r.Deployment.State == belay.StateSucceeded, "the good release was not promoted")

	r = w.Deploy(3, "metrics", "--version", "2.0")
	world.MustBeVerified(t, r, "release of "+subject, "health ready", "front door")
	world.MustHave(t, r, slices.Contains(r.Deployment.Card.Culprits, "failed_queries"), "culprits %v", r.Deployment.Card.Culprits)
	onPrometheus(t, subject, "1.1")

	r = w.Deploy(3, "metrics", "--version", "2.1")
	world.MustBeVerified(t, r, "release of "+subject, "front door")
	onPrometheus(t, subject, "1.1")
}

func onPrometheus(t *testing.T, addr, want string) {
	t.Helper()
	var flags struct{ Data map[string]string }
	if err := world.Get("http://"+addr+"/api/v1/status/flags", &flags); err != nil || flags.Data["web.page-title"] != want {
		t.Errorf("prometheus runs %q, %v; want %s", flags.Data["web.page-title"], err, want)
	}
	var answer string
	if err := world.Get("http://"+addr+"/api/v1/query?query=sum(prometheus_http_requests_total)", &answer); err != nil || !strings.Contains(answer, "success") {
		t.Errorf("a query answers %q, %v", answer, err)
	}
}
