package health

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/lib/jsonpath"
	"github.com/belaydev/belay/internal/lib/outbound"
	"github.com/belaydev/belay/internal/observe/health/body"
)

const maxBody = 256 << 10 // after decompression; a health body is a page at most

func (c Check) probeHTTP(ctx context.Context, target string) Result {
	h := cmp.Or(c.HTTP, &HTTP{})
	address, err := outbound.URL(target, h.Path)
	if err != nil {
		return blind("%v", err)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(h.Method, http.MethodGet), address, nil)
	if err != nil {
		return blind("%v", err)
	}
	req.Header.Set("User-Agent", "belay-health")
	req.Header.Set("Accept", "application/health+json, application/json, */*;q=0.5")
	host := ""
	for name, value := range h.Headers {
		req.Header.Set(name, value.Reveal())
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value.Reveal()
			host, _, _ = outbound.HostPort(req.Host)
		}
	}
	config, err := c.tlsConfig(host)
	if err != nil {
		return blind("%v", err)
	}
	client := &http.Client{Transport: c.guard().Transport(config)}
	if !h.FollowRedirects {
		client.CheckRedirect = outbound.NoRedirect
	}
	resp, err := client.Do(req)
	if err != nil {
		return c.cannotReach(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	r := h.judge(resp, content)
	if err != nil && r.OK {
		r.OK, r.Detail = false, fmt.Sprintf("HTTP %d, reading the body: %s", resp.StatusCode, outbound.Why(err, c.Timeout))
	}
	r.CertExpiry = outbound.Expiry(resp.TLS)
	return r
}

// judge holds the answer against what is wanted.
func (h *HTTP) judge(resp *http.Response, content []byte) Result {
	facts := body.Read(content)
	r := Result{OK: true, Detail: fmt.Sprintf("HTTP %d", resp.StatusCode), Broken: facts.Broken, Release: facts.Release}
	fail := func(why string) Result {
		r.OK = false
		r.Detail += why
		return r
	}
	broken := ""
	if len(facts.Broken) > 0 {
		broken = ", " + isDown(facts.Broken)
	}
	if !h.wants(resp.StatusCode) {
		if broken == "" && resp.StatusCode/100 == 3 && !h.FollowRedirects {
			return fail(redirect(resp))
		}
		return fail(broken)
	}
	if facts.Down && !h.StatusOnly {
		return fail(fmt.Sprintf(", but the body says %q%s", facts.Status, broken))
	}
	if h.Body != nil && !h.Body.Match(content) {
		return fail(fmt.Sprintf(", but the body does not match %q", h.Body))
	}
	for _, want := range h.JSON {
		if why := want.unmet(content); why != "" {
			r.Blind = strings.HasPrefix(why, "read JSON path")
			return fail(", but " + why + broken)
		}
	}
	r.Detail += broken
	return r
}

func (h *HTTP) wants(code int) bool {
	if len(h.Status) == 0 {
		return code >= 200 && code <= 299
	}
	return slices.ContainsFunc(h.Status, func(s StatusRange) bool { return s.From <= code && code <= s.To })
}

func (want JSONEqual) unmet(content []byte) string {
	path, err := jsonpath.Parse(want.Path)
	if err != nil {
		return err.Error()
	}
	doc, err := jsonpath.Decode(content)
	if err != nil {
		return "the body is not JSON"
	}
	value, ok := path.Get(doc)
	if !ok {
		return fmt.Sprintf("%s is missing, want %s", want.Path, want.Want)
	}
	if got := jsonpath.Text(value); got != want.Want {
		return fmt.Sprintf("%s is %.60s, want %s", want.Path, got, want.Want)
	}
	return ""
}

// redirect says where to, without the query: it may carry a token.
func redirect(resp *http.Response) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Path == "" && to.Host == "" {
		return ", a redirect, which is not followed"
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	return fmt.Sprintf(", a redirect to %.80s, which is not followed", to)
}

func isDown(names []string) string {
	verb := " is down"
	if len(names) > 1 {
		verb = " are down"
	}
	return strings.Join(names, ", ") + verb
}
