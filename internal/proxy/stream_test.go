package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// echo is a release that answers each line of an upgraded connection.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = rw.WriteString("echo " + line)
			_ = rw.Flush()
		}
	}
}

// upgrade opens an upgraded connection and checks that it answers.
func upgrade(t *testing.T, r rig) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	say(t, conn, br, "one\n")
	return conn, br
}

func say(t *testing.T, conn io.Writer, br *bufio.Reader, word string) {
	t.Helper()
	_, _ = io.WriteString(conn, word)
	if got, err := br.ReadString('\n'); got != "echo "+word {
		t.Fatalf("%q %v", got, err)
	}
}

func TestUpgradePassesAndGoesOnOverASwitch(t *testing.T) {
	r := start(t, Options{}, release(t, "old", echo(t)), release(t, "new", nil))
	conn, br := upgrade(t, r)
	r.weights(t, 0, 100)
	say(t, conn, br, "two\n")
	s, err := r.client.Slots(t.Context())
	if blue, _ := s.Slot("blue"); err != nil || blue.InFlight != 1 {
		t.Errorf("in flight: %+v %v", s, err)
	}
	_ = conn.Close()
	if c := counter(t, r, "GET /chat"); c.Classes[0] != 1 || sum(c.Full.Counts) != 0 || sum(c.First.Counts) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestUpgradesEndWithTheTimeOfAStopOrADrain(t *testing.T) {
	r := start(t, Options{}, release(t, "old", echo(t)), release(t, "new", nil))
	short := "20ms"
	if _, err := r.client.ConfigureSlot(t.Context(), "blue", proxyclient.SlotChange{Drain: &short}); err != nil {
		t.Fatal(err)
	}
	_, br := upgrade(t, r)
	r.weights(t, 0, 100)
	if line, err := br.ReadString('\n'); err == nil {
		t.Errorf("after the drain time: %q", line)
	}
	r = start(t, Options{}, release(t, "old", echo(t)))
	_, br = upgrade(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
	if line, err := br.ReadString('\n'); err == nil {
		t.Errorf("after the stop: %q", line)
	}
}

func sum(v []uint64) (n uint64) {
	for _, x := range v {
		n += x
	}
	return n
}

func TestEventsAreFlushedOneByOne(t *testing.T) {
	next := make(chan struct{})
	r := start(t, Options{}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
			select { // the next event only once the client has this one
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	resp, err := http.Get(r.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
			t.Fatalf("event %d: %q %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{}
	}
}

func TestHTTP2AndGRPCPass(t *testing.T) {
	r := start(t, Options{}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") == "application/grpc" {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%d %s %s", r.ProtoMajor, r.Header.Get("Te"), b)
			w.Header().Set("Grpc-Status", "13")
			return
		}
		_, _ = fmt.Fprint(w, r.ProtoMajor)
	}))
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &h2c}
	defer tr.CloseIdleConnections()
	do := func(contentType string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/shop.Orders/Get", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Te", "trailers")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	if resp, body := do("text/plain"); resp.ProtoMajor != 2 || body != "1" {
		t.Errorf("plain: to the client %d, to the release %s", resp.ProtoMajor, body)
	}
	resp, body := do("application/grpc")
	if resp.ProtoMajor != 2 || body != "2 trailers hello" || resp.Trailer.Get("Grpc-Status") != "13" {
		t.Errorf("grpc: %d %q %v", resp.ProtoMajor, body, resp.Trailer)
	}
	eventually(t, "both counted", func() bool { c := counter(t, r, "POST /shop.Orders"); return c.Requests() == 2 })
	if c := counter(t, r, "POST /shop.Orders"); c.Classes[1] != 1 || c.Classes[4] != 1 {
		t.Errorf("%+v", c)
	}
}

func TestUploadsAreStreamed(t *testing.T) {
	got := make(chan string)
	r := start(t, Options{}, release(t, "old", func(_ http.ResponseWriter, r *http.Request) {
		b := make([]byte, 5)
		for range 2 {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				t.Error(err)
			}
			got <- string(b)
		}
	}))
	pr, pw := io.Pipe()
	go func() {
		_, _ = io.WriteString(pw, "first")
		if s := <-got; s != "first" { // the release has it before the rest is written
			t.Errorf("got %s", s)
		}
		_, _ = io.WriteString(pw, "again")
		<-got
		_ = pw.Close()
	}()
	resp, err := http.Post(r.url, "application/octet-stream", pr)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	// A large one arrives whole.
	big := bytes.Repeat([]byte("x"), 8<<20)
	r2 := start(t, Options{}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	}))
	resp, err = http.Post(r2.url, "application/octet-stream", bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprint(len(big)) {
		t.Errorf("release got %s bytes", b)
	}
}
