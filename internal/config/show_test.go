package config_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/config"
)

// TestShowHidesSecrets: what is hidden does not come back as it was, but the output is still a configuration, and
// showing it again changes nothing.
func TestShowHidesSecrets(t *testing.T) {
	src := `
notify: {webhooks: [{url: "https://hooks.example/in?sig=hunter2&hunter2#a"}]}
services:
  shop:
    targets: ["http://10.0.0.1:8000/metrics?token=hunter2"]
    health:
      - {http: {url: "http://a.example/?api_key=hunter2&deep=1", headers: {Authorization: Bearer hunter2, X-API: hunter2, Accept: text/plain}}}
    deploy: {command: ./d.sh, env: {DB_PASSWORD: hunter2, MODE: fast}}
    rollback: {steps: [{http: {url: "http://flags.example/{version}?key=hunter2", headers: {X-GitHub-Api-Version: "2022-11-28"}}}]}
    verify:
      front_door: {url: "https://b.example/?access_token=hunter2", headers: {cookie: id=hunter2}}
      release: "http://c.example/version?secret=hunter2"
`
	c, err := config.Parse("/etc/belay/belay.yaml", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(shown, []byte("hunter2")) {
		t.Errorf("a secret is shown:\n%s", shown)
	}
	for _, stays := range []string{"https://hooks.example/in?sig=***&***#a", "api_key=***&deep=1", "text/plain", "MODE: fast", "flags.example/{version}?key=***"} {
		if !strings.Contains(string(shown), stays) {
			t.Errorf("%s is not shown:\n%s", stays, shown)
		}
	}
	again, err := config.Parse("/etc/belay/belay.yaml", shown, nil)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, shown)
	}
	if twice, err := again.YAML(); err != nil || !bytes.Equal(twice, shown) {
		t.Errorf("shown again it is (%v)\n%s\nafter\n%s", err, twice, shown)
	}
	if c.Services[0].Verify.FrontDoor.Headers["cookie"] != "id=hunter2" {
		t.Error("showing a configuration changed it")
	}
	if src, err := os.ReadFile("testdata/bad/step-open-secret.txt"); err != nil || bytes.Contains(src, []byte("hunter2")) {
		t.Errorf("a problem tells the secret: %v\n%s", err, src)
	}
}
