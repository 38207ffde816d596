package cli_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
)

// TestCommands runs every command that asks a server: as text and as JSON, with the exit code and what the server
// was asked.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"status", 0, []string{"shop/production  runs 1.4, verified", "mail/staging  no release known"}},
		{"status shop", 0, []string{"shop/production"}},
		{"status mail --env staging", 0, []string{"mail/staging"}},
		{"history", 0, []string{shopID, "rolled back", mailID, "succeeded"}},
		{"history mail -n 1", 0, []string{mailID}},
		{"history --active", 0, []string{"No deployments. Begin one"}},
		{"history --before " + shopID, 0, []string{mailID}},
		{"show " + shopID, 0, []string{"REGRESSED", "ROLLBACK VERIFIED", "CERTIFICATE VERIFIED", "TIMELINE", "1.5 accepted"}},
		{"show d-01k8", 0, []string{shopID}},
		{"show shop", 0, []string{shopID}},
		{"show " + rbID, 0, []string{"ROLLBACK VERIFIED", "front door"}},
		{"plan shop", 0, []string{"Plan of shop/production", "What a watch can see: at 200 requests/s: healthy can be proven in about 2 min."}},
		{"plan mail -e staging", 0, []string{"Plan of mail/staging"}},
		{"deploy shop --version 1.6", 0, []string{"shop/production runs 1.6."}},
		{"deploy shop -v 1.6 --register -t 10.0.0.1:80 -t 10.0.0.2:80 --detach", 0, []string{newID}},
		{"verify " + shopID, 3, []string{"was taken back from 1.5 to 1.4, and that is verified"}},
		{"verify shop", 3, []string{"CERTIFICATE VERIFIED"}},
		{"verify shop --version 1.6", 0, []string{"shop/production runs 1.6."}},
		{"rollback shop --yes", 0, []string{"ROLLBACK VERIFIED", "CERTIFICATE VERIFIED"}},
		{"rollback shop --dry-run", 0, []string{"from 1.5 to 1.4", "Now:", "pending: blue=25"}},
		{"rollback shop --yes --detach --to 1.3 --reason slow", 0, []string{rbID}},
		{"rollback abort " + rbID, 0, []string{"ROLLBACK VERIFIED"}},
		{"pause shop --reason lunch", 0, []string{"pause by user:test"}},
		{"resume " + shopID, 0, []string{"resume by user:test"}},
		{"promote shop", 0, []string{"promote by user:test"}},
		{"abort shop", 0, []string{"abort by user:test"}},
		{"label d-01k8 wrong --reason dashboard", 0, []string{"labelled wrong by user:test: dashboard"}},
		{"label shop right", 0, []string{"labelled right by user:test"}},
		{"lift shop 1.5", 0, []string{"1.5 may be deployed to shop/production again."}},
	} {
		args := strings.Fields(c.args)
		got := runner{server: newWorld().serve(t)}.run(t, args...)
		if got.code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.args, got.code, c.code, got.out, got.errors)
		}
		for _, want := range c.says {
			if !strings.Contains(got.out, want) {
				t.Errorf("%s does not say %q:\n%s%s", c.args, want, got.out, got.errors)
			}
		}
		if strings.Contains(got.out, "\x1b") {
			t.Errorf("%s: control sequences in a pipe:\n%q", c.args, got.out)
		}
		js := runner{server: newWorld().serve(t)}.run(t, append(args, "--output", "json")...)
		if js.code != c.code || !json.Valid([]byte(js.out)) {
			t.Errorf("%s as JSON: exit code %d\n%s%s", c.args, js.code, js.out, js.errors)
		}
	}
}

