package shape

import (
	"net"
	"strings"
)

// Endpoint is an address that something listens on, on one machine.
type Endpoint struct{ machine, host, port, Path string }

// NewEndpoint reads host:port; it is false when the address is none or its port is chosen by the system.
func NewEndpoint(machine, address, path string) (Endpoint, bool) {
	host, port, err := net.SplitHostPort(address)
	return Endpoint{machine, host, port, path}, err == nil && port != "0"
}

// Clashes tells whether both cannot listen at once.
func (e Endpoint) Clashes(o Endpoint) bool {
	return e.machine == o.machine && e.port == o.port && (e.host == o.host || wildcard(e.host) || wildcard(o.host))
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// Loopback tells whether only this machine can reach the address.
func Loopback(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
