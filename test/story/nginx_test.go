//go:build story

package story

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// nginxYAML is what a team writes that has nginx, its usual exporter and a Prometheus already.
const nginxYAML = `
server: {listen: "{{listen}}"}
metrics: {url: "http://{{prometheus}}"}
services:
  web:
    targets: ["{{nginx}}"]
    metrics: {selector: {job: nginx}}
    health: [{name: page, http: {path: /, body: "nginx shop"}, interval: 200ms, timeout: 1s, rise: 2, fall: 2}]
    signals:
      error_rate: off     # stub_status counts requests, not what became of them
      response_time: off
      requests: {query: 'sum(rate(nginx_http_requests_total{$selector}[5s]))', unit: /s, direction: lower_is_worse, threshold: 5/s, for: 4s}
    hard_stops: {error_rate: off}
    watch: {start_deadline: 4s, deadline: 20s, min_time: 3s, bake: 1s, interval: 250ms}
    deploy: ./deploy.sh
    rollback:
      proof_timeout: 30s
      max_per_hour: 60
      steps: [{command: [./rollback.sh], inspect: [./current.sh], deadline: 10s}]
    verify: {front_door: {url: "http://{{nginx}}/", body: "nginx shop"}, release: {http: /version}, proof_time: 1s}
`

// nginxConf is a release: main is what stands for the main page.
func nginxConf(addr, version, main string) string {
	return fmt.Sprintf(`
daemon off;
user root; # as root, workers would else not read the test's folder; otherwise nginx passes this over
worker_processes 1;
pid nginx.pid;
error_log error.log;
events { worker_connections 256; }
http {
  access_log access.log;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen %s;
    location = /version { return 200 "%s"; }
    location = /stub_status { stub_status; access_log off; }
    location / { %s }
  }
}
`, addr, version, main)
}

// The scripts of the team. nginx is told to load a configuration only after it said that it can.
const (
	nginxInstall = `nginx=/usr/sbin/nginx
"$nginx" -p "$PWD" -e error.log -t -q -c "releases/$version.conf"
cp "releases/$version.conf" nginx.conf
"$nginx" -p "$PWD" -e error.log -c nginx.conf -s reload
`
	nginxDeploy   = "#!/bin/sh\nset -eu\nversion=$BELAY_VERSION\n" + nginxInstall
	nginxRollback = "#!/bin/sh\nset -eu\nversion=$BELAY_TO_VERSION\n" + nginxInstall
	nginxCurrent  = `#!/bin/bash
set -eu
exec 3<>"/dev/tcp/${ADDRESS%:*}/${ADDRESS#*:}"
printf 'GET /version HTTP/1.0\r\n\r\n' >&3
tail -n 1 <&3
`
)

// TestNginx deploys configurations of a server that nobody here wrote, judged by a Prometheus that is not belay's.
func TestNginx(t *testing.T) {
	t.Parallel()
	p := world.Ports(t, 3)
	nginx := p[0]
	w := world.New(t, nginxYAML, map[string]string{"nginx": nginx, "prometheus": p[1]})
	w.Env = append(w.Env, "ADDRESS="+nginx)
	for version, main := range map[string]string{
		"1.0": `root html;`,
		"1.1": `root html; add_header X-Release 1.1;`,
		"2.0": `return 503;`,
		"2.1": `root other;`,
		"2.2": `proxxy_pass http://127.0.0.1:1;`,
	} {
		w.Write("releases/"+version+".conf", nginxConf(nginx, version, main), 0o644)
	}
	w.Write("html/index.html", "this is the nginx shop\n", 0o644)
	w.Write("other/index.html", "it works\n", 0o644)
	w.Write("nginx.conf", nginxConf(nginx, "1.0", `root html;`), 0o644)
	w.Write("deploy.sh", nginxDeploy, 0o755)
	w.Write("rollback.sh", nginxRollback, 0o755)
	w.Write("current.sh", nginxCurrent, 0o755)
	w.Spawn("nginx", "/usr/sbin/nginx", "-p", w.Dir, "-e", "error.log", "-c", "nginx.conf")
	w.Until("nginx answers", 10*time.Second, func() error { return world.Get("http://"+nginx+"/", nil) })
	w.Spawn("exporter", "/usr/bin/prometheus-nginx-exporter", "-nginx.scrape-uri=http://"+nginx+"/stub_status", "-web.listen-address="+p[2])
	prom := w.Prometheus(p[1], world.Job{Name: "nginx", Target: p[2], Instance: nginx})
	users := w.Load("http://"+nginx, 30, []world.Request{{Method: "GET", Path: "/", Share: 100}})
	prom.Has("rate(nginx_http_requests_total[5s]) > 10")
	w.Serve()
	w.Adopted("web", "1.0")

	r := w.Deploy(0, "web", "--version", "1.1", "--until", "end")
	world.MustHave(t, r, r.Deployment.Previous.Version == "1.0", "the release that ran before is %q", r.Deployment.Previous.Version)
	signal := slices.IndexFunc(r.Deployment.Card.Signals, func(s belay.SignalEvidence) bool {
		return s.Signal == "requests" && s.Candidate != nil && *s.Candidate > 10
	})
	world.MustHave(t, r, signal >= 0, "the card has no requests per second, as the exporter counts them")
	if n := users.Bad.Load(); n > 0 {
		t.Errorf("a good release harmed %d requests: %s", n, users.FirstFailure())
	}

	for version, want := range map[string]string{"2.0": "503", "2.1": "nginx shop"} {
		r := w.Deploy(3, "web", "--version", version)
		world.MustBeVerified(t, r, "release of", "health page", "front door")
		world.MustHave(t, r, strings.Contains(r.Deployment.Reason+told(r), want), "nothing says why: want %q", want)
		onNginx(t, nginx, "1.1")
	}

	// nginx refuses to load it: users never see it, and the person is told nginx's own words.
	before := users.Bad.Load()
	r = w.Deploy(3, "web", "--version", "2.2")
	world.MustBeVerified(t, r, "release of", "front door")
	world.MustHave(t, r, strings.Contains(r.Deployment.Reason, "proxxy_pass"), "the reason does not have the words of the script")
	onNginx(t, nginx, "1.1")
	if n := users.Bad.Load() - before; n > 0 {
		t.Errorf("a configuration that was never loaded harmed %d requests", n)
	}
	if users.Total.Load() < 300 {
		t.Errorf("only %d requests were sent: the load did not run", users.Total.Load())
	}
}

func onNginx(t *testing.T, addr, want string) {
	t.Helper()
	var page, version string
	if err := world.Get("http://"+addr+"/version", &version); err != nil || version != want {
		t.Errorf("nginx runs %q, %v; want %s", version, err, want)
	}
	if err := world.Get("http://"+addr+"/", &page); err != nil || !strings.Contains(page, "nginx shop") {
		t.Errorf("users get %q, %v", page, err)
	}
}

func told(r world.Report) string {
	var b strings.Builder
	for _, e := range r.Timeline {
		b.WriteString(e.Message + "\n")
	}
	if r.Deployment.Card != nil {
		for _, h := range r.Deployment.Card.Health {
			b.WriteString(h.Detail + "\n")
		}
	}
	return b.String()
}
