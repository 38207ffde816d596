package metric

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
)

func serve(t *testing.T, code int, contentType, body string) (*Remote, *http.Request) {
	t.Helper()
	seen := &http.Request{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		*seen = *r
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	r, err := NewRemote(RemoteOptions{URL: srv.URL, BearerToken: "s3cret", Header: map[string]string{"X-Scope-OrgID": "shop"}, MaxBytes: 2000})
	if err != nil {
		t.Fatal(err)
	}
	return r, seen
}

func TestRemoteSaysWhichServerAnsweredWhat(t *testing.T) {
	const json = "application/json"
	for name, c := range map[string]struct {
		status     int
		kind, body string
		code       belay.Code
		text       string
	}{
		"login page":       {200, "text/html", "<html>Please sign in</html>", belay.CodeUnavailable, `answered text/html, not the result of a query: "<html>Please sign in</html>"`},
		"wrong token":      {401, "text/plain", "no", belay.CodeUnavailable, `401 Unauthorized: "no"; check metrics.bearer_token`},
		"wrong path":       {404, "text/plain", "404 page not found", belay.CodeUnavailable, "path prefix"},
		"overloaded":       {503, json, `{"status":"error","errorType":"timeout","error":"query timed out"}`, belay.CodeUnavailable, "could not answer: timeout: query timed out"},
		"bad query":        {422, json, `{"status":"error","errorType":"execution","error":"many-to-many"}`, belay.CodeInvalid, `refused the query "a": many-to-many`},
		"gateway down":     {502, "text/html", "", belay.CodeUnavailable, "502 Bad Gateway"},
		"empty":            {200, "", "", belay.CodeUnavailable, "not the result"},
		"other JSON":       {200, json, `{"hello":1}`, belay.CodeUnavailable, "not the result"},
		"no data":          {200, json, `{"status":"success"}`, belay.CodeUnavailable, "neither a result nor an error"},
		"broken value":     {200, json, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}`, belay.CodeUnavailable, "cannot be read"},
		"broken buckets":   {200, json, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1","sum":"1","buckets":[[0,"1"]]}]}]}}`, belay.CodeUnavailable, "four fields"},
		"too large":        {200, json, strings.Repeat(" ", 3000), belay.CodeInvalid, "larger than 2000 bytes"},
		"range, not asked": {200, json, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, belay.CodeInvalid, "gives a matrix"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := serve(t, c.status, c.kind, c.body)
			_, err := r.Eval(t.Context(), "a", t0)
			wantCode(t, err, c.code, c.text)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the token is in %q", err)
			}
			if c.code == belay.CodeUnavailable && !strings.Contains(err.Error(), r.URL()) {
				t.Errorf("%q does not say which server", err)
			}
		})
	}
}

func TestRemoteRequest(t *testing.T) {
	r, seen := serve(t, 200, "application/json", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"],[1.5,"2"],[2,"NaN"],[3,"4"]]}]}}`)
	got, err := r.Samples(t.Context(), ` a{b="c"} `, time.UnixMilli(1000), time.UnixMilli(2500))
	if err != nil {
		t.Fatal(err)
	}
	// An old server sends the left edge; a strange one more than was asked for.
	if len(got) != 1 || len(got[0].Points) != 2 || got[0].Points[0].V != 2 {
		t.Errorf("got %v, want the samples at 1.5 and 2", got)
	}
	if h := seen.Header; h.Get("Authorization") != "Bearer s3cret" || h.Get("X-Scope-OrgID") != "shop" {
		t.Errorf("got headers %v", h)
	}
	if f := seen.Form; f.Get("query") != `a{b="c"}[1500ms]` || f.Get("time") != "2.500" || f.Get("timeout") != "10s" {
		t.Errorf("got form %v", f)
	}
}

func TestRemoteUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	addr := srv.Listener.Addr().String()
	srv.Close()
	r, err := NewRemote(RemoteOptions{URL: "http://ann:pa55@" + addr})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Ready(t.Context())
	wantCode(t, err, belay.CodeUnavailable, "connection refused; see that it runs")
	if strings.Contains(err.Error(), "pa55") {
		t.Errorf("the password is in %q", err)
	}

	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	if r, err = NewRemote(RemoteOptions{URL: slow.URL, Timeout: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.Ready(t.Context()), belay.CodeUnavailable, "no answer within 20ms")
}

func TestRemoteAddress(t *testing.T) {
	for _, u := range []string{"", "prometheus:9090", "ftp://x", "http://", "http://x/?q=1", "http://x:port"} {
		if _, err := NewRemote(RemoteOptions{URL: u}); belay.CodeOf(err) != belay.CodeInvalid {
			t.Errorf("NewRemote(%q): got %v, want it refused", u, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"1"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"+Inf"]],"histograms":[[1,{"count":"1","sum":"2","buckets":[[0,"-1","1","3"]]}]]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1e300,"0x1"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &Remote{shown: "x"}
		d, err := r.decode(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}}, body, "q")
		if err != nil {
			return
		}
		s, err := d.series()
		if err != nil {
			return
		}
		for _, x := range s {
			for i, p := range x.Points {
				if i > 0 && x.Labels == nil {
					t.Error("series without labels")
				}
				if p.H != nil && len(p.H.LE) != len(p.H.Count) {
					t.Errorf("bounds and counts differ: %+v", p.H)
				}
			}
		}
	})
}
