package metric

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// answer is the envelope of the Prometheus HTTP API.
type answer struct {
	Status    string  `json:"status"`
	ErrorType string  `json:"errorType"`
	Error     string  `json:"error"`
	Data      *result `json:"data"`
}

type result struct {
	ResultType string          `json:"resultType"`
	Result     json.RawMessage `json:"result"`
}

// element is one series of a vector or a matrix.
type element struct {
	Metric     map[string]string `json:"metric"`
	Value      *number           `json:"value"`
	Values     []number          `json:"values"`
	Histogram  *nativePoint      `json:"histogram"`
	Histograms []nativePoint     `json:"histograms"`
}

// decode reads an answer and turns a refusal into an error that says which server said what.
func (r *Remote) decode(resp *http.Response, body []byte, expr string) (*result, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.Status == "" {
		if resp.StatusCode/100 != 2 {
			return nil, r.refused(resp.StatusCode, excerpt(body))
		}
		kind := resp.Header.Get("Content-Type")
		if kind == "" {
			kind = "something"
		}
		return nil, r.odd(kind + ", not the result of a query" + excerpt(body))
	}
	if a.Status == "success" && a.Data != nil {
		return a.Data, nil
	}
	switch a.ErrorType {
	case "bad_data", "execution":
		return nil, belay.Errorf(belay.CodeInvalid, "metrics server %s refused the query %s: %s", r.shown, shorten(expr), a.Error)
	case "":
		return nil, r.odd("neither a result nor an error")
	}
	return nil, belay.Errorf(belay.CodeUnavailable, "metrics server %s could not answer: %s: %s", r.shown, a.ErrorType, a.Error)
}

// excerpt returns the beginning of an answer for people, or "".
func excerpt(body []byte) string {
	s := strings.Join(strings.Fields(string(body[:min(len(body), 400)])), " ")
	s = strings.ToValidUTF8(s, "")
	if s == "" {
		return ""
	}
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "..."
	}
	return ": " + strconv.Quote(s)
}

func (d *result) series() ([]Series, error) {
	if d.ResultType == "scalar" {
		var v number
		if err := json.Unmarshal(d.Result, &v); err != nil {
			return nil, fmt.Errorf("a scalar that cannot be read: %w", err)
		}
		return []Series{{Labels: map[string]string{}, Points: []Point{Point(v)}}}, nil
	}
	var es []element
	if err := json.Unmarshal(d.Result, &es); err != nil {
		return nil, fmt.Errorf("a %s that cannot be read: %w", d.ResultType, err)
	}
	out := make([]Series, 0, len(es))
	for _, e := range es {
		s := Series{Labels: e.Metric}
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		if e.Value != nil {
			e.Values = append(e.Values, *e.Value)
		}
		if e.Histogram != nil {
			e.Histograms = append(e.Histograms, *e.Histogram)
		}
		s.Points = merge(e.Values, e.Histograms)
		out = append(out, s)
	}
	return out, nil
}

// merge orders numbers and histograms of one series by time: a series may change from one to the other.
func merge(vs []number, hs []nativePoint) []Point {
	out := make([]Point, 0, len(vs)+len(hs))
	for len(vs) > 0 || len(hs) > 0 {
		if len(hs) == 0 || len(vs) > 0 && vs[0].T.Before(hs[0].T) {
			out, vs = append(out, Point(vs[0])), vs[1:]
		} else {
			out, hs = append(out, Point(hs[0])), hs[1:]
		}
	}
	return out
}

// number is a point as [1435781451.781, "1"].
type number Point

// UnmarshalJSON reads a pair. It is on the path of each sample, so it does without reflection.
func (n *number) UnmarshalJSON(b []byte) error {
	t, v, ok := strings.Cut(strings.Trim(string(b), "[] \t\r\n"), ",")
	if !ok {
		return fmt.Errorf("want a pair of time and value, not %s", b)
	}
	at, err := readTime(t)
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(strings.Trim(v, "\" \t\r\n"), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("read value %s: %w", v, err)
	}
	n.T, n.V = at, f
	return nil
}

func readTime(s string) (time.Time, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e12 {
		return time.Time{}, fmt.Errorf("read time %q: want seconds", s)
	}
	return time.UnixMilli(int64(math.Round(f * 1000))), nil
}

// nativePoint is a point as [1435781451.781, {"count": "3", "sum": "2.5", "buckets": [[0, "0.5", "1", "3"]]}].
type nativePoint Point

// UnmarshalJSON reads the pair.
func (n *nativePoint) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("want a pair of time and histogram, not %.80s", b)
	}
	var h struct {
		Count, Sum string
		Buckets    [][]any
	}
	if err := json.Unmarshal(pair[1], &h); err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	at, err := readTime(string(pair[0]))
	if err != nil {
		return err
	}
	out := &Histogram{}
	if out.N, err = strconv.ParseFloat(h.Count, 64); err != nil {
		return fmt.Errorf("read histogram count %q: %w", h.Count, err)
	}
	if out.Sum, err = strconv.ParseFloat(h.Sum, 64); err != nil {
		return fmt.Errorf("read histogram sum %q: %w", h.Sum, err)
	}
	for _, bucket := range h.Buckets {
		var f [3]float64
		if len(bucket) != 4 {
			return fmt.Errorf("want a bucket of four fields, not %v", bucket)
		}
		for i, x := range bucket[1:] {
			s, _ := x.(string)
			if f[i], err = strconv.ParseFloat(s, 64); err != nil {
				return fmt.Errorf("read histogram bucket %v: %w", bucket, err)
			}
		}
		out.add(f[0], f[1], f[2])
	}
	n.T, n.H = at, out
	return nil
}
