package translate

import (
	"slices"

	"github.com/belaydev/belay/internal/config"
)

// Hidden names the environment variables that hold belay's own secrets: commands do not get them. The token of a
// rollback step is not among them: it is for the systems that commands act on too.
func Hidden(cfg *config.Config) []string {
	secrets := []config.Secret{cfg.Server.Token, cfg.Metrics.BearerToken}
	for _, w := range cfg.Notify.Webhooks {
		secrets = append(secrets, w.Secret)
	}
	for _, p := range cfg.Proxies {
		secrets = append(secrets, p.Token)
	}
	for _, s := range slices.Concat(cfg.Services, cfg.Leaving) {
		secrets = append(secrets, s.Metrics.BearerToken)
	}
	var names []string
	for _, s := range secrets {
		if s.Env != "" {
			names = append(names, s.Env)
		}
	}
	return names
}
