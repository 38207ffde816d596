// Package http takes something back by a request to another system: a flag server, a deploy API. The request is
// from the configuration; the facts of the rollback are put in where it says {to_version} and so on, escaped for
// the place. Each request carries the step's key as Idempotency-Key. It follows no redirects, and it refuses
// link-local and metadata addresses unless allowed.
package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/jsonpath"
	"github.com/belaydev/belay/internal/lib/outbound"
)

const (
	maxBody        = 1 << 20
	maxWords       = 300 // of an answer, in an error
	requestTimeout = 30 * time.Second
)

// Args are the arguments of a step.
type Args struct {
	Method  string            `json:"method,omitempty"` // POST when empty
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Token   Secret            `json:"token,omitzero"` // bearer token, also for Inspect
	Body    string            `json:"body,omitempty"`
	Status  []StatusRange     `json:"status,omitempty"` // accepted; 200-299 when empty
	Inspect *Inspect          `json:"inspect,omitempty"`
}

// Inspect reads the target by GET. With JSON or Equals the value decides, else the status.
type Inspect struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Status  []StatusRange     `json:"status,omitempty"` // 200-299 when empty
	JSON    string            `json:"json,omitempty"`   // path to the value; the whole body when empty
	// Equals is the value once the change took effect. When it names {to_version} or another fact of the release
	// to go back to, the same with the release that is taken back means pending and any other value drifted;
	// else any other value means pending.
	Equals string `json:"equals,omitempty"`
	// Pending are further values that mean that the change is under way.
	Pending []string `json:"pending,omitempty"`
}

// StatusRange is a range of status codes, both ends included.
type StatusRange struct {
	Low  int `json:"low"`
	High int `json:"high"`
}

// Secret says where a secret is; a stored plan never holds the secret itself.
type Secret struct {
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// Driver sends requests.
type Driver struct{ client *http.Client }

// Options are the parts of a Driver.
type Options struct {
	AllowLinkLocal bool // connect to link-local and metadata addresses too
}

// New makes a driver.
func New(o Options) *Driver {
	return &Driver{client: &http.Client{
		Transport:     outbound.Guard{AllowLinkLocal: o.AllowLinkLocal}.Transport(nil),
		CheckRedirect: outbound.NoRedirect,
		Timeout:       requestTimeout,
	}}
}

// Do sends the request.
func (d *Driver) Do(ctx context.Context, a belay.Action) error {
	args, err := read(a)
	if err != nil {
		return err
	}
	put := replacer(a)
	body := put.body(args.Body)
	method := args.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, put.url(args.URL), strings.NewReader(body))
	if err != nil {
		return belay.Errorf(belay.CodeInvalid, "ask %s: %w", a.Target, err)
	}
	if err := headers(req, args.Headers, args.Token, put); err != nil {
		return belay.Errorf(belay.CodeInvalid, "ask %s: %w", a.Target, err)
	}
	if body != "" && req.Header.Get("Content-Type") == "" && looksJSON(body) {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Idempotency-Key", a.Key)
	status, answer, err := d.send(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", a.Target, err)
	}
	if within(status, args.Status) {
		return nil
	}
	return refused(a.Target, status, answer)
}

// refused makes the error of a status. Trying again helps only where the other side says that it is its own
// trouble or a matter of time.
func refused(target string, status int, answer []byte) error {
	words := strings.Join(strings.Fields(string(answer[:min(len(answer), maxWords)])), " ")
	text := fmt.Sprintf("ask %s: it answered %d %s", target, status, http.StatusText(status))
	if words != "" {
		text += ": " + strings.ToValidUTF8(words, "\ufffd")
	}
	switch {
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests,
		status == http.StatusConflict, status == http.StatusLocked: // conflict: the same key is being worked on
		return errors.New(text)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return belay.Errorf(belay.CodeDenied, "%s", text)
	case status == http.StatusNotFound, status == http.StatusGone:
		return belay.Errorf(belay.CodeNotFound, "%s", text)
	}
	return belay.Errorf(belay.CodeInvalid, "%s", text)
}

// Inspect reads the target.
func (d *Driver) Inspect(ctx context.Context, a belay.Action) (belay.Look, error) {
	args, err := read(a)
	if err != nil {
		return belay.Look{}, err
	}
	in := args.Inspect
	if in == nil {
		return belay.Look{Progress: belay.ProgressUnknown, Detail: "no inspect request: only the proof can tell"}, nil
	}
	put := replacer(a)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, put.url(in.URL), nil)
	if err != nil {
		return belay.Look{}, belay.Errorf(belay.CodeInvalid, "inspect %s: %w", a.Target, err)
	}
	if err := headers(req, in.Headers, args.Token, put); err != nil {
		return belay.Look{}, belay.Errorf(belay.CodeInvalid, "inspect %s: %w", a.Target, err)
	}
	status, body, err := d.send(req)
	if err != nil {
		return belay.Look{}, fmt.Errorf("inspect %s: %w", a.Target, err)
	}
	if in.JSON == "" && in.Equals == "" {
		l := belay.Look{Progress: belay.ProgressPending, Detail: fmt.Sprintf("status %d", status)}
		if within(status, in.Status) {
			l.Progress = belay.ProgressDone
		}
		return l, nil
	}
	if !within(status, in.Status) {
		return belay.Look{}, fmt.Errorf("inspect %s: %w", a.Target, refused(in.URL, status, body))
	}
	value, err := pick(in.JSON, body)
	if err != nil {
		return belay.Look{}, fmt.Errorf("inspect %s: %w", a.Target, err)
	}
	return in.judge(value, a), nil
}

