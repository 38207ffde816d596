package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/jsonpath"
	"github.com/belaydev/belay/internal/lib/outbound"
)

const (
	maxBody    = 256 << 10
	maxVersion = 128
)

// Request is how an HTTP reader asks.
type Request struct {
	Method         string // default GET
	Headers        map[string]belay.Secret
	TLS            *tls.Config   // default: the system's authorities
	Timeout        time.Duration // of one request; default 3s
	AllowLinkLocal bool          // connect to link-local and cloud metadata addresses too
}

// Version says where in an answer the version stands. The first that is set counts; none is the first line of
// the body.
type Version struct {
	Header string // name of a header
	JSON   string // path into a JSON body: ".version"
}

func (v Version) isZero() bool { return v == Version{} }

// HTTPReleases asks each target for its version over HTTP.
type HTTPReleases struct {
	Request
	Path    string // default /version; a URL is asked once and speaks for all targets
	Version Version
}

// Releases asks all targets at once.
func (h HTTPReleases) Releases(ctx context.Context, targets []belay.Target) ([]Reported, error) {
	out := make([]Reported, len(targets))
	if strings.Contains(h.Path, "://") {
		one := h.ask(ctx, h.Path, "")
		for i, t := range targets {
			one.Target = t.Address
			out[i] = one
		}
		return out, nil
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, t := range targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = h.ask(ctx, t.Address, cmp.Or(h.Path, "/version"))
		})
	}
	wg.Wait()
	return out, nil
}

func (h HTTPReleases) ask(ctx context.Context, target, path string) Reported {
	r := Reported{Target: target}
	address, err := outbound.URL(target, path)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	a, err := h.get(ctx, address)
	switch {
	case err != nil:
		r.Problem = outbound.Why(err, h.timeout())
	case a.status != http.StatusOK:
		r.Problem = fmt.Sprintf("HTTP %d", a.status)
	default:
		if r.Version, err = h.Version.read(a); err != nil {
			r.Problem = err.Error()
		}
	}
	return r
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// HTTPFrontDoor sends several requests in a row to the address that users use; each must be answered as wanted.
type HTTPFrontDoor struct {
	Request
	URL      string
	Status   []StatusRange  // default 200 to 299
	Body     *regexp.Regexp // must match, when set
	Version  Version        // must be the release's, when set
	Requests int            // default 3
}

// Knock sends the requests.
func (d HTTPFrontDoor) Knock(ctx context.Context, want belay.Release) DoorReading {
	n := max(cmp.Or(d.Requests, 3), 1)
	r := DoorReading{State: belay.CheckPassed, Want: d.want(want, n)}
	var slowest time.Duration
	for i := range n {
		began := time.Now()
		a, err := d.get(ctx, d.URL)
		state, why := d.judge(a, err, want)
		if state != belay.CheckPassed {
			r.State, r.Got = state, fmt.Sprintf("%s (request %d of %d)", why, i+1, n)
			return r
		}
		slowest = max(slowest, time.Since(began))
		r.Got = why
	}
	r.Got = fmt.Sprintf("%d × %s, slowest %s", n, r.Got, slowest.Round(100*time.Microsecond))
	return r
}

func (d HTTPFrontDoor) status() []StatusRange {
	if len(d.Status) == 0 {
		return []StatusRange{{From: 200, To: 299}}
	}
	return d.Status
}

func (d HTTPFrontDoor) want(release belay.Release, n int) string {
	var codes []string
	for _, r := range d.status() {
		if r.From == r.To {
			codes = append(codes, strconv.Itoa(r.From))
		} else {
			codes = append(codes, fmt.Sprintf("%d-%d", r.From, r.To))
		}
	}
	s := fmt.Sprintf("%d × HTTP %s", n, strings.Join(codes, " or "))
	if d.Body != nil {
		s += fmt.Sprintf(", a body that matches %q", d.Body)
	}
	if !d.Version.isZero() {
		s += ", version " + release.String()
	}
	return s + " from " + d.URL
}

func (d HTTPFrontDoor) judge(a answer, err error, want belay.Release) (state belay.CheckResult, got string) {
	switch {
	case errors.Is(err, outbound.ErrRefused) || errors.Is(err, context.Canceled):
		return belay.CheckUnknown, outbound.Why(err, d.timeout())
	case err != nil:
		return belay.CheckFailed, outbound.Why(err, d.timeout())
	}
	got = fmt.Sprintf("HTTP %d", a.status)
	if !slices.ContainsFunc(d.status(), func(r StatusRange) bool { return r.From <= a.status && a.status <= r.To }) {
		return belay.CheckFailed, got
	}
	if d.Body != nil && !d.Body.Match(a.body) {
		return belay.CheckFailed, got + " with a body that does not match"
	}
	if d.Version.isZero() {
		return belay.CheckPassed, got
	}
	version, err := d.Version.read(a)
	if err != nil {
		return belay.CheckUnknown, got + ", " + err.Error()
	}
	if got += ", version " + version; !reports(want, version) {
		return belay.CheckFailed, got
	}
	return belay.CheckPassed, got
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// get asks once, on a connection of its own so that it is routed as a new user is. A redirect is an answer.
func (r Request) get(ctx context.Context, address string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), address, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "belay-verify")
	req.Header.Set("Cache-Control", "no-cache")
	for name, value := range r.Headers {
		req.Header.Set(name, value.Reveal())
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value.Reveal()
		}
	}
	config := r.TLS
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	guard := outbound.Guard{AllowLinkLocal: r.AllowLinkLocal}
	client := &http.Client{Transport: guard.Transport(config.Clone()), CheckRedirect: outbound.NoRedirect}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return answer{}, fmt.Errorf("read answer of %s: %w", address, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

func (r Request) timeout() time.Duration { return cmp.Or(r.Timeout, 3*time.Second) }

// read takes the version out of an answer.
func (v Version) read(a answer) (string, error) {
	text, where := "", "the first line of the body"
	switch {
	case v.Header != "":
		text, where = a.header.Get(v.Header), "header "+v.Header
	case v.JSON != "":
		where = "JSON " + v.JSON
		path, err := jsonpath.Parse(v.JSON)
		if err != nil {
			return "", err
		}
		doc, err := jsonpath.Decode(a.body)
		if err != nil {
			return "", errors.New("the body is not JSON")
		}
		value, ok := path.Get(doc)
		if ok && value != nil {
			text = jsonpath.Text(value)
		}
	default:
		text, _, _ = strings.Cut(strings.TrimSpace(string(a.body)), "\n")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fmt.Errorf("no version in %s", where)
	}
	if len(text) > maxVersion || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("what stands in %s is no version", where)
	}
	return text, nil
}
