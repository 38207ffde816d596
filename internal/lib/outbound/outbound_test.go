package outbound_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/internal/lib/outbound"
)

func TestGuard(t *testing.T) {
	for addr, refused := range map[string]bool{
		"169.254.169.254":         true,
		"169.254.0.1":             true,
		"::ffff:169.254.169.254":  true,
		"64:ff9b::a9fe:a9fe":      true,
		"fe80::1":                 true,
		"fe80::1%eth0":            true,
		"fd00:ec2::254":           true,
		"100.100.100.200":         true,
		"::ffff:100.100.100.200":  true,
		"127.0.0.1":               false,
		"::1":                     false,
		"10.0.0.1":                false,
		"fd00:ec2::253":           false,
		"192.168.1.1":             false,
		"64:ff9b::a00:1":          false,
		"2001:db8::169:254:1:254": false,
	} {
		err := outbound.Guard{}.Check(netip.MustParseAddr(addr))
		if errors.Is(err, outbound.ErrRefused) != refused {
			t.Errorf("%s: %v; refused should be %v", addr, err, refused)
		}
		if err := (outbound.Guard{AllowLinkLocal: true}).Check(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s, allowed: %v", addr, err)
		}
	}
}

func TestDialerRefusesBeforeConnecting(t *testing.T) {
	_, err := outbound.Guard{}.Dialer().DialContext(t.Context(), "tcp", "169.254.169.254:80")
	if !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("dial: %v; want refused", err)
	}
	if _, err := (outbound.Guard{}).Resolve(t.Context(), "169.254.169.254"); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("resolve: %v; want refused", err)
	}
	if a, err := (outbound.Guard{}).Resolve(t.Context(), "localhost"); err != nil || !a.IsLoopback() {
		t.Errorf("resolve localhost: %v, %v", a, err)
	}
}

func TestTransportRefusesARedirectToMetadata(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound))
	defer srv.Close()
	client := &http.Client{Transport: outbound.Guard{}.Transport(nil)}
	resp, err := client.Get(srv.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("error %v; want refused", err)
	}
	client.CheckRedirect = outbound.NoRedirect
	resp, err = client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d; want the redirect itself", resp.StatusCode)
	}
}

func TestWhy(t *testing.T) {
	tlsServer := httptest.NewTLSServer(http.NotFoundHandler())
	defer tlsServer.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()

	get := func(url string, timeout time.Duration) string {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: outbound.Guard{}.Transport(&tls.Config{})}).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return outbound.Why(err, timeout)
	}
	for _, c := range []struct{ got, want string }{
		{get("http://"+free.Addr().String(), time.Second), "connection refused"},
		{get("http://"+silent.Addr().String(), 30*time.Millisecond), "no answer in 30ms"},
		{outbound.Why(&net.DNSError{Name: "shop.invalid", IsNotFound: true}, time.Second), "no such host: shop.invalid"},
		{outbound.Why(&net.DNSError{Name: "shop", IsTimeout: true}, time.Second), "cannot resolve shop: no answer in 1s"},
		{get(tlsServer.URL, time.Second), "certificate is signed by an unknown authority"},
		{get(strings.Replace(plain.URL, "http", "https", 1), time.Second), "it speaks plain HTTP on an https address"},
		{get("http://169.254.169.254", time.Second), "refused: link-local"},
		{outbound.Why(nil, 0), ""},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("got %q, want %q in it", c.got, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ target, path, host, port, url string }{
		{"10.0.0.1:80", "/version", "10.0.0.1", "80", "http://10.0.0.1:80/version"},
		{"https://shop/metrics?x=1", "healthz?full=1", "shop", "443", "https://shop/healthz?full=1"},
		{"http://shop/a?b=c", "", "shop", "80", "http://shop/a?b=c"},
		{"[::1]:53", "", "::1", "53", "http://[::1]:53"},
		{"shop", "/", "shop", "", "http://shop/"},
	} {
		host, port, err := outbound.HostPort(c.target)
		if err != nil || host != c.host || port != c.port {
			t.Errorf("HostPort(%s) = %q, %q, %v", c.target, host, port, err)
		}
		if u, err := outbound.URL(c.target, c.path); err != nil || u != c.url {
			t.Errorf("URL(%s, %s) = %q, %v; want %q", c.target, c.path, u, err, c.url)
		}
	}
	for _, bad := range []string{"", "ftp://shop", "a b", "http://"} {
		if u, err := outbound.URL(bad, "/x"); err == nil {
			t.Errorf("URL(%q) = %q", bad, u)
		}
	}
	if h, _, err := outbound.HostPort("/var/run/x"); err == nil {
		t.Errorf("a path was taken for the host %q", h)
	}
}
