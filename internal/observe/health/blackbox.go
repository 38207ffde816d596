package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/blackbox_exporter/config"
	"github.com/prometheus/blackbox_exporter/prober"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay/internal/lib/outbound"
)

func (c Check) probeTCP(ctx context.Context, target string) Result {
	host, port, err := outbound.HostPort(target)
	if err != nil || port == "" {
		return blind("read address %q: want host:port", target)
	}
	addr, err := c.guard().Resolve(ctx, host)
	if err != nil {
		return c.cannotReach(err)
	}
	m := config.DefaultModule
	if c.TLS != nil {
		m.TCP.TLS = true
		m.TCP.TLSConfig.CAFile = c.TLS.CAFile
		m.TCP.TLSConfig.InsecureSkipVerify = c.TLS.InsecureSkipVerify
		m.TCP.TLSConfig.ServerName = cmp.Or(c.TLS.ServerName, host)
	}
	if c.TCP != nil && c.TCP.Send != "" {
		m.TCP.QueryResponse = append(m.TCP.QueryResponse, config.QueryResponse{Send: c.TCP.Send})
	}
	if c.TCP != nil && c.TCP.Expect != nil {
		m.TCP.QueryResponse = append(m.TCP.QueryResponse, config.QueryResponse{Expect: config.Regexp{Regexp: c.TCP.Expect}})
	}
	log := &probeLog{}
	registry := prometheus.NewRegistry()
	ok := prober.ProbeTCP(ctx, net.JoinHostPort(addr.String(), port), m, registry, slog.New(log))
	r := Result{OK: ok, Detail: "connected", CertExpiry: expiry(registry)}
	if ok && c.TCP != nil && c.TCP.Expect != nil {
		r.Detail = "answered as expected"
	}
	if !ok {
		message, _, err := log.last()
		r.Detail = outbound.Why(err, c.Timeout)
		if message == "Regexp did not match" {
			r.Detail = fmt.Sprintf("the answer does not match %q", c.TCP.Expect)
		}
		r.Detail = cmp.Or(r.Detail, message)
	}
	return r
}

func (c Check) probeDNS(ctx context.Context, target string) Result {
	if c.DNS == nil || c.DNS.Name == "" {
		return blind("no name to ask for is configured")
	}
	want, err := regexp.Compile("^(?:" + c.DNS.Answer + ")$")
	if err != nil {
		return blind("the wanted answer is no regular expression: %v", err)
	}
	host, port, err := outbound.HostPort(cmp.Or(c.DNS.Server, target))
	if err != nil {
		return blind("%v", err)
	}
	addr, err := c.guard().Resolve(ctx, host)
	if err != nil {
		return c.cannotReach(err)
	}
	m := config.DefaultModule
	m.DNS.QueryName = c.DNS.Name
	m.DNS.QueryType = strings.ToUpper(cmp.Or(c.DNS.Type, "A"))
	// With a pattern the prober fails an empty answer; this one matches any record.
	m.DNS.ValidateAnswer.FailIfNoneMatchesRegexp = []string{""}
	log := &probeLog{}
	ok := prober.ProbeDNS(ctx, net.JoinHostPort(addr.String(), cmp.Or(port, "53")), m, prometheus.NewRegistry(), slog.New(log))
	message, rcode, err := log.last()
	what := m.DNS.QueryType + " " + c.DNS.Name
	switch {
	case ok && c.DNS.Answer != "" && !log.anyMatches(want):
		return failed("%s is %s, want %s", what, log.answers(), c.DNS.Answer)
	case ok:
		return Result{OK: true, Detail: what + " is " + log.answers()}
	case message == "Invalid query type":
		return blind("unknown DNS record type %q", m.DNS.QueryType)
	case err != nil:
		return failed("%s", outbound.Why(err, c.Timeout))
	case rcode != "":
		return failed("%s for %s", rcode, what)
	}
	return failed("no answer for %s", what)
}

