//go:build story

package world

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Prometheus is Debian's Prometheus server, as a team runs it already.
type Prometheus struct {
	*Process
	Addr string
	w    *World
}

// Job is something that it scrapes every second.
type Job struct {
	Name, Target string
	Instance     string // given as instance label, when the target is an exporter for it
}

// Prometheus starts a server that scrapes the jobs and waits until all of them are up.
func (w *World) Prometheus(addr string, jobs ...Job) *Prometheus {
	w.T.Helper()
	var b strings.Builder
	b.WriteString("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n")
	for _, j := range jobs {
		labels := "{}"
		if j.Instance != "" {
			labels = fmt.Sprintf("{instance: %q}", j.Instance)
		}
		fmt.Fprintf(&b, "- job_name: %s\n  static_configs: [{targets: [%q], labels: %s}]\n", j.Name, j.Target, labels)
	}
	w.Write("prometheus/prometheus.yml", b.String(), 0o644)
	p := &Prometheus{Addr: addr, w: w}
	p.Start()
	for _, j := range jobs {
		p.Has(fmt.Sprintf("up{job=%q} == 1", j.Name))
	}
	return p
}

// Start starts the server, again if it was stopped, on what it has stored.
func (p *Prometheus) Start() {
	p.w.T.Helper()
	dir := filepath.Join(p.w.Dir, "prometheus")
	p.Process = p.w.Spawn("external prometheus", "/usr/bin/prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.Addr, "--log.level=warn")
	p.w.Until("the external prometheus is ready", 20*time.Second, func() error { return Get("http://"+p.Addr+"/-/ready", nil) })
}

// Has waits until an expression has a result.
func (p *Prometheus) Has(expr string) {
	p.w.T.Helper()
	p.w.Until("prometheus has "+expr, 20*time.Second, func() error {
		var answer struct {
			Data struct{ Result []any }
		}
		if err := Get("http://"+p.Addr+"/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
			return err
		}
		if len(answer.Data.Result) == 0 {
			return ErrNotYet
		}
		return nil
	})
}