func TestWhatTheServerIsAsked(t *testing.T) {
	w := newWorld()
	r := runner{server: w.serve(t)}
	r.run(t, "deploy", "shop", "-v", "1.6", "--commit", "abc", "--digest", "sha256:1", "--previous", "1.4", "-t", "a:1,b:2", "--register", "--force", "hotfix", "-d")
	want := belay.DeployRequest{Ref: belay.Ref{Service: "shop", Environment: "production"}, Release: belay.Release{Version: "1.6", Commit: "abc", Digest: "sha256:1"},
		Actor: "user:test", Previous: "1.4", Register: true, Force: "hotfix", Targets: []belay.Target{{Address: "a:1"}, {Address: "b:2"}}}
	if got, _ := json.Marshal(w.requests[0]); string(got) != string(must(json.Marshal(want))) {
		t.Errorf("deploy asked %s", got)
	}
	r.run(t, "verify", "mail", "-e", "production", "--version", "9")
	if q := w.requests[1]; !q.Register || q.Environment != "production" || q.Release.Version != "9" {
		t.Errorf("verify registered %+v", q)
	}
	r.run(t, "rollback", "shop", "--to", "1.3", "--reason", "slow", "--yes")
	if q := w.rollbacks[0]; len(w.rollbacks) != 1 || q.To != "1.3" || q.Reason != "slow" || q.DryRun || q.Actor != "user:test" {
		t.Errorf("rollback asked %+v", w.rollbacks)
	}
	r.run(t, "rollback", "abort", rbID)
	r.run(t, "lift", "shop", "1.5")
	if w.aborted != rbID+" by user:test" || w.lifted != "shop/production 1.5 user:test" {
		t.Errorf("aborted %q, lifted %q", w.aborted, w.lifted)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestDeployWithACommandOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "deploy.sh")
	out := filepath.Join(dir, "env")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho deploying $1\nenv | grep BELAY_ | sort > "+out+"\nexit ${FAIL:-0}\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	got := runner{server: w.serve(t)}.run(t, "deploy", "shop", "-v", "1.6", "--", script, "1.6")
	if got.code != 0 || len(w.acts) != 1 || w.acts[0].Act != belay.ActDeployed || !w.requests[0].Register || !w.requests[0].Started {
		t.Errorf("exit code %d, acts %+v, request %+v\n%s%s", got.code, w.acts, w.requests, got.out, got.errors)
	}
	if !strings.Contains(got.errors, "deploying 1.6") || strings.Contains(got.out, "deploying 1.6") {
		t.Errorf("the command's output belongs on standard error: %q", got.errors)
	}
	env, _ := os.ReadFile(out)
	for _, want := range []string{"BELAY_VERSION=1.6", "BELAY_PREVIOUS_VERSION=1.4", "BELAY_SLOT=blue", "BELAY_PREVIOUS_SLOT=green", "BELAY_DEPLOYMENT=" + newID} {
		if !strings.Contains(string(env), want+"\n") {
			t.Errorf("%s is not in the command's environment:\n%s", want, env)
		}
	}
	w = newWorld()
	got = runner{server: w.serve(t)}.run(t, "deploy", "shop", "-v", "1.6", "--", "sh", "-c", "exit 3")
	if got.code != 1 || len(w.acts) != 1 || w.acts[0].Act != belay.ActFailed || !strings.Contains(w.acts[0].Reason, "exit status 3") {
		t.Errorf("a failing command: exit code %d, acts %+v\n%s%s", got.code, w.acts, got.out, got.errors)
	}
	w = newWorld()
	got = runner{server: w.serve(t)}.run(t, "deploy", "shop", "-v", "1.6", "--", "./no-such-program")
	if got.code != 2 || len(w.requests) > 0 || !strings.Contains(got.errors, "nothing was begun") {
		t.Errorf("a missing command: exit code %d, requests %+v, %s", got.code, w.requests, got.errors)
	}
}

// TestExitCodes holds the table of the manual for deployments and errors.
func TestExitCodes(t *testing.T) {
	for state, want := range map[belay.State]int{
		belay.StateSucceeded: 0, belay.StateBaking: 0, belay.StateRolledBack: 3, belay.StateUnverified: 4, belay.StateRollbackFailed: 4,
		belay.StateHeld: 5, belay.StateSuperseded: 6, belay.StateRefused: 7, belay.StateDeployFailed: 1,
	} {
		w := newWorld()
		w.end = state
		if got := (runner{server: w.serve(t)}).run(t, "deploy", "shop", "-v", "1.6"); got.code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", state, got.code, want, got.errors)
		}
	}
	for code, want := range map[belay.Code]int{
		belay.CodeInvalid: 2, belay.CodeNotFound: 1, belay.CodeConflict: 7, belay.CodeDenied: 7, belay.CodeUnavailable: 8, belay.CodeInternal: 1,
	} {
		w := newWorld()
		w.refusal = belay.Errorf(code, "no").WithNext("do this")
		r := runner{server: w.serve(t)}
		for _, args := range []string{"deploy shop -v 1.6", "rollback shop -y", "pause shop", "lift shop 1", "rollback abort " + rbID} {
			got := r.run(t, strings.Fields(args)...)
			if got.code != want || !strings.Contains(got.errors, "no") || strings.Count(got.errors, "\n") != 1 {
				t.Errorf("%s, %s: exit code %d, want %d, said %q", args, code, got.code, want, got.errors)
			}
			js := r.run(t, append(strings.Fields(args), "-o", "json")...)
			if p := js.problem(t); js.code != want || p.Error.Code != code {
				t.Errorf("%s as JSON: exit code %d, %+v", args, js.code, p)
			}
		}
	}
	for state, want := range map[belay.RollbackState]int{belay.RollbackVerified: 0, belay.RollbackUnverified: 4, belay.RollbackFailed: 4, belay.RollbackAborted: 4} {
		w := newWorld()
		w.rollback = state
		if got := (runner{server: w.serve(t)}).run(t, "rollback", "shop", "-y"); got.code != want {
			t.Errorf("rollback %s: exit code %d, want %d", state, got.code, want)
		}
	}
}

