// Package client talks to the HTTP API of a belay server. The command line uses it; so can anyone.
// It decides nothing: every rule lives in the server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// maxBody bounds what is read of one answer.
const maxBody = 64 << 20

// Client calls one belay server. It is safe for concurrent use.
type Client struct {
	base  string
	token belay.Secret
	http  *http.Client
}

// Option changes a Client.
type Option func(*Client)

// WithToken sends the bearer token with every request.
func WithToken(token belay.Secret) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient replaces the HTTP client.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New returns a client for the server at base, for example "http://127.0.0.1:8475".
func New(base string, opts ...Option) (*Client, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, belay.Errorf(belay.CodeInvalid, "server address %q is not a URL", base).
			WithNext("use one such as http://127.0.0.1:8475")
	}
	c := &Client{base: strings.TrimRight(base, "/"), http: &http.Client{
		// No total timeout: streams are long. Connecting and the first byte are bounded.
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// Base returns the server's address.
func (c *Client) Base() string { return c.base }

// Deploy begins a deployment, or registers one.
func (c *Client) Deploy(ctx context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	var d belay.Deployment
	err := c.call(ctx, http.MethodPost, "/api/v1/deployments", req, &d)
	return d, err
}

// Deployment returns one deployment. The id may be a unique beginning of an id.
func (c *Client) Deployment(ctx context.Context, id string) (belay.Deployment, error) {
	var d belay.Deployment
	err := c.call(ctx, http.MethodGet, "/api/v1/deployments/"+url.PathEscape(id), nil, &d)
	return d, err
}

// Deployments lists deployments, the newest first.
func (c *Client) Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	q := url.Values{}
	set(q, "service", f.Service)
	set(q, "environment", f.Environment)
	set(q, "before", f.Before)
	if f.Active {
		q.Set("active", "true")
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var list []belay.Deployment
	err := c.call(ctx, http.MethodGet, "/api/v1/deployments?"+q.Encode(), nil, &list)
	return list, err
}

// Act asks something of a deployment and returns it as it is afterwards.
func (c *Client) Act(ctx context.Context, id string, req belay.ActRequest) (belay.Deployment, error) {
	var d belay.Deployment
	err := c.call(ctx, http.MethodPost, "/api/v1/deployments/"+url.PathEscape(id)+"/acts", req, &d)
	return d, err
}

// Label keeps a person's word on a deployment that has ended, or takes it away, and returns the deployment.
func (c *Client) Label(ctx context.Context, id string, req belay.LabelRequest) (belay.Deployment, error) {
	var d belay.Deployment
	err := c.call(ctx, http.MethodPost, "/api/v1/deployments/"+url.PathEscape(id)+"/label", req, &d)
	return d, err
}

// Ticks calls see with all that was seen of a deployment, oldest first, until it returns an error, which Ticks returns.
func (c *Client) Ticks(ctx context.Context, id string, see func(belay.Tick) error) error {
	var stopped error
	err := stream(ctx, c, "/api/v1/deployments/"+url.PathEscape(id)+"/ticks", func(t belay.Tick) bool {
		stopped = see(t)
		return stopped == nil
	}, nil)
	if stopped != nil {
		return stopped
	}
	return err
}

// Timeline returns the events of a deployment and of its rollback, oldest first.
func (c *Client) Timeline(ctx context.Context, id string) ([]belay.Event, error) {
	var list []belay.Event
	err := c.call(ctx, http.MethodGet, "/api/v1/deployments/"+url.PathEscape(id)+"/timeline", nil, &list)
	return list, err
}

// WatchDeployment calls see with the deployment as it is now and after each change, until it is final, see
// returns false, or ctx ends. The server sends at most ten a second. When the server goes away before, the error
// has the code unavailable: watch again.
func (c *Client) WatchDeployment(ctx context.Context, id string, see func(belay.Deployment) bool) error {
	return stream(ctx, c, "/api/v1/deployments/"+url.PathEscape(id)+"/watch", see, func(d belay.Deployment) bool { return d.State.Final() })
}

// Rollback takes a service back, or says what that would do.
func (c *Client) Rollback(ctx context.Context, req belay.RollbackRequest) (belay.RollbackAnswer, error) {
	var a belay.RollbackAnswer
	err := c.call(ctx, http.MethodPost, "/api/v1/rollbacks", req, &a)
	return a, err
}

// GetRollback returns one rollback.
func (c *Client) GetRollback(ctx context.Context, id string) (belay.Rollback, error) {
	var r belay.Rollback
	err := c.call(ctx, http.MethodGet, "/api/v1/rollbacks/"+url.PathEscape(id), nil, &r)
	return r, err
}

// AbortRollback stops a rollback before its next step.
func (c *Client) AbortRollback(ctx context.Context, id, actor string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/rollbacks/"+url.PathEscape(id)+"/abort", map[string]string{"actor": actor}, nil)
}

// WatchRollback is WatchDeployment for a rollback.
func (c *Client) WatchRollback(ctx context.Context, id string, see func(belay.Rollback) bool) error {
	return stream(ctx, c, "/api/v1/rollbacks/"+url.PathEscape(id)+"/watch", see, func(r belay.Rollback) bool { return r.State.Final() })
}

// Plan returns the plan that a rollback of the service would follow now.
func (c *Client) Plan(ctx context.Context, ref belay.Ref) (belay.RollbackAnswer, error) {
	var a belay.RollbackAnswer
	err := c.call(ctx, http.MethodGet, "/api/v1/services/"+url.PathEscape(ref.Service)+"/"+url.PathEscape(ref.Environment)+"/plan", nil, &a)
	return a, err
}

// Services returns the state of every configured service.
func (c *Client) Services(ctx context.Context) ([]belay.ServiceStatus, error) {
	var list []belay.ServiceStatus
	err := c.call(ctx, http.MethodGet, "/api/v1/services", nil, &list)
	return list, err
}

// LiftQuarantine allows a release that was rolled back to be deployed again.
func (c *Client) LiftQuarantine(ctx context.Context, ref belay.Ref, key, actor string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/services/"+url.PathEscape(ref.Service)+"/"+url.PathEscape(ref.Environment)+"/quarantine/lift",
		map[string]string{"key": key, "actor": actor}, nil)
}

// Learned returns what was learned of a service while nothing was deployed, and what the next watch goes by.
func (c *Client) Learned(ctx context.Context, ref belay.Ref) (belay.LearnedStatus, error) {
	var s belay.LearnedStatus
	err := c.call(ctx, http.MethodGet, "/api/v1/services/"+url.PathEscape(ref.Service)+"/"+url.PathEscape(ref.Environment)+"/learned", nil, &s)
	return s, err
}

// Forget makes the server forget what it learned of a service, and returns what the next watch goes by then. Of a
// service of which nothing was learned yet, the error has the code not_found.
func (c *Client) Forget(ctx context.Context, ref belay.Ref, actor string) (belay.LearnedStatus, error) {
	var s belay.LearnedStatus
	err := c.call(ctx, http.MethodPost, "/api/v1/services/"+url.PathEscape(ref.Service)+"/"+url.PathEscape(ref.Environment)+"/learned/forget",
		map[string]string{"actor": actor}, &s)
	return s, err
}

// Health returns the health of the server itself; an unhealthy one is an answer, not an error.
func (c *Client) Health(ctx context.Context) (belay.ServerHealth, error) {
	var h belay.ServerHealth
	err := c.call(ctx, http.MethodGet, "/health", nil, &h)
	return h, err
}

// Reload makes the server read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/-/reload", struct{}{}, nil)
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, belay.Errorf(belay.CodeUnavailable, "cannot reach the belay server at %s: %w", c.base, dialCause(err)).
			WithNext("start it with \"belay serve\", name another with --server; belay deploy and belay verify do without one by --standalone")
	}
	return resp, nil
}

