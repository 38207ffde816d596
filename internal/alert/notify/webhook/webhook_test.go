package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/alert/notify"
	"github.com/belaydev/belay/internal/alert/notify/webhook"
)

var _ notify.Notifier = (*webhook.Notifier)(nil)

func event() belay.Event {
	return belay.Event{
		ID: "e-01jd", Time: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Ref: belay.Ref{Service: "sh\u00f6p", Environment: "production"},
		Deployment: "d-1", Actor: "belay", Kind: belay.EventState, State: belay.StateRolledBack, Message: "rolled back",
		Data: json.RawMessage(`{"from":"1.1"}`),
	}
}

func hook(t *testing.T, opts webhook.Options) *webhook.Notifier {
	t.Helper()
	n, err := webhook.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	n := hook(t, webhook.Options{
		URL:    strings.Replace(srv.URL, "://", "://ann:pw@", 1) + "/in?key=v#x",
		Secret: "s3cret", Version: "1.2", Now: func() time.Time { return time.Unix(1772366400, 0) },
	})
	if retry, err := n.Notify(t.Context(), event(), 3); retry || err != nil {
		t.Fatalf("retry %t, error %v", retry, err)
	}
	if got.Method != http.MethodPost || got.URL.String() != "/in?key=v" {
		t.Errorf("%s %s, want POST /in?key=v", got.Method, got.URL)
	}
	mac := hmac.New(sha256.New, []byte("s3cret"))
	fmt.Fprintf(mac, "1772366400.%s", body)
	for name, want := range map[string]string{
		"Content-Type":      "application/json",
		"User-Agent":        "belay/1.2",
		"Idempotency-Key":   "e-01jd",
		"X-Belay-Attempt":   "3",
		"X-Belay-Timestamp": "1772366400",
		"X-Belay-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		"Ce-Specversion":    "1.0",
		"Ce-Id":             "e-01jd",
		"Ce-Type":           "dev.belay.state",
		"Ce-Source":         "/belay",
		"Ce-Subject":        "sh%C3%B6p/production",
		"Ce-Time":           "2026-03-01T12:00:00.000000005Z",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if user, pw, _ := got.BasicAuth(); user != "ann" || pw != "pw" {
		t.Errorf("basic auth %q %q", user, pw)
	}
	want, err := json.Marshal(event())
	if err != nil || string(body) != string(want) {
		t.Errorf("body\n%s\nwant the event\n%s", body, want)
	}
}

func TestNoSignatureWithoutSecret(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Belay-Signature") != "" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	if _, err := hook(t, webhook.Options{URL: srv.URL}).Notify(t.Context(), event(), 1); err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status  int
		header  http.Header
		retry   bool
		fails   bool
		after   time.Duration
		because string
	}{
		{status: 200}, {status: 201}, {status: 202}, {status: 204},
		{status: 301, fails: true, header: http.Header{"Location": {"/elsewhere"}}, because: "configure the address"},
		{status: 308, fails: true, because: "configure the address"},
		{status: 302, fails: true, retry: true, header: http.Header{"Location": {"/elsewhere"}}, because: "redirects are not followed"},
		{status: 307, fails: true, retry: true, header: http.Header{"Location": {"://%zz"}}},
		{status: 400, fails: true}, {status: 401, fails: true}, {status: 404, fails: true}, {status: 410, fails: true}, {status: 413, fails: true},
		{status: 408, fails: true, retry: true},
		{status: 429, fails: true, retry: true, header: http.Header{"Retry-After": {"17"}}, after: 17 * time.Second},
		{status: 429, fails: true, retry: true, header: http.Header{"Retry-After": {"-17"}}},
		{status: 500, fails: true, retry: true, because: "HTTP 500"},
		{status: 503, fails: true, retry: true, header: http.Header{"Retry-After": {"Sun, 01 Mar 2026 12:02:00 GMT"}}, after: 2 * time.Minute},
		{status: 503, fails: true, retry: true, header: http.Header{"Retry-After": {"Sun, 01 Mar 2026 11:00:00 GMT"}}},
		{status: 502, fails: true, retry: true, header: http.Header{"Retry-After": {"soon"}}},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/hook" {
				t.Errorf("the redirect was followed to %s", r.URL)
			}
			for k, v := range c.header {
				w.Header()[k] = v
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, "and a body")
		}))
		n := hook(t, webhook.Options{URL: srv.URL + "/hook", Now: func() time.Time { return now }})
		retry, err := n.Notify(t.Context(), event(), 1)
		srv.Close()
		if retry != c.retry || (err != nil) != c.fails {
			t.Errorf("HTTP %d: retry %t, error %v, want retry %t, failure %t", c.status, retry, err, c.retry, c.fails)
		}
		if err == nil {
			continue
		}
		var asked interface{ RetryAfter() time.Duration }
		if !errors.As(err, &asked) || asked.RetryAfter() != c.after {
			t.Errorf("HTTP %d %v: want to be left alone for %s, error %v", c.status, c.header, c.after, err)
		}
		if !strings.Contains(err.Error(), c.because) || !strings.Contains(err.Error(), fmt.Sprint(c.status)) {
			t.Errorf("HTTP %d: error %q does not say %q", c.status, err, c.because)
		}
	}
}