// TestMistakes: what is wrong, and what would be right, in one sentence; exit code 2, or 1 for what is not there.
func TestMistakes(t *testing.T) {
	w := newWorld()
	r := runner{server: w.serve(t)}
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"verfy":                                 {2, `did you mean "belay verify"?`},
		"xyzzy":                                 {2, `there is no command "belay xyzzy"; see "belay --help"`},
		"config chek":                           {2, `did you mean "belay config check"?`},
		"deploy":                                {2, "needs the name of one service"},
		"deploy shop":                           {2, "add --version VERSION"},
		"deploy shop -v 1 --":                   {2, `there is no command after "--"`},
		"deploy shop mail -v 1":                 {2, "needs the name of one service, got 2"},
		"deploy shop -v 1 --until never":        {2, "use verdict or end"},
		"deploy shop -v 1 --timeout -5s":        {2, "negative"},
		"deploy shop -v 1 --timeout soon":       {2, `see "belay deploy --help"`},
		"deploy shop -v 1 -d --standalone":      {2, "leave out one of --standalone and --detach"},
		"deploy shop -v 1 --register -- ./x.sh": {2, "leave out one of them"},
		"deploy shpo -v 1":                      {1, `there is no service "shpo"; did you mean "shop"?`},
		"deploy zebra -v 1":                     {1, "the server knows: mail, shop"},
		"deploy shop -e prodction -v 1":         {1, `did you mean "production"?`},
		"deploy mail -v 1":                      {2, "name one with --env: staging, production"},
		"status shpo":                           {1, `did you mean "shop"?`},
		"history shpo":                          {1, `did you mean "shop"?`},
		"history --limit 0":                     {2, "from 1 to 1000"},
		"show shpo":                             {1, `did you mean "shop"?`},
		"show d-9":                              {1, "belay history lists them"},
		"show":                                  {2, "needs one deployment, rollback or service"},
		"show a b":                              {2, `got "b" too`},
		"plan":                                  {2, `write "belay plan SERVICE [flags]"`},
		"rollback shop":                         {2, "add --yes"},
		"rollback":                              {2, "needs one service"},
		"rollback abort":                        {2, "needs the id of one rollback"},
		"verify --version 1":                    {2, "needs the name of the service"},
		"verify":                                {1, "no deployment is active"},
		"pause":                                 {2, "needs one deployment or service"},
		"lift shop":                             {2, "needs a service and a release"},
		"serve now":                             {2, `takes no arguments, got "now"`},
		"status --colour":                       {2, `see "belay status --help"`},
		"status --output xml":                   {2, "use text or json"},
		"serve --log-level loud":                {2, "use debug, info, warn or error"},
		"serve --log-format xml":                {2, "use text or json"},
		"serve":                                 {2, "there is no configuration file"},
		"proxy":                                 {2, "there is no configuration file"},
		"config check":                          {2, "docs/quickstart.md"},
		"config show no.yaml":                   {2, "there is no configuration file no.yaml"},
	} {
		got := r.run(t, strings.Fields(args)...)
		if got.code != want.code || !strings.Contains(got.errors, want.says) || !strings.HasPrefix(got.errors, "belay: ") || got.out != "" && args != "rollback shop" {
			t.Errorf("%s: exit code %d, want %d with %q\nout %q\nerr %q", args, got.code, want.code, want.says, got.out, got.errors)
		}
		if strings.Contains(args, "--output") || strings.HasSuffix(args, "--") || strings.Contains(args, "-- ") {
			continue
		}
		js := r.run(t, append(strings.Fields(args), "--output=json")...)
		if js.code != want.code || js.problem(t).Error.Message == "" {
			t.Errorf("%s as JSON: exit code %d, %s", args, js.code, js.errors)
		}
	}
	if len(w.requests)+len(w.acts) > 0 {
		t.Errorf("a mistake reached the server: %+v %+v", w.requests, w.acts)
	}
}

