package app

import (
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/driver/proxy"
)

// drivers lists every kind of system that a rollback can act on. A new one is a folder and a line here.
func (a *App) drivers(_ *config.Config) map[string]rollback.Driver {
	return map[string]rollback.Driver{
		"proxy": proxy.NewDynamic(a.proxies),
	}
}