func TestNetwork(t *testing.T) {
	never := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-never:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(never)
	gone := httptest.NewServer(nil)
	gone.Close()
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	for name, c := range map[string]struct{ url, says string }{
		"silent":  {silent.URL, "no answer in 50ms"},
		"gone":    {gone.URL, "connection refused"},
		"rude":    {"http://" + rude.Addr().String(), "connection"},
		"not TLS": {strings.Replace(silent.URL, "http:", "https:", 1), "TLS"},
	} {
		timeout := 50 * time.Millisecond
		if name == "not TLS" {
			timeout = 5 * time.Second
		}
		n := hook(t, webhook.Options{URL: strings.Replace(c.url, "://", "://ann:hunter2@", 1) + "/T00/B00?token=hunter3", Timeout: timeout})
		retry, err := n.Notify(t.Context(), event(), 1)
		if !retry || err == nil {
			t.Errorf("%s: retry %t, error %v, want a retry", name, retry, err)
			continue
		}
		wantNoSecrets(t, err.Error())
		if name != "not TLS" && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %q does not say %q", name, err, c.says)
		}
		if !strings.Contains(err.Error(), strings.Split(c.url, "//")[1]) {
			t.Errorf("%s: error %q does not name the receiver", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hook(t, webhook.Options{URL: silent.URL}).Notify(ctx, event(), 1); err == nil {
		t.Error("a stopped attempt succeeded")
	}
}

func wantNoSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{"hunter2", "hunter3", "ann", "T00", "B00", "token"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows %q", text, secret)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	const secretURL = "https://ann:hunter2@hooks.example.com:8443/T00/B00?token=hunter3"
	n := hook(t, webhook.Options{URL: secretURL})
	if n.String() != "https://hooks.example.com:8443/..." {
		t.Errorf("shown as %q", n)
	}
	for _, bad := range []string{"https://ann:hunter2@/T00", "ftp://ann:hunter2@host/T00?token", "https://ann:hunter2@ho st/T00", ":", ""} {
		_, err := webhook.New(webhook.Options{URL: bad})
		if belay.CodeOf(err) != belay.CodeInvalid {
			t.Errorf("%q: error %v, want invalid", bad, err)
			continue
		}
		wantNoSecrets(t, err.Error())
	}
}

func TestLinkLocalIsRefused(t *testing.T) {
	for _, u := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/", "http://100.100.100.200/",
	} {
		_, err := webhook.New(webhook.Options{URL: u})
		if belay.CodeOf(err) != belay.CodeDenied || !strings.Contains(err.Error(), "allow_link_local") {
			t.Errorf("%s: error %v, want it denied and how to allow it", u, err)
		}
		if _, err := webhook.New(webhook.Options{URL: u, AllowLinkLocal: true}); err != nil {
			t.Errorf("%s, allowed: %v", u, err)
		}
	}
}

// TestBrokenAnswerShowsNoSecrets has a receiver that answers with what is no HTTP and repeats the address.
func TestBrokenAnswerShowsNoSecrets(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: /login?next=%s?%s\x7f\r\n\r\n", r.URL.Path, r.URL.RawQuery)
	}))
	defer srv.Close()
	n := hook(t, webhook.Options{URL: srv.URL + "/T00/B00?token=hunter3"})
	retry, err := n.Notify(t.Context(), event(), 1)
	if err == nil || !retry {
		t.Fatalf("retry %t, error %v", retry, err)
	}
	if !strings.Contains(err.Error(), "***") {
		t.Errorf("error %q: the test no longer makes the receiver's text appear", err)
	}
	wantNoSecrets(t, err.Error())
}

// TestBodyIsCapped holds that a receiver cannot keep a worker busy, nor fill memory, by an answer without end.
func TestBodyIsCapped(t *testing.T) {
	wrote := make(chan int, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		chunk := make([]byte, 1<<20)
		for range 64 {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		wrote <- n
	}))
	defer srv.Close()
	if _, err := hook(t, webhook.Options{URL: srv.URL}).Notify(t.Context(), event(), 1); err != nil {
		t.Fatal(err)
	}
	if n := <-wrote; n == 64<<20 {
		t.Error("the whole body was read")
	}
}