func TestConfirmation(t *testing.T) {
	for answer, want := range map[string]int{"y\n": 0, "n\n": 7} {
		w := newWorld()
		got := runner{server: w.serve(t), tty: true, stdin: answer}.run(t, "rollback", "shop")
		if got.code != want || !strings.Contains(got.errors, "Roll back shop/production from 1.5 to 1.4 now? [y/N]") || !strings.Contains(got.out, "pending: blue=25") {
			t.Errorf("%q: exit code %d\n%s%s", answer, got.code, got.out, got.errors)
		}
		if want == 0 && (len(w.rollbacks) != 2 || w.rollbacks[1].To != "1.4") || want != 0 && len(w.rollbacks) != 1 {
			t.Errorf("%q: asked %+v; what was agreed to is what is done", answer, w.rollbacks)
		}
	}
}

func TestColours(t *testing.T) {
	w := newWorld()
	base := runner{server: w.serve(t), tty: true}
	if got := base.run(t, "show", "shop"); !strings.Contains(got.out, "\x1b[") {
		t.Error("a terminal gets no colours")
	}
	none := base
	none.env = map[string]string{"NO_COLOR": "1"}
	for name, out := range map[string]string{"NO_COLOR": none.run(t, "show", "shop").out, "--no-color": base.run(t, "show", "shop", "--no-color").out, "JSON": base.run(t, "show", "shop", "-o", "json").out} {
		if strings.Contains(out, "\x1b[") {
			t.Errorf("%s: colours: %q", name, out)
		}
	}
}

func TestServerThatCannotBeReached(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	gone := srv.URL
	srv.Close()
	for _, args := range []string{"status", "deploy shop -v 1", "verify shop", "rollback shop -y", "show shop", "plan shop", "history", "pause shop", "lift shop 1"} {
		got := runner{server: gone}.run(t, strings.Fields(args)...)
		if got.code != 8 || !strings.Contains(got.errors, "cannot reach the belay server at "+gone) || !strings.Contains(got.errors, "belay serve") {
			t.Errorf("%s: exit code %d, said %q", args, got.code, got.errors)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello")) }))
	defer other.Close()
	if got := (runner{server: other.URL}).run(t, "status"); got.code != 8 || !strings.Contains(got.errors, "does not answer like a belay server") {
		t.Errorf("another server: exit code %d, said %q", got.code, got.errors)
	}
	if got := (runner{server: "ftp://x"}).run(t, "status"); got.code != 2 || !strings.Contains(got.errors, "http://127.0.0.1:8475") {
		t.Errorf("no URL: exit code %d, said %q", got.code, got.errors)
	}
}

func TestToken(t *testing.T) {
	srv := httptest.NewServer(newWorld().handler("s3cret"))
	defer srv.Close()
	if got := (runner{server: srv.URL}).run(t, "status"); got.code != 7 || !strings.Contains(got.errors, "BELAY_TOKEN") {
		t.Errorf("without a token: exit code %d, said %q", got.code, got.errors)
	}
	if got := (runner{server: srv.URL, env: map[string]string{"BELAY_TOKEN": "s3cret"}}).run(t, "status"); got.code != 0 {
		t.Errorf("with a token: exit code %d, said %q", got.code, got.errors)
	}
	// The server and the token of the configuration, where nothing else is said.
	dir := t.TempDir()
	conf := filepath.Join(dir, "belay.yaml")
	text := "server: {listen: " + strings.TrimPrefix(srv.URL, "http://") + ", token: {file: token}}\nservices: {shop: {targets: [127.0.0.1:1], health: /healthz}}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := (runner{}).run(t, "status", "--config", conf); got.code != 0 {
		t.Errorf("with the configuration: exit code %d, said %q", got.code, got.errors)
	}
	if got := (runner{}).run(t, "status", "--config", conf, "--server", srv.URL); got.code != 7 {
		t.Errorf("the configuration's token went to a server that it does not name: exit code %d", got.code)
	}
}

// TestInterruptedFollow ends at once, says what goes on, and leaves the deployment alone.
func TestInterruptedFollow(t *testing.T) {
	for _, tty := range []bool{false, true} {
		w := newWorld()
		w.end = belay.StateWatching
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-w.hanging; cancel() }()
		got := runner{server: w.serve(t), tty: tty}.runCtx(t, ctx, "deploy", "shop", "-v", "1.6")
		if got.code != 130 || !strings.Contains(got.errors, "interrupted; ") || !strings.Contains(got.errors, "belay verify "+newID) {
			t.Errorf("exit code %d, said %q", got.code, got.errors)
		}
		if tty && !strings.HasSuffix(got.out, "\x1b[?25h\x1b[?2026l") {
			t.Errorf("the cursor is not given back: %q", got.out)
		}
		if len(w.acts) > 0 {
			t.Errorf("the deployment was not left alone: %+v", w.acts)
		}
	}
	w := newWorld()
	w.end = belay.StateWatching
	if got := (runner{server: w.serve(t)}).run(t, "deploy", "shop", "-v", "1.6", "--timeout", "50ms"); got.code != 9 || !strings.Contains(got.errors, "no verdict after 50ms") {
		t.Errorf("timeout: exit code %d, said %q", got.code, got.errors)
	}
}

