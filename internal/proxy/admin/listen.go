package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// CheckAddress refuses an address that strangers could reach without a token.
func CheckAddress(name, address string, token belay.Secret) error {
	if strings.HasPrefix(address, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return belay.Errorf(belay.CodeInvalid, "make proxy %s: read admin address %q: want host:port or unix:/path", name, address)
	}
	if token == "" && !loopback(host) {
		return belay.Errorf(belay.CodeDenied, "make proxy %s: admin address %s can be reached from other machines and no token is set", name, address).
			WithNext("set a token, or use 127.0.0.1 or unix:/path")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Listen listens on "host:port" or "unix:/path".
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return lc.Listen(ctx, "tcp", address)
	}
	// The socket of a killed proxy is left behind: nobody answers on it.
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("socket %s is in use", path), c.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
