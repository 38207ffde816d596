// Package metric reads metrics: from the embedded Prometheus store, which scrapes targets itself (Store), or
// from an existing Prometheus-compatible server (Remote). Both answer alike. It is the only package that knows
// the Prometheus engine, which promises no stable API. It does not know what a metric means: that is package
// kpi; nor what a deployment is.
package metric

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/outbound"
)

// Reader answers questions about metrics. Store and Remote implement it and give the same answers.
type Reader interface {
	// Samples returns the raw samples with from < T <= to of the series that a selector such as
	// up{job="shop"} matches, ordered by labels. Stale markers are left out, so a series that ended has no
	// points after its end; a series without points is left out.
	Samples(ctx context.Context, selector string, from, to time.Time) ([]Series, error)
	// Eval returns the value of a PromQL expression at one moment, a point for each series. An expression
	// that gives a scalar is one series without labels.
	Eval(ctx context.Context, expr string, at time.Time) ([]Series, error)
	// Ready says, by a cheap question, whether answers can be had.
	Ready(ctx context.Context) error
}

// Series is a set of labels (the metric's name is label "__name__") and its points, oldest first.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Name returns the metric's name, or "" for the result of an expression.
func (s Series) Name() string { return s.Labels[model.MetricNameLabel] }

// Point is one sample: a number, or a native histogram.
type Point struct {
	T time.Time // to the millisecond
	V float64
	H *Histogram // nil for a number
}

// Histogram is a histogram as cumulative counts over ascending finite bounds, whatever form it was stored in:
// Count[i] observations were at most LE[i]. Between two bounds that a native histogram gives, only the
// populated buckets appear: where the counts of two bounds are equal, nothing lies between them. Slices are
// shared and must not be written to.
type Histogram struct {
	LE    []float64
	Count []float64
	N     float64 // all observations, those above the last bound too
	Sum   float64
}

// At returns how many observations were at most le.
func (h *Histogram) At(le float64) float64 {
	lo, hi := 0, len(h.LE)
	for lo < hi {
		if m := (lo + hi) / 2; h.LE[m] <= le {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return 0
	}
	return h.Count[lo-1]
}

// CheckSelector says what is wrong with a selector, or nil.
func CheckSelector(selector string) error {
	_, err := matchers(selector)
	return err
}

// CheckExpr says what is wrong with a PromQL expression, or nil.
func CheckExpr(expr string) error {
	if _, err := newParser().ParseExpr(expr); err != nil {
		return belay.Errorf(belay.CodeInvalid, "read PromQL expression %q: %w", expr, err)
	}
	return nil
}

// CheckTarget says what is wrong with the address of a target that a deployment names, or nil.
func CheckTarget(address string) error {
	l, err := locate(address, Job{Name: "deployment", Scheme: "http", Path: "/metrics"})
	if err != nil {
		return err
	}
	host := (&url.URL{Host: l.host}).Hostname()
	if ip, err := netip.ParseAddr(host); err == nil { // a name is looked at when it is connected to
		if err := (outbound.Guard{}).Check(ip); err != nil {
			return belay.Errorf(belay.CodeInvalid, "use target %q: %w", address, err).
				WithNext("give the address of an instance of the service")
		}
	}
	return nil
}

func matchers(selector string) ([]*labels.Matcher, error) {
	ms, err := newParser().ParseMetricSelector(selector)
	if err == nil && !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		err = errors.New("it would match everything: at least one label must not be empty")
	}
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read metric selector %q: %w", selector, err).
			WithNext(`write it as name{label="value"}`)
	}
	return ms, nil
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// Instance returns the value of the "instance" label that the samples of a target carry: its host:port.
func Instance(target string) string {
	if !strings.Contains(target, "://") {
		host, _, _ := strings.Cut(target, "/")
		return host
	}
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	return u.Host
}

// location is where a target's metrics are.
type location struct {
	scheme, host, path string
	query              url.Values
}

func (l location) String() string {
	return (&url.URL{Scheme: l.scheme, Host: l.host, Path: l.path, RawQuery: l.query.Encode()}).String()
}

// locate reads a target as "host:port", "host:port/path" or a URL; what it leaves out comes from the job.
func locate(target string, j Job) (location, error) {
	wrong := func(why string) (location, error) {
		return location{}, belay.Errorf(belay.CodeInvalid, "read target %q of job %q: %s", target, j.Name, why).
			WithNext("write it as host:port or as a URL such as http://10.0.0.1:8000/metrics")
	}
	raw := target
	if !strings.Contains(raw, "://") {
		raw = j.Scheme + "://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return wrong("it is neither an address nor a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("scheme " + u.Scheme + " cannot be scraped")
	case u.Hostname() == "" || strings.ContainsAny(u.Host, " \t"):
		return wrong("it names no host")
	case u.User != nil:
		return wrong("credentials do not belong into a target")
	}
	if p := u.Port(); p == "" && !strings.Contains(target, "://") {
		return wrong("it names no port")
	} else if _, err := strconv.ParseUint(p, 10, 16); p != "" && err != nil {
		return wrong("port " + p + " does not exist")
	}
	l := location{scheme: u.Scheme, host: u.Host, path: u.Path, query: u.Query()}
	if l.path == "" {
		l.path = j.Path
	}
	return l, nil
}
