package translate

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/health"
)

// Assignments says what is probed for one arm of a deployment: each check that names no address of its own is
// put to every target. A check with an address of its own speaks of the service as a whole, so it is put once,
// to the candidate's arm.
func Assignments(s config.Service, dir string, arm belay.Arm, targets []belay.Target) []health.Assignment {
	var out []health.Assignment
	for _, h := range s.Health {
		c, target := check(s, h, dir)
		if target != "" {
			if arm == belay.ArmCandidate {
				out = append(out, health.Assignment{Check: c, Target: target, Arm: arm})
			}
			continue
		}
		for _, t := range targets {
			out = append(out, health.Assignment{Check: c, Target: HostOf(s, t.Address), Arm: arm})
		}
	}
	return out
}

// HostOf gives the address that a path is asked at: a target may be the URL of its metrics.
func HostOf(s config.Service, address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" && strings.Contains(address, "://") {
		return u.Scheme + "://" + u.Host
	}
	return s.Metrics.Scheme + "://" + address
}

// check returns the check and the target it names itself, if any.
func check(s config.Service, h config.HealthCheck, dir string) (c health.Check, target string) {
	c = health.Check{
		Name: h.Name, Kind: health.Kind(h.Kind()), Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall,
		AllowLinkLocal: h.AllowLinkLocal,
	}
	switch {
	case h.HTTP != nil:
		c.HTTP, c.TLS = httpCheck(h.HTTP)
		return c, h.HTTP.URL
	case h.TCP != nil:
		return c, h.TCP.Address
	case h.GRPC != nil:
		c.GRPC = &health.GRPC{Service: h.GRPC.Service}
		if h.GRPC.TLS {
			c.TLS = &health.TLS{}
		}
		return c, h.GRPC.Address
	case h.DNS != nil:
		c.DNS = &health.DNS{Name: h.DNS.Name, Type: h.DNS.Type, Answer: h.DNS.Expect}
		return c, h.DNS.Server
	case h.ICMP != nil:
		return c, h.ICMP.Host
	case h.Command != nil:
		c.Command = &health.Command{Argv: h.Command.Command, Dir: dir, Env: map[string]string{
			"BELAY_SERVICE": s.Name, "BELAY_ENVIRONMENT": s.Environment}}
	}
	return c, ""
}

func httpCheck(h *config.HTTPCheck) (*health.HTTP, *health.TLS) {
	out := &health.HTTP{Path: h.Path, Method: h.Method, FollowRedirects: h.FollowRedirects}
	if len(h.Headers) > 0 {
		out.Headers = map[string]belay.Secret{}
		for k, v := range h.Headers {
			out.Headers[k] = belay.Secret(v)
		}
	}
	for _, r := range h.Status {
		out.Status = append(out.Status, health.StatusRange{From: r.Low, To: r.High})
	}
	if h.Body != "" {
		out.Body = regexp.MustCompile(h.Body) // the configuration has compiled it before
	}
	for _, j := range h.JSON {
		out.JSON = append(out.JSON, health.JSONEqual{Path: j.Path, Want: j.Equals})
	}
	if h.TLSExpiry > 0 || h.SkipTLSVerify {
		return out, &health.TLS{MinValidity: h.TLSExpiry, InsecureSkipVerify: h.SkipTLSVerify}
	}
	return out, nil
}
