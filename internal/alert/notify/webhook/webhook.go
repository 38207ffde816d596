// Package webhook tells a URL of events: one POST for an event, signed, with an idempotency key, as docs/webhook.md
// describes for those who write receivers. It does not try again (package notify does) and shapes nothing for
// particular receivers: the body is the event.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/outbound"
)

const (
	defaultTimeout = 5 * time.Second
	idleTimeout    = 30 * time.Second
	readAtMost     = 64 << 10 // of an answer's body, only so that its connection can be used again
)

// Options of New. URL must be set.
type Options struct {
	URL            string
	Secret         belay.Secret     // signs each request when set
	Timeout        time.Duration    // for one attempt; default 5s
	Source         string           // "ce-source": the address of this belay; default "/belay"
	Version        string           // of belay, for the User-Agent
	AllowLinkLocal bool             // the URL may lead to link-local and cloud metadata addresses
	Now            func() time.Time // default time.Now
}

// Notifier posts events to one URL.
type Notifier struct {
	opts      Options
	url       *url.URL // without userinfo
	user      *url.Userinfo
	shown     string // the URL without anything that may be secret
	transport *http.Transport
}

// New checks the URL and makes a notifier for it. It connects to nothing yet.
func New(opts Options) (*Notifier, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The error of Parse repeats the URL, which may hold a secret.
		return nil, belay.Errorf(belay.CodeInvalid, "the URL of a webhook is not an address such as https://hooks.example.com/belay")
	}
	opts.Timeout = cmp.Or(opts.Timeout, defaultTimeout)
	opts.Source = cmp.Or(opts.Source, "/belay")
	if opts.Now == nil {
		opts.Now = time.Now
	}
	guard := outbound.Guard{AllowLinkLocal: opts.AllowLinkLocal}
	n := &Notifier{opts: opts, url: u, user: u.User, shown: Redact(u)}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		// Said when the configuration is read; a name is checked at each connection.
		if err := guard.Check(addr); err != nil {
			return nil, belay.Errorf(belay.CodeDenied, "webhook %s: %w", n.shown, err).WithNext("set allow_link_local if it is meant")
		}
	}
	u.User, u.Fragment = nil, ""
	n.transport = guard.Transport(nil)
	n.transport.Proxy = http.ProxyFromEnvironment
	n.transport.DisableKeepAlives = false
	n.transport.IdleConnTimeout = idleTimeout
	return n, nil
}

// Redact returns scheme and host of a URL: userinfo and query hold secrets often, the path as well (it is the
// whole secret of many chat services).
func Redact(u *url.URL) string {
	shown := u.Scheme + "://" + u.Host
	if len(u.Path) > 1 || u.RawQuery != "" {
		shown += "/..."
	}
	return shown
}

// String returns the URL as it may be shown.
func (n *Notifier) String() string { return n.shown }

// Close gives back the connections that are kept for the next event.
func (n *Notifier) Close() { n.transport.CloseIdleConnections() }

// postError is why an attempt did not succeed. It names the receiver without its secrets.
type postError struct {
	shown, why string
	after      time.Duration
	cause      error
}

func (f *postError) Error() string             { return "post to " + f.shown + ": " + f.why }
func (f *postError) RetryAfter() time.Duration { return f.after }
func (f *postError) Unwrap() error             { return f.cause }

// Notify posts the event once and says whether posting it again may help.
func (n *Notifier) Notify(ctx context.Context, e belay.Event, attempt int) (retry bool, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("write event %s as JSON: %w", e.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, n.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://host/", bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make request for event %s: %w", e.ID, err)
	}
	req.URL = n.url
	req.Host = n.url.Host
	n.header(req, e, body, attempt)
	// The transport and not a client: a client follows redirects, keeps cookies and repeats the URL in its errors.
	res, err := n.transport.RoundTrip(req)
	if err != nil {
		return true, &postError{shown: n.shown, why: n.scrub(outbound.Why(err, n.opts.Timeout)), cause: context.Cause(ctx)}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, readAtMost) // what was answered is known already
	return n.judge(res)
}

// scrub takes out of a text what a broken receiver may have sent back of the URL's secrets.
func (n *Notifier) scrub(text string) string {
	secrets := []string{n.url.RawQuery, strings.Trim(n.url.Path, "/")}
	if n.user != nil {
		password, _ := n.user.Password()
		secrets = append(secrets, n.user.String(), password)
	}
	for _, values := range n.url.Query() {
		secrets = append(secrets, values...)
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the whole before its parts
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

func (n *Notifier) header(req *http.Request, e belay.Event, body []byte, attempt int) {
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "belay/"+cmp.Or(n.opts.Version, "dev"))
	h.Set("Idempotency-Key", token(e.ID))
	h.Set("X-Belay-Attempt", strconv.Itoa(attempt))
	h.Set("Ce-Specversion", "1.0")
	h.Set("Ce-Id", token(e.ID))
	h.Set("Ce-Type", "dev.belay."+token(string(e.Kind)))
	h.Set("Ce-Source", token(n.opts.Source))
	h.Set("Ce-Time", e.Time.UTC().Format(time.RFC3339Nano))
	if ref := e.Ref; ref.Service != "" {
		h.Set("Ce-Subject", token(ref.String()))
	}
	if n.user != nil {
		password, _ := n.user.Password()
		req.SetBasicAuth(n.user.Username(), password)
	}
	at := strconv.FormatInt(n.opts.Now().Unix(), 10)
	h.Set("X-Belay-Timestamp", at)
	if n.opts.Secret != "" {
		h.Set("X-Belay-Signature", "sha256="+Sign(n.opts.Secret, at, body))
	}
}

// Sign returns the HMAC-SHA256, in hex, of "<timestamp>.<body>". The timestamp is in it so that a receiver can
// refuse what somebody recorded and plays again.
func Sign(secret belay.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// token makes a text fit for a header, as CloudEvents asks: what is not printable ASCII is percent-encoded.
func token(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// judge reads the status. What may pass by itself is worth trying again: a receiver that is overloaded, broken or
// in maintenance. What says that the request is wrong is not.
func (n *Notifier) judge(res *http.Response) (retry bool, err error) {
	code := res.StatusCode
	if code >= 200 && code < 300 {
		return false, nil
	}
	f := &postError{shown: n.shown, why: "HTTP " + strconv.Itoa(code), after: retryAfter(res.Header.Get("Retry-After"), n.opts.Now())}
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true, f
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		f.why += ": redirects are not followed"
		return true, f
	}
	if code >= 300 && code < 400 {
		f.why += ": redirects are not followed; configure the address that it has moved to"
	}
	return code >= 500, f
}

// retryAfter reads a Retry-After header, in seconds or as a date; 0 when there is none that makes sense.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