// dialCause drops the wrapping that repeats the URL.
func dialCause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return belay.Errorf(belay.CodeUnavailable, "read the answer of %s: %w", c.base, err)
	}
	if resp.StatusCode >= 300 && (path != "/health" || resp.StatusCode != http.StatusServiceUnavailable) {
		return problem(c.base, resp, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return belay.Errorf(belay.CodeUnavailable, "%s does not answer like a belay server: %w", c.base, err)
	}
	return nil
}

// problem turns an error answer back into the error that the server had.
func problem(base string, resp *http.Response, body []byte) error {
	var p belay.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Error.Message == "" {
		return belay.Errorf(belay.CodeUnavailable, "%s answered %s and does not look like a belay server", base, resp.Status)
	}
	return &belay.Error{Code: p.Error.Code, Message: p.Error.Message, Next: p.Error.Next}
}

// stream calls see with each value that comes, until it returns false. Without final the stream may end at any time;
// else only after a value that is final.
func stream[T any](ctx context.Context, c *Client, path string, see func(T) bool, final func(T) bool) error {
	resp, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		return problem(c.base, resp, body)
	}
	dec, ended := json.NewDecoder(resp.Body), final == nil
	for {
		var v T
		if err := dec.Decode(&v); err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, io.EOF) && ended:
				return nil
			case errors.Is(err, io.EOF):
				return belay.Errorf(belay.CodeUnavailable, "%s ended the stream before the end: it is stopping", c.base).WithNext("follow it again when it is back")
			}
			return belay.Errorf(belay.CodeUnavailable, "the connection to %s broke: %w", c.base, err)
		}
		if !see(v) {
			return nil
		}
		ended = final == nil || final(v)
	}
}

func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}