func (in *Inspect) judge(value string, a belay.Action) belay.Look {
	done := replacer(a).plain(in.Equals)
	old := a
	old.To, old.ToSlot = a.From, a.FromSlot
	before := replacer(old).plain(in.Equals)
	l := belay.Look{Progress: belay.ProgressPending, Detail: "it reads " + shorten(value)}
	switch {
	case value == done:
		l.Progress = belay.ProgressDone
	case value == before, before == done:
	default:
		l.Progress = belay.ProgressDrifted
		for _, p := range in.Pending {
			if value == p {
				l.Progress = belay.ProgressPending
			}
		}
	}
	return l
}

// pick takes the value out of an answer.
func pick(path string, body []byte) (string, error) {
	if path == "" {
		return strings.TrimSpace(string(body)), nil
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return "", err
	}
	doc, err := jsonpath.Decode(body)
	if err != nil {
		return "", err
	}
	v, ok := p.Get(doc)
	if !ok {
		return "", fmt.Errorf("the answer has no %s", path)
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("read %s of the answer: %w", path, err)
	}
	return string(b), nil
}

func (d *Driver) send(req *http.Request) (int, []byte, error) {
	timeout := requestTimeout
	if at, ok := req.Context().Deadline(); ok {
		timeout = min(timeout, time.Until(at))
	}
	why := func(err error) error {
		return fmt.Errorf("%s: %w", outbound.Why(err, timeout.Round(time.Millisecond)), err)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return 0, nil, why(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return 0, nil, why(err)
	}
	return res.StatusCode, body, nil
}

func read(a belay.Action) (Args, error) {
	var args Args
	if err := json.Unmarshal(a.Args, &args); err != nil {
		return args, belay.Errorf(belay.CodeInvalid, "read the arguments of %s: %w", a.Target, err)
	}
	if args.URL == "" {
		return args, belay.Errorf(belay.CodeInvalid, "ask %s: the step names no URL", a.Target)
	}
	return args, nil
}

func headers(req *http.Request, all map[string]string, token Secret, put facts) error {
	for k, v := range all {
		req.Header.Set(k, put.plain(v))
	}
	secret, err := token.reveal()
	if err != nil {
		return err
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	return nil
}

// reveal reads the secret when it is used, so that a changed one needs no new plan.
func (s Secret) reveal() (string, error) {
	if s.Env != "" {
		v := os.Getenv(s.Env)
		if v == "" {
			return "", fmt.Errorf("the token's environment variable %s is empty", s.Env)
		}
		return v, nil
	}
	if s.File == "" {
		return "", nil
	}
	b, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func within(status int, ranges []StatusRange) bool {
	if len(ranges) == 0 {
		return status >= 200 && status <= 299
	}
	for _, r := range ranges {
		if status >= r.Low && status <= r.High {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords] + "..."
	}
	return fmt.Sprintf("%q", s)
}
