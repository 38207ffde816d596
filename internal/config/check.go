package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/shape"
)

// section is a part of the configuration with its places: what is checked together.
type section struct {
	*reader
	places bind.Places
}

// fault reports what is wrong with the value at the first path, unless one of the values that it follows from is
// known to be wrong by itself.
func (s section) fault(message, hint string, paths ...string) {
	for _, path := range paths {
		at := s.places.Find(path).Path
		if slices.ContainsFunc(*s.problems, func(p Problem) bool {
			return p.Path == at || strings.HasPrefix(p.Path, at+".") || strings.HasPrefix(p.Path, at+"[")
		}) {
			return
		}
	}
	s.add(s.places.Find(paths[0]), message, hint)
}

// check compares values with each other.
func (r *reader) check() {
	c := r.config
	s := section{r, r.places}
	if len(c.Services) == 0 && len(c.Proxies) == 0 && len(*r.problems) == 0 {
		s.fault("there are no services, so there is nothing to watch", `write for example "services: {shop: {targets: [127.0.0.1:8000]}}"`, "services")
	}
	if !shape.Loopback(c.Server.Listen) && !c.Server.Token.IsSet() {
		s.fault(fmt.Sprintf("%s can be reached from other machines, and there is no token", c.Server.Listen),
			"listen on 127.0.0.1, or give server.token: {env: BELAY_TOKEN}", "server.listen", "server.token")
	}
	m := c.Metrics
	if m.ScrapeTimeout > m.ScrapeInterval {
		s.fault(fmt.Sprintf("a scrape may take %s, longer than the interval of %s", human(m.ScrapeTimeout), human(m.ScrapeInterval)), "", "metrics.scrape_timeout", "metrics.scrape_interval")
	}
	if m.BearerToken.IsSet() && m.URL == "" {
		s.fault("bearer_token is for the server at url, and there is no url", "give both or none", "metrics.bearer_token", "metrics.url")
	}
	if m.Retention.Size > 0 && m.Retention.Size < 64<<20 {
		s.fault(fmt.Sprintf("%s is too little for a metrics store", m.Retention.Size), "the least is 64MiB; 0 is no limit", "metrics.retention.size")
	}
	names := map[string]bool{}
	for i, w := range c.Notify.Webhooks {
		if names[w.Name] {
			s.fault(fmt.Sprintf("two webhooks are named %q", w.Name), "", fmt.Sprintf("notify.webhooks[%d].name", i))
		}
		names[w.Name] = true
	}
	s.checkProxies()
	users := map[string]Service{}
	for i, svc := range c.Services {
		t := section{r, r.services[i]}
		if svc.Rollout.Proxy != "" {
			if other, taken := users[svc.Rollout.Proxy]; taken {
				t.fault(fmt.Sprintf("proxy %s stands in front of %s already", svc.Rollout.Proxy, other.Ref()), "a proxy serves one service in one environment; define another", "rollout.proxy")
			} else {
				users[svc.Rollout.Proxy] = svc
			}
		}
		t.checkService(svc)
	}
}

func (s section) checkProxies() {
	var taken []shape.Endpoint
	if e, ok := shape.NewEndpoint("", s.config.Server.Listen, "server.listen"); ok {
		taken = append(taken, e)
	}
	for _, p := range s.config.Proxies {
		at := "proxies." + p.Name
		if !shape.Loopback(p.Admin) && !p.Token.IsSet() {
			s.fault(fmt.Sprintf("%s can be reached from other machines, and there is no token", p.Admin),
				"listen on 127.0.0.1, or give the proxy a token: {env: NAME}", at+".admin", at+".token")
		}
		machine := ""
		if !shape.Loopback(p.Admin) {
			machine, _, _ = net.SplitHostPort(p.Admin)
		}
		for _, l := range []struct{ address, path string }{{p.Listen, at + ".listen"}, {p.Admin, at + ".admin"}} {
			e, ok := shape.NewEndpoint(machine, l.address, l.path)
			if !ok {
				continue
			}
			if i := slices.IndexFunc(taken, e.Clashes); i >= 0 {
				s.fault(fmt.Sprintf("%s is the address of %s already", l.address, taken[i].Path), "give each its own port", l.path, taken[i].Path)
			}
			taken = append(taken, e)
		}
		s.checkSlots(p, at+".slots")
	}
}

func (s section) checkSlots(p Proxy, at string) {
	if len(p.Slots) < 2 {
		s.fault(fmt.Sprintf("a proxy needs two slots to move traffic between, and there are %d", len(p.Slots)), "write for example {blue: 127.0.0.1:9001, green: 127.0.0.1:9002}", at)
	}
	owner := map[string]string{}
	for _, slot := range p.Slots {
		path := bind.Join(at, slot.Name) + ".address"
		_, address, ok := strings.Cut(slot.Address, "://")
		if !ok {
			address = slot.Address
		}
		if first, again := owner[address]; again {
			s.fault(fmt.Sprintf("%s is the address of slot %s already", address, first), "each slot needs its own instance", path)
			continue
		}
		owner[address] = slot.Name
		if address == p.Listen {
			s.fault(fmt.Sprintf("%s is where the proxy itself listens", address), "give the address of the instance behind it", path)
		}
	}
}
