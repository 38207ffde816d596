package health_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/health"
)

// expect fails the test unless the result is as described; detail must contain want.
func expect(t *testing.T, r health.Result, ok, blind bool, want string) {
	t.Helper()
	if r.OK != ok || r.Blind != blind || !strings.Contains(r.Detail, want) {
		t.Errorf("got ok=%v blind=%v %q; want ok=%v blind=%v %q", r.OK, r.Blind, r.Detail, ok, blind, want)
	}
}

func shop(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	answer := func(path string, code int, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	answer("/healthz", 200, `{"status":"UP","version":"1.4.2","components":{"db":{"status":"UP"}}}`)
	answer("/broken", 503, `{"status":"DOWN","components":{"database":{"status":"DOWN"},"mail":{"status":"DOWN"},"disk":{"status":"UP"}}}`)
	answer("/liar", 200, `{"status":"fail","releaseId":"1.5","checks":{"db":[{"status":"fail"}]}}`)
	answer("/partly", 200, `{"db":"ok","cache":"down"}`)
	answer("/login", 200, "please log in")
	mux.Handle("/moved", http.RedirectHandler("/login?token=secret", http.StatusFound))
	mux.HandleFunc("/private", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer x" || r.Host != "shop.example" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/dribble", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestHTTP(t *testing.T) {
	srv := shop(t)
	for _, c := range []struct {
		path   string
		http   health.HTTP
		ok     bool
		detail string
	}{
		{path: "/healthz", ok: true, detail: "HTTP 200"},
		{path: "/broken", detail: "HTTP 503, database, mail are down"},
		{path: "/broken", http: health.HTTP{Status: []health.StatusRange{{From: 200, To: 299}, {From: 503, To: 503}}, StatusOnly: true}, ok: true, detail: "database"},
		{path: "/liar", detail: `HTTP 200, but the body says "fail", db is down`},
		{path: "/liar", http: health.HTTP{StatusOnly: true}, ok: true, detail: "HTTP 200, db is down"},
		{path: "/partly", ok: true, detail: "HTTP 200, cache is down"},
		{path: "/none", detail: "HTTP 404"},
		{path: "/moved", detail: "HTTP 302, a redirect to /login, which is not followed"},
		{path: "/moved", http: health.HTTP{FollowRedirects: true}, ok: true, detail: "HTTP 200"},
		{path: "/private", detail: "HTTP 403"},
		{path: "/private", http: health.HTTP{Method: "POST", Headers: map[string]belay.Secret{"authorization": "Bearer x", "host": "shop.example"}}, ok: true, detail: "HTTP 200"},
		{path: "/login", http: health.HTTP{Body: regexp.MustCompile("log in$")}, ok: true, detail: "HTTP 200"},
		{path: "/login", http: health.HTTP{Body: regexp.MustCompile("welcome")}, detail: `the body does not match "welcome"`},
		{path: "/healthz", http: health.HTTP{JSON: []health.JSONEqual{{Path: ".components.db.status", Want: "UP"}}}, ok: true, detail: "HTTP 200"},
		{path: "/healthz", http: health.HTTP{JSON: []health.JSONEqual{{Path: ".version", Want: "1.4.3"}}}, detail: ".version is 1.4.2, want 1.4.3"},
		{path: "/healthz", http: health.HTTP{JSON: []health.JSONEqual{{Path: ".components.mq", Want: "UP"}}}, detail: ".components.mq is missing"},
		{path: "/login", http: health.HTTP{JSON: []health.JSONEqual{{Path: ".a", Want: "UP"}}}, detail: "the body is not JSON"},
		{path: "/huge", ok: true, detail: "HTTP 200"},
	} {
		c.http.Path = c.path
		r := health.Probe(t.Context(), health.Check{Name: "web", Kind: health.KindHTTP, HTTP: &c.http}, srv.URL+"/metrics")
		if r.OK != c.ok || !strings.Contains(r.Detail, c.detail) || strings.Contains(r.Detail, "secret") {
			t.Errorf("%s: got %v %q; want %v %q", c.path, r.OK, r.Detail, c.ok, c.detail)
		}
		if r.Latency <= 0 {
			t.Errorf("%s: no latency", c.path)
		}
	}
}

func TestHTTPFacts(t *testing.T) {
	srv := shop(t)
	check := health.Check{Kind: health.KindHTTP}
	r := health.Probe(t.Context(), check, srv.URL+"/broken")
	if !slices.Equal(r.Broken, []string{"database", "mail"}) {
		t.Errorf("broken %v", r.Broken)
	}
	if r := health.Probe(t.Context(), check, srv.URL+"/healthz"); r.Release != "1.4.2" || r.Broken != nil {
		t.Errorf("release %q, broken %v", r.Release, r.Broken)
	}
}

func TestHTTPThatDoesNotAnswer(t *testing.T) {
	srv := shop(t)
	check := health.Check{Kind: health.KindHTTP, Timeout: 50 * time.Millisecond}
	expect(t, health.Probe(t.Context(), check, srv.URL+"/slow"), false, false, "no answer in 50ms")
	expect(t, health.Probe(t.Context(), check, srv.URL+"/dribble"), false, false, "HTTP 200, reading the body: no answer in 50ms")
	gone := srv.URL
	srv.Close()
	expect(t, health.Probe(t.Context(), check, gone), false, false, "connection refused")
	expect(t, health.Probe(t.Context(), check, "http://169.254.169.254/latest"), false, true, "refused: link-local")
	expect(t, health.Probe(t.Context(), check, "ftp://x"), false, true, "want host:port or an http(s) URL")
	expect(t, health.Probe(t.Context(), health.Check{Kind: "smoke"}, gone), false, true, `unknown kind of check "smoke"`)
}

// certificate makes a self-signed one for 127.0.0.1 that ends at notAfter, and writes its PEM to a file.
func certificate(t *testing.T, notAfter time.Time) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notAfter.Add(-1000 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestHTTPS(t *testing.T) {
	serve := func(notAfter time.Time) (url, ca string) {
		cert, ca := certificate(t, notAfter)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		srv.Config.ErrorLog = quiet()
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv.URL, ca
	}
	end := time.Now().Add(72 * time.Hour)
	url, ca := serve(end)
	probe := func(url string, s *health.TLS) health.Result {
		return health.Probe(t.Context(), health.Check{Kind: health.KindHTTP, TLS: s}, url)
	}
	expect(t, probe(url, nil), false, false, "certificate is signed by an unknown authority")
	expect(t, probe(url, &health.TLS{CAFile: ca, ServerName: "shop.example"}), false, false, "certificate is not for shop.example")
	expect(t, probe(url, &health.TLS{CAFile: ca, MinValidity: 7 * 24 * time.Hour}), false, false, "certificate expires in 3 days")
	expect(t, probe(url, &health.TLS{CAFile: "/does/not/exist"}), false, true, "read certificate authorities")
	r := probe(url, &health.TLS{CAFile: ca, MinValidity: 24 * time.Hour})
	expect(t, r, true, false, "HTTP 200")
	if r.CertExpiry.Sub(end).Abs() > 2*time.Second {
		t.Errorf("expiry %s, want %s", r.CertExpiry, end)
	}
	url, ca = serve(time.Now().Add(-50 * time.Hour))
	expect(t, probe(url, &health.TLS{CAFile: ca}), false, false, "certificate is valid only from")
	expect(t, probe(url, &health.TLS{InsecureSkipVerify: true, MinValidity: time.Hour}), false, false, "certificate expired 2 days ago")
}