// TestServerRestartsDuringAFollow: the stream breaks, the server is away and comes back with the verdict.
func TestServerRestartsDuringAFollow(t *testing.T) {
	w := newWorld()
	w.end = belay.StateWatching
	var down atomic.Bool
	h := w.handler("")
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler) // the connection breaks, as when a process ends
		}
		h.ServeHTTP(rw, r)
	}))
	srv.Config.ErrorLog = nil
	defer srv.Close()
	go func() {
		<-w.hanging
		down.Store(true)
		srv.CloseClientConnections()
		w.mu.Lock()
		w.deps[0].State = belay.StateRolledBack
		w.mu.Unlock()
		time.AfterFunc(300*time.Millisecond, func() { down.Store(false) })
	}()
	got := runner{server: srv.URL}.run(t, "deploy", "shop", "-v", "1.6")
	if got.code != 3 {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}

func TestConfigCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	_ = os.WriteFile(good, []byte("services:\n  shop:\n    targets: [127.0.0.1:8000]\n    health: /healthz\n    rollback: ./rollback.sh\n"), 0o600)
	_ = os.WriteFile(bad, []byte("services:\n  shop:\n    targts: [127.0.0.1:8000]\n    watch: {deadline: 10}\n"), 0o600)
	r := runner{}
	if got := r.run(t, "config", "check", good); got.code != 0 || !strings.Contains(got.out, "is good: 1 service, 0 proxies") {
		t.Errorf("good: %+v", got)
	}
	if got := r.run(t, "config", "check", "-c", good, "-o", "json"); got.code != 0 || !json.Valid([]byte(got.out)) {
		t.Errorf("good as JSON: %+v", got)
	}
	got := r.run(t, "config", "check", bad)
	if got.code != 2 || !strings.Contains(got.errors, `did you mean "targets"?`) || !strings.Contains(got.errors, "bad.yaml:4:") || !strings.Contains(got.errors, "has 2 problems:") {
		t.Errorf("bad: %+v", got)
	}
	if got := r.run(t, "config", "check", bad, "-o", "json"); got.code != 2 || !strings.Contains(got.problem(t).Error.Message, "targets") {
		t.Errorf("bad as JSON: %+v", got)
	}
	if got := r.run(t, "config", "show", good); got.code != 0 || !strings.Contains(got.out, "deadline: 10m") {
		t.Errorf("show: %+v", got)
	}
	if got := r.run(t, "config", "schema"); got.code != 0 || !json.Valid([]byte(got.out)) {
		t.Errorf("schema: %d", got.code)
	}
}

func TestCompletion(t *testing.T) {
	r := runner{server: newWorld().serve(t)}
	for args, want := range map[string]string{
		"__complete deploy ": "mail\nshop\n", "__complete show ": shopID + "\tshop/production 1.5 rolled_back",
		"__complete deploy shop --until ": "verdict\nend\n", "__complete status --output ": "text\njson\n", "__complete rollb": "rollback\tTake",
	} {
		parts := strings.Split(args, " ")
		if got := r.run(t, parts...); got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("%s: %q, want %q", args, got.out, want)
		}
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	if got := (runner{server: srv.URL}).run(t, "__complete", "deploy", ""); got.code != 0 || strings.Contains(got.errors, "cannot reach") {
		t.Errorf("completion fails aloud: %+v", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := r.run(t, "completion", shell); got.code != 0 || !strings.Contains(got.out, "belay") {
			t.Errorf("completion %s: exit code %d", shell, got.code)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	r := runner{}
	for _, args := range []string{"", "help", "--help", "deploy --help", "help verify", "config", "rollback abort --help"} {
		if got := r.run(t, strings.Fields(args)...); got.code != 0 || !strings.Contains(got.out, "Usage:") || got.errors != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := r.run(t, "--version"); got.code != 0 || !strings.HasPrefix(got.out, "belay version ") {
		t.Errorf("version: %+v", got)
	}
}
