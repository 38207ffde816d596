package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

// Record gives out two parts, and breaks off between them when somebody follows.
func (f *fake) Record(_ context.Context, id string, follow bool, out func([]byte) error) error {
	if id != knownID {
		return belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id)
	}
	if err := out([]byte(`{"kind":"policy"}` + "\n" + `{"t":1}` + "\n")); err != nil {
		return err
	}
	if follow {
		return errors.Join(out([]byte(`{"t":2,`)), errors.New("the store is gone"))
	}
	return out([]byte(`{"t":2}` + "\n"))
}

func (f *fake) Card(context.Context, string) (belay.Card, error) {
	return belay.Card{Verdict: belay.VerdictHealthy, Signals: []belay.SignalEvidence{{Signal: "error_rate", Trail: []belay.TrailPoint{{T: 1}}}}}, f.err
}

func (f *fake) CardSVG(context.Context, string) ([]byte, error) { return []byte("<svg/>"), f.err }

func TestEvidence(t *testing.T) {
	srv := httptest.NewServer(handler(&fake{}, "secret"))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.WithToken("secret"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var b bytes.Buffer
	if err := c.Record(ctx, knownID, false, &b); err != nil || b.String() != `{"kind":"policy"}`+"\n"+`{"t":1}`+"\n"+`{"t":2}`+"\n" {
		t.Errorf("record: %v, %q", err, b.String())
	}
	b.Reset()
	if err := c.Record(ctx, knownID, true, &b); belay.CodeOf(err) != belay.CodeUnavailable || b.String() != `{"kind":"policy"}`+"\n"+`{"t":1}`+"\n" {
		t.Errorf("a recording that breaks off: %v, %q; want whole lines", err, b.String())
	}
	b.Reset()
	if err := c.Record(ctx, "d-9", true, &b); belay.CodeOf(err) != belay.CodeNotFound || b.Len() > 0 {
		t.Errorf("of nothing: %v, %q", err, b.String())
	}
	if card, err := c.Card(ctx, knownID); err != nil || len(card.Signals[0].Trail) != 1 {
		t.Errorf("card %+v, %v", card, err)
	}
	if err := c.CardSVG(ctx, knownID, &b); err != nil || b.String() != "<svg/>" {
		t.Errorf("picture %q, %v", b.String(), err)
	}
	if err := c.CardSVG(ctx, knownID, writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe })); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("nowhere to write to: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestAQuietEndOfEvidence: nothing may come between the last part and the end of a recording, for as long as a rollback
// takes; the end itself must still reach who follows.
func TestAQuietEndOfEvidence(t *testing.T) {
	w := &patient{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/api/v1/deployments/"+knownID+"/evidence", nil)
	r.Header.Set("Authorization", "Bearer secret")
	handler(&fake{}, "secret").ServeHTTP(w, r)
	if w.Code != http.StatusOK || !w.fresh {
		t.Errorf("%d: the end is written under the deadline of the last part", w.Code)
	}
}

// patient knows whether a deadline was set after the last part.
type patient struct {
	*httptest.ResponseRecorder
	fresh bool
}

func (p *patient) Write(b []byte) (int, error) {
	p.fresh = false
	return p.ResponseRecorder.Write(b)
}

func (p *patient) SetWriteDeadline(time.Time) error {
	p.fresh = true
	return nil
}

// TestPictureIsSafe: a browser that opens the picture runs nothing and loads nothing.
func TestPictureIsSafe(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/api/v1/deployments/d-0/card.svg", nil)
	r.Header.Set("Authorization", "Bearer secret")
	handler(&fake{}, "secret").ServeHTTP(w, r)
	h := w.Result().Header
	if w.Code != http.StatusOK || h.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", w.Code, h)
	}
	w, r = httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/api/v1/deployments/d-0/evidence?follow=maybe", nil)
	r.Header.Set("Authorization", "Bearer secret")
	handler(&fake{}, "secret").ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("follow=maybe: %d %s", w.Code, w.Body)
	}
}
