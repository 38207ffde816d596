package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// Stable is the version that runs at the beginning.
const Stable = "1.0.0"

// Rig is one service behind one proxy, with a controller.
type Rig struct {
	Belay, Dir  string // the binary and the folder
	Server      string // URL of the controller
	Front       string // URL for users
	Proxy       *Process
	Controller  *Process
	Blue, Green *Backend
	API         *client.Client
	Admin       *proxyclient.Client
}

// New writes the configuration and starts the instances, the proxy and the controller. In the configuration
// {{server}}, {{front}}, {{admin}}, {{blue}} and {{green}} stand for addresses, as does each name in more.
func New(ctx context.Context, bin, yaml string, more map[string]string) (r *Rig, err error) {
	r = &Rig{Belay: bin}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.Dir, err = os.MkdirTemp("", "belay-bench-"); err != nil {
		return r, err
	}
	if r.Blue, err = NewBackend(Stable); err != nil {
		return r, err
	}
	if r.Green, err = NewBackend("none"); err != nil {
		return r, err
	}
	at := map[string]string{"blue": r.Blue.Addr, "green": r.Green.Addr}
	for _, name := range []string{"server", "front", "admin"} {
		if at[name], err = FreeAddress(); err != nil {
			return r, err
		}
	}
	for name, v := range more {
		at[name] = v
	}
	for name, v := range at {
		yaml = strings.ReplaceAll(yaml, "{{"+name+"}}", v)
	}
	if err = os.WriteFile(filepath.Join(r.Dir, "belay.yaml"), []byte(yaml), 0o600); err != nil {
		return r, err
	}
	r.Server, r.Front = "http://"+at["server"], "http://"+at["front"]
	if r.API, err = client.New(r.Server); err != nil {
		return r, err
	}
	if r.Admin, err = proxyclient.New("edge", at["admin"], ""); err != nil {
		return r, err
	}
	if r.Proxy, err = Start("belay proxy", r.Dir, r.Belay, "proxy"); err != nil {
		return r, err
	}
	if err = r.Proxy.AwaitOK(ctx, "http://"+at["admin"]+proxyclient.PathSlots); err != nil {
		return r, err
	}
	return r, r.Serve(ctx)
}

// Serve starts the controller and waits until it is ready.
func (r *Rig) Serve(ctx context.Context) error {
	p, err := Start("belay serve", r.Dir, r.Belay, "serve")
	if err != nil {
		return err
	}
	r.Controller = p
	return p.AwaitOK(ctx, r.Server+"/-/ready")
}

// Adopted waits until the controller has found the release that runs: only then is there a way back.
func (r *Rig) Adopted(ctx context.Context) error {
	return Until(ctx, time.Minute, 100*time.Millisecond, func() error {
		list, err := r.API.Services(ctx)
		if err != nil {
			return err
		}
		if len(list) == 1 && list[0].Stable != nil && list[0].Stable.Release.Version == Stable {
			return nil
		}
		return errors.New("the running release is not found")
	})
}

// Deploy puts a release into the green slot and tells the controller, as a pipeline does.
func (r *Rig) Deploy(ctx context.Context, version string, share float64) (belay.Deployment, error) {
	r.Green.Become(version, share)
	return r.API.Deploy(ctx, belay.DeployRequest{
		Ref: belay.Ref{Service: "shop", Environment: "production"}, Release: belay.Release{Version: version}, Actor: "ci", Register: true,
	})
}

// TakenBack waits for the end of a deployment, which must be that it was taken back, and returns its rollback.
func (r *Rig) TakenBack(ctx context.Context, id string) (belay.Deployment, belay.Rollback, error) {
	var d belay.Deployment
	err := Until(ctx, 90*time.Second, 20*time.Millisecond, func() error {
		var err error
		if d, err = r.API.Deployment(ctx, id); err != nil {
			return err
		}
		if !d.State.Final() {
			return fmt.Errorf("deployment %s is %s: %s", id, d.State, d.Reason)
		}
		return nil
	})
	if err != nil {
		return d, belay.Rollback{}, err
	}
	if d.Rollback == "" {
		return d, belay.Rollback{}, fmt.Errorf("deployment %s ended as %s: %s", id, d.State, d.Reason)
	}
	rb, err := r.API.GetRollback(ctx, d.Rollback)
	return d, rb, err
}

// Stop ends the processes; the folder stays.
func (r *Rig) Stop() {
	r.Controller.Stop()
	r.Proxy.Stop()
	if r.Admin != nil {
		r.Admin.Close()
	}
	for _, b := range []*Backend{r.Blue, r.Green} {
		if b != nil {
			b.Close()
		}
	}
}

// Close ends everything and removes the folder.
func (r *Rig) Close() {
	r.Stop()
	if r.Dir != "" {
		_ = os.RemoveAll(r.Dir)
	}
}
