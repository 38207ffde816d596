package app

import (
	"path/filepath"

	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/driver/command"
	"github.com/belaydev/belay/internal/rollback/driver/http"
	"github.com/belaydev/belay/internal/rollback/driver/proxy"
)

// drivers lists every kind of system that a rollback can act on. A new one is a folder and a line here.
func (a *App) drivers(cfg *config.Config) map[string]rollback.Driver {
	return map[string]rollback.Driver{
		"command": command.New(command.Options{Dir: cfg.Dir, Locks: filepath.Join(a.data, "steps"), Hidden: func() []string { return translate.Hidden(a.config()) }}),
		"http":    http.New(http.Options{}),
		"proxy":   proxy.NewDynamic(a.proxies),
	}
}
