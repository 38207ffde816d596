// Package outbound connects to addresses that a configuration or a deployment names: probes, version
// endpoints, webhooks. It refuses link-local and cloud metadata addresses, because a name that leads there
// would hand the machine's own credentials to whoever chose the name. It says in words why a connection failed.
// It is not for addresses that belay itself chose, and it is no HTTP client: it lends one its transport.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrRefused says that an address was not connected to, by the rule above.
var ErrRefused = errors.New("refused: link-local and cloud metadata addresses are not connected to unless allowed")

// Guard decides what may be connected to. The zero value refuses what the package comment says.
type Guard struct {
	AllowLinkLocal bool // connect to link-local and metadata addresses too
}

// Check returns an ErrRefused for an address that may not be connected to.
func (g Guard) Check(addr netip.Addr) error {
	if !g.AllowLinkLocal && hidden(addr) {
		return fmt.Errorf("connect to %s: %w", addr, ErrRefused)
	}
	return nil
}

func hidden(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if netip.MustParsePrefix("64:ff9b::/96").Contains(addr) { // NAT64: the IPv4 address is in the last four bytes
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	metadata := []string{
		"fd00:ec2::254", "fd20:ce::254", // AWS and Google over IPv6
		"100.100.100.200", // Alibaba
		"192.0.0.192",     // Oracle
		"168.63.129.16",   // Azure's host agent
	}
	return addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || slices.Contains(metadata, addr.String())
}

// Dialer returns a dialer that checks the address after it is resolved, at the moment of connecting: a name
// that resolves differently the second time gains nothing.
func (g Guard) Dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("read address %q: %w", address, err)
		}
		return g.Check(ap.Addr())
	}}
}

// Transport returns an HTTP transport for one request: no proxy, no connection kept, small headers. The caller
// sets the deadline by the request's context and caps the body.
func (g Guard) Transport(config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            g.Dialer().DialContext,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Resolve returns one address of a host, IPv4 before IPv6, that may be connected to.
func (g Guard) Resolve(ctx context.Context, host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, g.Check(addr)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
		// One bad address spoils the name: an attacker's name may mix it with a harmless one.
		if err := g.Check(addrs[i]); err != nil {
			return netip.Addr{}, err
		}
	}
	if i := slices.IndexFunc(addrs, netip.Addr.Is4); i >= 0 {
		return addrs[i], nil
	}
	if len(addrs) == 0 {
		return netip.Addr{}, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs[0], nil
}

// HostPort takes the host and the port out of "host:port", "host" or a URL. The port may be "".
func HostPort(target string) (host, port string, err error) {
	if scheme, _, ok := strings.Cut(target, "://"); ok {
		u, err := url.Parse(target)
		if err != nil {
			return "", "", fmt.Errorf("read address %q: %w", target, err)
		}
		host, port = u.Hostname(), u.Port()
		if port == "" && scheme == "https" {
			port = "443"
		}
		if port == "" && scheme == "http" {
			port = "80"
		}
	} else if host, port, err = net.SplitHostPort(target); err != nil {
		host, port = strings.Trim(target, "[]"), ""
	}
	if host == "" || strings.ContainsAny(host, "/ []") {
		return "", "", fmt.Errorf("read address %q: want host:port", target)
	}
	return host, port, nil
}

// URL returns the address of path on a target that is host:port or a URL; the URL's own path and query are
// replaced. An empty path leaves a URL as it is.
func URL(target, path string) (string, error) {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("read address %q: want host:port or an http(s) URL", target)
	}
	if path == "" {
		return u.String(), nil
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	p, err := url.Parse("http://host" + path)
	if err != nil {
		return "", fmt.Errorf("read path %q: %w", path, err)
	}
	u.Path, u.RawPath, u.RawQuery, u.Fragment = p.Path, p.RawPath, p.RawQuery, ""
	return u.String(), nil
}

// NoRedirect makes an HTTP client return a redirect as the answer that it is: a check that follows one reads
// the health of a login page.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Expiry returns the earliest end of validity among the certificates of a connection; zero without one.
func Expiry(state *tls.ConnectionState) (earliest time.Time) {
	if state == nil {
		return earliest
	}
	for _, c := range state.PeerCertificates {
		if earliest.IsZero() || c.NotAfter.Before(earliest) {
			earliest = c.NotAfter
		}
	}
	return earliest
}