func (c Check) probeICMP(ctx context.Context, target string) Result {
	host, _, err := outbound.HostPort(target)
	if err != nil {
		return blind("%v", err)
	}
	addr, err := c.guard().Resolve(ctx, host)
	if err != nil {
		return c.cannotReach(err)
	}
	log := &probeLog{}
	if prober.ProbeICMP(ctx, addr.String(), config.DefaultModule, prometheus.NewRegistry(), slog.New(log)) {
		return Result{OK: true, Detail: "echo received"}
	}
	message, _, err := log.last()
	switch {
	case errors.Is(err, fs.ErrPermission) && message == "Error listening to socket":
		return blind("this process may not send pings: give it the capability CAP_NET_RAW, or put its group into net.ipv4.ping_group_range")
	case message == "Error listening to socket":
		return blind("no ping socket: %s", outbound.Why(err, c.Timeout))
	case err != nil:
		return failed("%s", outbound.Why(err, c.Timeout))
	}
	return failed("%s", cmp.Or(message, "no echo"))
}

// cannotReach is the result for a name that did not resolve or an address that may not be probed.
func (c Check) cannotReach(err error) Result {
	return Result{Detail: outbound.Why(err, c.Timeout), Blind: errors.Is(err, outbound.ErrRefused)}
}

// expiry reads the end of the certificate from the prober's metrics.
func expiry(registry *prometheus.Registry) time.Time {
	families, err := registry.Gather()
	if err != nil {
		return time.Time{} // not said rather than said wrongly; the registry is our own and throw-away
	}
	for _, f := range families {
		if f.GetName() == "probe_ssl_earliest_cert_expiry" && len(f.GetMetric()) > 0 {
			return time.Unix(int64(f.GetMetric()[0].GetGauge().GetValue()), 0)
		}
	}
	return time.Time{}
}

// probeLog listens to the prober's log, the only place where it says why.
type probeLog struct {
	mu      sync.Mutex
	message string
	err     error
	rcode   string
	records []string
}

// Enabled takes everything: the DNS answers are told at debug level.
func (p *probeLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps the last complaint and the answers.
func (p *probeLog) Handle(_ context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "err":
			if e, ok := a.Value.Any().(error); ok {
				err = e
			} else if text := a.Value.String(); strings.HasSuffix(text, os.ErrDeadlineExceeded.Error()) {
				err = os.ErrDeadlineExceeded // the prober turned it into text
			} else {
				err = errors.New(text)
			}
		case "string_rcode":
			if r.Level >= slog.LevelWarn {
				p.rcode = a.Value.String()
			}
		case "rr":
			if r.Message == "Validating RR" && len(p.records) < 1000 {
				fields := strings.SplitN(a.Value.String(), "\t", 5)
				p.records = append(p.records, fields[len(fields)-1])
			}
		}
		return true
	})
	// "RRs validation failed" only repeats that something before failed.
	if r.Level >= slog.LevelWarn && !strings.HasSuffix(r.Message, "validation failed") {
		p.message, p.err = r.Message, err
	}
	return nil
}

// WithAttrs and WithGroup change nothing: the prober uses neither for what is wanted here.
func (p *probeLog) WithAttrs([]slog.Attr) slog.Handler { return p }

// WithGroup returns p.
func (p *probeLog) WithGroup(string) slog.Handler { return p }

// last returns the last complaint, the DNS response code if it was about one, and the cause.
func (p *probeLog) last() (message, rcode string, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.message, p.rcode, p.err
}

func (p *probeLog) answers() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Join(p.records[:min(len(p.records), 10)], ", ")
	if more := len(p.records) - 10; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (p *probeLog) anyMatches(want *regexp.Regexp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.records, func(data string) bool {
		data = strings.TrimSuffix(strings.Trim(data, `"`), ".")
		return want.MatchString(data) || want.MatchString(data[strings.LastIndexByte(data, ' ')+1:])
	})
}
