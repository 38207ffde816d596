package edge_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/config"
)

func cfg(proxies ...config.Proxy) *config.Config { return &config.Config{Proxies: proxies} }

func TestApplyKeepsWhatStays(t *testing.T) {
	set := edge.New(slog.New(slog.DiscardHandler))
	defer set.Stop()
	a, b := config.Proxy{Name: "a", Admin: "127.0.0.1:1"}, config.Proxy{Name: "b", Admin: "127.0.0.1:1"}
	if err := set.Apply(cfg(a, b)); err != nil {
		t.Fatal(err)
	}
	set.Start() // unreachable at the start is no error
	was := set.Of("a")
	moved := b
	moved.Admin = "127.0.0.1:2"
	if err := set.Apply(cfg(a, moved)); err != nil || set.Of("a") != was || len(set.Clients()) != 2 {
		t.Errorf("a is another one: %v", err)
	}
	renewed := a
	renewed.Token.Value = "new"
	if err := set.Apply(cfg(renewed)); err != nil || set.Of("a") == was || set.Of("b") != nil {
		t.Errorf("a goes on with the old token, or b goes on: %v", err)
	}
	kept := set.Of("a")
	if _, err := set.Prepare(cfg(config.Proxy{Name: "c", Admin: "ftp://x"})); err == nil || set.Of("a") != kept || set.Of("c") != nil {
		t.Errorf("an error changed something: %v", err)
	}
	set.Stop()
	if err := set.Apply(cfg(a)); err != nil {
		t.Errorf("after the stop: %v", err)
	}
}

func TestServing(t *testing.T) {
	for body, want := range map[string]string{
		`{"slots":[{"name":"blue","weight":20},{"name":"green","weight":80}]}`: "green",
		`{"slots":[{"name":"blue","weight":0}]}`:                               "",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		set := edge.New(slog.New(slog.DiscardHandler))
		if err := set.Apply(cfg(config.Proxy{Name: "a", Admin: srv.URL})); err != nil {
			t.Fatal(err)
		}
		if got, err := set.Of("a").Serving(t.Context()); err != nil || got != want {
			t.Errorf("%s: %q, %v", body, got, err)
		}
		srv.Close()
		if _, err := set.Of("a").Serving(t.Context()); err == nil {
			t.Error("a proxy that is away serves")
		}
		set.Stop()
	}
}
