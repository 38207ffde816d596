// Package proxyclient speaks to the admin API of a running "belay proxy": the wire types and a client. It is for
// the driver, the source of counts and the composition root; it decides nothing and keeps no state. It imports
// the standard library alone.
package proxyclient

import (
	"bufio"
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
)

const (
	callTimeout = 10 * time.Second // of a call whose context has no deadline
	stallLimit  = 5 * time.Second  // a stream has a line each second at least
	maxAnswer   = 8 << 20          // of a call; 16 releases of 51 strata are far below
)

// Error is an answer of the proxy that is not a success, or the lack of one.
type Error struct {
	Code    string `json:"code"` // as belay.Code
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`

	cause error
}

// Error returns the sentence and what to do next.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.Message
	}
	return e.Message + "; " + e.Next
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Client speaks to one proxy. It may be used from several goroutines.
type Client struct {
	name, base, token string
	http              *http.Client
}

// New makes a client of the proxy called name. The address of its admin API is "host:port", "http://host:port"
// or "unix:/path"; token may be empty. Nothing is sent.
func New(name, address, token string) (*Client, error) {
	t := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}
	c := &Client{name: name, token: token, http: &http.Client{Transport: t}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
		return c, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("read admin address %q of proxy %s: want \"host:port\", \"http://host:port\" or \"unix:/path\"", address, name)
	}
	c.base = u.Scheme + "://" + u.Host
	return c, nil
}

// Name returns the name of the proxy.
func (c *Client) Name() string { return c.name }

// Address returns the URL of the admin API.
func (c *Client) Address() string { return c.base }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Slots reads the slots and their weights.
func (c *Client) Slots(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, request{method: http.MethodGet, path: PathSlots}, &s)
	return s, err
}

// Counts reads the counters once.
func (c *Client) Counts(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	err := c.call(ctx, request{method: http.MethodGet, path: PathCounts}, &s)
	return s, err
}

// WeightOptions make a change of weights safe to send twice.
type WeightOptions struct {
	// Key names the change. A change with a known key is not made again, unless Generation says that the caller
	// has looked since.
	Key string
	// Generation, if not 0, is the one that the caller has read: another one refuses the change.
	Generation uint64
}

// SetWeights sets the weights of all slots at once. They are percents and add up to 100, or are all 0; a slot
// that is not named gets 0.
func (c *Client) SetWeights(ctx context.Context, weights map[string]int, o WeightOptions) (Changed, error) {
	h := http.Header{}
	if o.Key != "" {
		h.Set(HeaderKey, o.Key)
	}
	if o.Generation != 0 {
		h.Set("If-Match", strconv.Quote(strconv.FormatUint(o.Generation, 10)))
	}
	var out Changed
	err := c.call(ctx, request{method: http.MethodPut, path: PathWeights, header: h, body: weights}, &out)
	return out, err
}

// SetRelease says which release stands behind a slot.
func (c *Client) SetRelease(ctx context.Context, slot, release string) (Changed, error) {
	return c.ConfigureSlot(ctx, slot, SlotChange{Release: &release})
}

// ConfigureSlot changes a slot or makes it.
func (c *Client) ConfigureSlot(ctx context.Context, slot string, ch SlotChange) (Changed, error) {
	var out Changed
	err := c.call(ctx, request{method: http.MethodPut, path: PathSlots + "/" + url.PathEscape(slot), body: ch}, &out)
	return out, err
}

// RemoveSlot takes a slot without weight away. Requests on it may go on until its drain time is over.
func (c *Client) RemoveSlot(ctx context.Context, slot string) (Changed, error) {
	var out Changed
	err := c.call(ctx, request{method: http.MethodDelete, path: PathSlots + "/" + url.PathEscape(slot)}, &out)
	return out, err
}

// Drain waits until no request is in flight on a slot without weight, at most for the given time. Running out
// of time is no error: see Drained.
func (c *Client) Drain(ctx context.Context, slot string, timeout time.Duration) (Drained, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+callTimeout)
	defer cancel()
	var out Drained
	path := PathSlots + "/" + url.PathEscape(slot) + "/drain?timeout=" + timeout.String()
	err := c.call(ctx, request{method: http.MethodPost, path: path}, &out)
	return out, err
}

// Stream calls fn with every snapshot, heartbeats included, until the context ends or the stream breaks or
// stalls. It always returns an error: that of the context, or why the stream ended. Coming back is up to the
// caller.
func (c *Client) Stream(ctx context.Context, fn func(Snapshot)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stallLimit, func() { cancel(errStalled) })
	defer watchdog.Stop()
	resp, err := c.send(ctx, request{method: http.MethodGet, path: PathStream})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing to be done about it, and nothing was written
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxAnswer)
	for lines.Scan() {
		watchdog.Reset(stallLimit)
		var s Snapshot
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("read counts of proxy %s: %w", c.name, err)
		}
		fn(s)
	}
	err = lines.Err()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return c.unreachable("read counts", err)
}

var errStalled = fmt.Errorf("no line for %s", stallLimit)

type request struct {
	method, path string
	header       http.Header
	body         any // sent as JSON unless nil
}

func (c *Client) call(ctx context.Context, q request, out any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read answer of proxy %s to %s %s: %w", c.name, q.method, q.path, err)
	}
	return nil
}

// send returns a successful answer with an open body, or an error.
func (c *Client) send(ctx context.Context, q request) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		b, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("write request to proxy %s: %w", c.name, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, body)
	if err != nil {
		return nil, fmt.Errorf("make request to proxy %s: %w", c.name, err)
	}
	if q.header != nil {
		req.Header = q.header
	}
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, c.unreachable(q.method+" "+q.path, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var e errorBody
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // an unreadable answer is told by its status alone
	if json.Unmarshal(raw, &e) != nil || e.Error.Message == "" {
		return nil, &Error{
			Code: "unavailable", Message: fmt.Sprintf("proxy %s at %s answered HTTP %d to %s %s", c.name, c.base, resp.StatusCode, q.method, q.path),
			Next: "check that this is the admin address of a belay proxy",
		}
	}
	return nil, &e.Error
}

func (c *Client) unreachable(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s of proxy %s: %w", what, c.name, context.Canceled) // the caller's own wish
	}
	return &Error{
		Code: "unavailable", cause: err,
		Message: fmt.Sprintf("%s: proxy %s cannot be reached at %s: %v", what, c.name, c.base, shorten(err)),
		Next:    fmt.Sprintf("is \"belay proxy %s\" running?", c.name),
	}
}

// shorten leaves out the method and URL that net/http adds: the message has them already.
func shorten(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
