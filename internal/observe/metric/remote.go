package metric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// RemoteOptions say where a Prometheus-compatible server is. Only URL is needed.
type RemoteOptions struct {
	URL         string // base, as in "https://mimir.example/prometheus"; "/api/v1/query" is added
	BearerToken belay.Secret
	Header      map[string]string // further request headers: a tenant, say
	Timeout     time.Duration     // of one question; 10 s when zero
	MaxBytes    int64             // of one answer; 64 MiB when zero
	Client      *http.Client      // one of its own when nil
}

// Remote asks a Prometheus-compatible server over its HTTP API.
type Remote struct {
	opts  RemoteOptions
	base  string // may hold a password
	shown string // holds none
}

// NewRemote prepares to ask the server; it sends nothing.
func NewRemote(o RemoteOptions) (*Remote, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, belay.Errorf(belay.CodeInvalid, "read address of metrics server: want a URL such as http://prometheus:9090")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, belay.Errorf(belay.CodeInvalid, "read address of metrics server %s: it may not have a query or fragment", u.Redacted())
	}
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.MaxBytes, 64<<20)
	if o.Client == nil {
		o.Client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		}}
	}
	return &Remote{opts: o, base: strings.TrimSuffix(u.String(), "/"), shown: strings.TrimSuffix(u.Redacted(), "/")}, nil
}

// URL returns the server's address without a password.
func (r *Remote) URL() string { return r.shown }

// Close drops idle connections.
func (r *Remote) Close(context.Context) error {
	r.opts.Client.CloseIdleConnections()
	return nil
}

// Ready implements Reader.
func (r *Remote) Ready(ctx context.Context) error {
	_, err := r.query(ctx, "vector(1)", time.Time{})
	return err
}

// Samples implements Reader.
func (r *Remote) Samples(ctx context.Context, selector string, from, to time.Time) ([]Series, error) {
	if err := CheckSelector(selector); err != nil {
		return nil, err
	}
	span := to.UnixMilli() - from.UnixMilli()
	if span <= 0 {
		return nil, nil
	}
	d, err := r.query(ctx, fmt.Sprintf("%s[%dms]", strings.TrimSpace(selector), span), to)
	if err != nil {
		return nil, err
	}
	if d.ResultType != "matrix" {
		return nil, r.odd("a " + d.ResultType + " where samples were asked for")
	}
	out, err := d.series()
	if err != nil {
		return nil, r.odd(err.Error())
	}
	// Servers before Prometheus 3 include the sample at the left edge.
	for i := range out {
		out[i].Points = slices.DeleteFunc(out[i].Points, func(p Point) bool {
			return p.T.UnixMilli() <= from.UnixMilli() || p.T.UnixMilli() > to.UnixMilli()
		})
	}
	out = slices.DeleteFunc(out, func(s Series) bool { return len(s.Points) == 0 })
	sortSeries(out)
	return out, nil
}

// Eval implements Reader.
func (r *Remote) Eval(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	// Whether the expression is right is for the server to say: it may know functions that we do not.
	d, err := r.query(ctx, expr, at)
	if err != nil {
		return nil, err
	}
	if d.ResultType != "vector" && d.ResultType != "scalar" {
		return nil, notAValue(expr, d.ResultType)
	}
	out, err := d.series()
	if err != nil {
		return nil, r.odd(err.Error())
	}
	sortSeries(out)
	return out, nil
}

// Range returns the values of a PromQL expression at from, from+step and so on up to to. The server may limit the
// number of steps of one question (Prometheus: 11,000).
func (r *Remote) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	d, err := r.ask(ctx, "/api/v1/query_range", expr, url.Values{"start": {seconds(from)}, "end": {seconds(to)},
		"step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}})
	if err != nil {
		return nil, err
	}
	if d.ResultType != "matrix" {
		return nil, r.odd("a " + d.ResultType + " where a range was asked for")
	}
	out, err := d.series()
	if err != nil {
		return nil, r.odd(err.Error())
	}
	sortSeries(out)
	return out, nil
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (r *Remote) query(ctx context.Context, expr string, at time.Time) (*result, error) {
	form := url.Values{}
	if !at.IsZero() {
		form.Set("time", seconds(at))
	}
	return r.ask(ctx, "/api/v1/query", expr, form)
}

// ask sends a question, with its own part of the form, and reads the answer.
func (r *Remote) ask(ctx context.Context, path, expr string, form url.Values) (*result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.opts.Timeout, fmt.Errorf("no answer within %s", r.opts.Timeout))
	defer cancel()
	form.Set("query", expr)
	form.Set("timeout", strconv.FormatFloat(r.opts.Timeout.Seconds(), 'f', -1, 64)+"s")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("ask metrics server %s: %w", r.shown, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "belay")
	for k, v := range r.opts.Header {
		req.Header.Set(k, v)
	}
	if r.opts.BearerToken != "" {
		req.Header.Set("Authorization", "Bearer "+r.opts.BearerToken.Reveal())
	}
	resp, err := r.opts.Client.Do(req)
	if err != nil {
		return nil, r.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.opts.MaxBytes+1))
	if err != nil {
		return nil, r.unreachable(ctx, err)
	}
	if int64(len(body)) > r.opts.MaxBytes {
		return nil, belay.Errorf(belay.CodeInvalid, "metrics server %s: the answer to %s is larger than %d bytes", r.shown, shorten(expr), r.opts.MaxBytes).
			WithNext("narrow metrics.selector of the service")
	}
	return r.decode(resp, body, expr)
}

func (r *Remote) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	// The client's own error repeats method and URL, which may hold a password.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return belay.Errorf(belay.CodeUnavailable, "ask metrics server %s: %w", r.shown, err).WithNext("see that it runs and that metrics.url is right")
}

func (r *Remote) odd(what string) error {
	return belay.Errorf(belay.CodeUnavailable, "metrics server %s answered %s", r.shown, what).
		WithNext("see that metrics.url is the address of a Prometheus-compatible server")
}

func (r *Remote) refused(status int, text string) error {
	err := belay.Errorf(belay.CodeUnavailable, "metrics server %s answered %d %s%s", r.shown, status, http.StatusText(status), text)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return err.WithNext("check metrics.bearer_token")
	case http.StatusNotFound:
		return err.WithNext("see that metrics.url is the base address of a Prometheus-compatible server, its path prefix included")
	}
	return err
}

// shorten keeps an expression that is shown to people to one short line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 120 {
		s = string(r[:117]) + "..."
	}
	return strconv.Quote(s)
}

func sortSeries(s []Series) {
	slices.SortFunc(s, func(a, b Series) int { return compareLabels(a.Labels, b.Labels) })
}

// compareLabels orders as the engine does: by the first pair, in order of names, that differs.
func compareLabels(a, b map[string]string) int {
	na, nb := names(a), names(b)
	for i := range min(len(na), len(nb)) {
		if c := cmp.Or(cmp.Compare(na[i], nb[i]), cmp.Compare(a[na[i]], b[nb[i]])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(na), len(nb))
}

func names(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
