// Command demo shows the main job of belay in under a minute: it starts the belay server and a belay proxy on a
// normal belay.yaml, sends real traffic to a small shop, deploys a good release and then a bad one, and lets belay
// do the rest. Everything that acts is the product: this program only starts processes, sends requests and, at the
// end, adds up what the users saw.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	proxyURL  = "http://127.0.0.1:8490"
	serverURL = "http://127.0.0.1:8475"
)

type director struct {
	belay, dir string
	env        []string
	traffic    *traffic
	stops      []func()
}

func main() {
	keep := flag.Bool("keep", false, "leave everything running at the end, until ctrl-c")
	bin := flag.String("bin", "bin", "folder with the built belay and shop")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *keep)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, keep bool) (err error) {
	d, err := prepare(bin)
	if err != nil {
		return err
	}
	defer func() {
		for i := len(d.stops) - 1; i >= 0; i-- {
			d.stops[i]()
		}
		if err == nil && !keep {
			_ = os.RemoveAll(d.dir)
		}
	}()
	if err := d.start(ctx); err != nil {
		return err
	}
	began := time.Now()
	say("Act 1. The first release, 1.0.0. There is nothing to compare it with yet, so health and limits decide.")
	d.traffic.start(ctx, proxyURL)
	if err := d.deploy(ctx, "1.0.0", 0); err != nil {
		return err
	}
	say("Act 2. A good release, 1.1.0, beside 1.0.0, with 200 requests a second from users.")
	if err := d.deploy(ctx, "1.1.0", 0); err != nil {
		return err
	}
	say("Act 3. A bad release, 1.2.0: one checkout in five fails and all are slower. The other pages are as before.")
	d.traffic.mark()
	if err := d.deploy(ctx, "1.2.0", 3); err != nil {
		return err
	}
	if err := d.summary(ctx, began); err != nil {
		return err
	}
	if keep {
		fmt.Printf("\nEverything is still running: the shop at %s, belay at %s, the folder is %s.\nTry: %s status   %s history\nctrl-c ends it.\n",
			proxyURL, serverURL, d.dir, d.belay, d.belay)
		<-ctx.Done()
	}
	return nil
}

// prepare makes a folder of its own and finds the binaries.
func prepare(bin string) (*director, error) {
	abs, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	here, err := filepath.Abs("examples/demo")
	if err != nil {
		return nil, err
	}
	for _, f := range []string{filepath.Join(abs, "belay"), filepath.Join(abs, "demo-shop"), filepath.Join(here, "belay.yaml")} {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("%w; run it by \"make demo\" in the folder of the repository", err)
		}
	}
	dir, err := os.MkdirTemp("", "belay-demo-")
	if err != nil {
		return nil, err
	}
	conf, err := os.ReadFile(filepath.Join(here, "belay.yaml"))
	if err != nil {
		return nil, err
	}
	// A copy, so that the data folder, which is relative to it, is a fresh one.
	if err := os.WriteFile(filepath.Join(dir, "belay.yaml"), conf, 0o600); err != nil {
		return nil, err
	}
	script, err := os.ReadFile(filepath.Join(here, "deploy.sh"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "deploy.sh"), script, 0o700); err != nil { //nolint:gosec // a script must be executable
		return nil, err
	}
	env := append(os.Environ(),
		"DEMO_DIR="+dir, "DEMO_SHOP="+filepath.Join(abs, "demo-shop"), "DEMO_RELEASES="+filepath.Join(here, "releases"),
		"BELAY_CONFIG="+filepath.Join(dir, "belay.yaml"))
	return &director{belay: filepath.Join(abs, "belay"), dir: dir, env: env, traffic: newTraffic()}, nil
}

// start runs the proxy and the server, and waits until both answer.
func (d *director) start(ctx context.Context) error {
	d.stops = append(d.stops, d.stopShops)
	if err := d.spawn(ctx, "proxy"); err != nil {
		return err
	}
	if err := d.spawn(ctx, "serve"); err != nil {
		return err
	}
	return await(ctx, serverURL+"/-/ready")
}

// spawn starts one belay process whose log goes to a file.
func (d *director) spawn(ctx context.Context, command string) error {
	log, err := os.Create(filepath.Join(d.dir, command+".log"))
	if err != nil {
		return err
	}
	// Not bound to ctx: it is stopped in order by stops.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.belay, command) //nolint:gosec // the binary of this repository
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-c reaches this program alone
	if err := cmd.Start(); err != nil {
		return err
	}
	d.stops = append(d.stops, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	})
	return nil
}

// stopShops ends the shops that deploy.sh started, by the process ids it wrote.
func (d *director) stopShops() {
	files, _ := filepath.Glob(filepath.Join(d.dir, "*.pid"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		var pid int
		if _, serr := fmt.Sscan(string(b), &pid); err == nil && serr == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
}

// deploy runs "belay deploy" in this terminal and checks that it ends as it should.
func (d *director) deploy(ctx context.Context, version string, want int) error {
	fmt.Printf("$ belay deploy shop --version %s\n\n", version)
	cmd := exec.CommandContext(ctx, d.belay, "deploy", "shop", "--version", version) //nolint:gosec // the binary of this repository
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = d.env, os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err := cmd.Run()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if code != want {
		return fmt.Errorf("belay deploy %s ended with exit code %d, not %d; logs are in %s", version, code, want, d.dir)
	}
	fmt.Printf("\nexit code %d\n", code)
	return nil
}

func say(text string) { fmt.Printf("\n%s\n%s\n\n", text, strings.Repeat("─", min(len(text), 100))) }
