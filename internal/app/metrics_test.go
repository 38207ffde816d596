package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay/internal/app"
)

const metricsPage = "../../docs/metrics.md"

// described are the metrics of a registry by name, with those that have no value yet.
func described(reg *prometheus.Registry) map[string][3]string {
	descs := make(chan *prometheus.Desc)
	go func() {
		reg.Describe(descs)
		close(descs)
	}()
	parts := regexp.MustCompile(`fqName: "([^"]*)", help: "(.*)", unit: "[^"]*", constLabels: .*, variableLabels: \{(.*)\}|fqName: "([^"]*)", help: "(.*)", constLabels: .*, variableLabels: \{(.*)\}`)
	out := map[string][3]string{}
	for d := range descs {
		m := parts.FindStringSubmatch(d.String())
		if m == nil {
			continue
		}
		name, help, labels := m[1]+m[4], m[2]+m[5], strings.Trim(m[3]+m[6], "{}")
		out[name] = [3]string{name, help, labels}
	}
	return out
}

// ofProxy are the metrics that a proxy serves on its admin address.
func ofProxy(t *testing.T) map[string][3]string {
	t.Helper()
	e := newEdge(t)
	for range 3 {
		if resp, err := http.Get(e.url); err == nil {
			resp.Body.Close()
		}
	}
	resp, err := http.Get("http://" + e.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	out := map[string][3]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "# HELP belay_"); ok {
			name, help, _ := strings.Cut("belay_"+rest, " ")
			out[name] = [3]string{name, help, ""}
		}
		name, rest, ok := strings.Cut(line, "{")
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if m, known := out[name]; ok && known && m[2] == "" {
			var labels []string
			for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(rest, -1) {
				if l[1] != "le" {
					labels = append(labels, l[1])
				}
			}
			m[2] = strings.Join(labels, ",")
			out[name] = m
		}
	}
	return out
}

// What belay says of itself follows the conventions of Prometheus and stands in docs/metrics.md, which this test
// writes when UPDATE is set.
func TestMetricsAreDocumented(t *testing.T) {
	own := described(app.Registry(made(t, write(t, small))))
	var b strings.Builder
	b.WriteString("<!-- Made from the metrics of a running belay. Do not edit: UPDATE=1 go test ./internal/app -run Metrics -->\n\n# Metrics of belay itself\n\n" +
		"`belay serve` answers `GET /metrics` on `server.listen`, with the token if one is set. Besides these it serves the\n" +
		"usual `go_*` and `process_*`, and the `prometheus_*` of the embedded store.\n\n")
	table(t, &b, own)
	b.WriteString("\n## Of a proxy\n\n`belay proxy` answers `GET /metrics` on its admin address.\n\n")
	table(t, &b, ofProxy(t))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(metricsPage, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != b.String() {
		t.Errorf("docs/metrics.md is not what is there now (UPDATE=1 go test ./internal/app -run Metrics writes it):\n%s", b.String())
	}
}

func table(t *testing.T, b *strings.Builder, metrics map[string][3]string) {
	t.Helper()
	b.WriteString("| Metric | Labels | Meaning |\n| --- | --- | --- |\n")
	var names []string
	for name := range metrics {
		if strings.HasPrefix(name, "belay_") {
			names = append(names, name)
		}
	}
	if len(names) < 5 {
		t.Errorf("only %d metrics: %v", len(names), names)
	}
	slices.Sort(names)
	good := regexp.MustCompile(`^belay_[a-z][a-z0-9_]*[a-z0-9]$`)
	for _, name := range names {
		m := metrics[name]
		if !good.MatchString(name) || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_ms") {
			t.Errorf("%s is not named as Prometheus wants it", name)
		}
		if m[1] == "" || !strings.HasSuffix(m[1], ".") {
			t.Errorf("%s: help %q is not a sentence", name, m[1])
		}
		labels := ""
		for l := range strings.SplitSeq(m[2], ",") {
			if l != "" {
				labels += ", `" + l + "`"
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, strings.TrimPrefix(labels, ", "), m[1])
	}
}
