package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// Writer writes a stream. The same ticks make the same bytes, and each tick goes out whole.
type Writer struct {
	out  io.Writer
	buf  bytes.Buffer
	json *json.Encoder
}

// NewWriter writes to out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.json = json.NewEncoder(&w.buf)
	w.json.SetEscapeHTML(false)
	return w
}

// Policy writes what to judge by. It comes first.
func (w *Writer) Policy(p judge.Policy) error {
	raw, err := EncodePolicy(p)
	if err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	w.buf.WriteString(`{"kind":"policy","policy":`)
	w.buf.Write(raw)
	return w.flush(nil, 0)
}

// Tick writes one tick.
func (w *Writer) Tick(t Tick) error {
	err := w.tick(t)
	if w.buf.Len() == 0 && err == nil {
		w.begin(t.T, kindTick)
		w.buf.WriteString("}\n")
	}
	return w.flush(err, t.T)
}

func (w *Writer) tick(t Tick) error {
	if t.Share != nil {
		w.begin(t.T, kindShare)
		w.number("share", *t.Share)
		w.buf.WriteString("}\n")
	}
	if t.Learned != nil {
		w.begin(t.T, kindLearned)
		w.buf.WriteString(`,"learned":`)
		known := *t.Learned
		if known.Signals == nil {
			known.Signals = []belay.LearnedSignal{} // null is refused
		}
		if err := w.value(known); err != nil {
			return err
		}
		w.buf.WriteString("}\n")
	}
	for _, name := range t.Require {
		w.begin(t.T, kindRequire)
		w.text("signal", name)
		w.buf.WriteString("}\n")
	}
	for i := range t.Samples {
		if err := w.sample(t.T, &t.Samples[i]); err != nil {
			return err
		}
	}
	for i := range t.Health {
		if err := w.object(t.T, kindHealth, &t.Health[i]); err != nil {
			return err
		}
	}
	for i := range t.Sources {
		if err := w.object(t.T, kindSource, &t.Sources[i]); err != nil {
			return err
		}
	}
	return nil
}

// flush writes out what was gathered; after an error nothing of it.
func (w *Writer) flush(err error, t float64) error {
	defer w.buf.Reset()
	if err != nil {
		return fmt.Errorf("write tick %g: %w", t, err)
	}
	if b := w.buf.Bytes(); b[len(b)-1] != '\n' {
		w.buf.WriteString("}\n")
	}
	_, err = w.out.Write(w.buf.Bytes())
	return err
}

func (w *Writer) sample(t float64, m *belay.Sample) error {
	for _, v := range []float64{t, m.T, m.N, m.X, m.Value, m.Sum} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s has %g, which is no number", m.Signal, v)
		}
	}
	w.buf.WriteString(`{"t":`)
	w.float(t)
	if m.T != t {
		w.number("taken", m.T)
	}
	w.text("signal", m.Signal)
	w.text("kind", string(m.Kind))
	w.text("arm", string(m.Arm))
	if m.Instance != "" {
		w.text("instance", m.Instance)
	}
	if m.Stratum != "" {
		w.text("stratum", m.Stratum)
	}
	switch m.Kind {
	case belay.KindEvents, belay.KindCount:
		w.number("n", m.N)
		w.number("x", m.X)
	case belay.KindHistogram:
		for _, list := range [][]float64{m.LE, m.Count} {
			for _, v := range list {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("%s has %g, which is no number", m.Signal, v)
				}
			}
		}
		w.numbers("le", m.LE)
		w.numbers("count", m.Count)
		w.number("n", m.N)
		if m.Sum != 0 {
			w.number("sum", m.Sum)
		}
	case belay.KindGauge:
		w.number("value", m.Value)
	default:
		return fmt.Errorf("%s has the unknown kind %q", m.Signal, m.Kind)
	}
	w.buf.WriteString("}\n")
	return nil
}

func (w *Writer) begin(t float64, kind string) {
	w.buf.WriteString(`{"t":`)
	w.float(t)
	w.text("kind", kind)
}

// object writes a line that has the fields of v besides its own.
func (w *Writer) object(t float64, kind string, v any) error {
	w.begin(t, kind)
	w.buf.WriteByte(',')
	at := w.buf.Len()
	if err := w.value(v); err != nil {
		return err
	}
	b := w.buf.Bytes()
	copy(b[at:], b[at+1:]) // its opening brace
	w.buf.Truncate(len(b) - 1)
	w.buf.WriteByte('\n')
	return nil
}

// value writes v as JSON, without the line end.
func (w *Writer) value(v any) error {
	if err := w.json.Encode(v); err != nil {
		return err
	}
	w.buf.Truncate(w.buf.Len() - 1)
	return nil
}

func (w *Writer) text(name, v string) {
	w.buf.WriteString(`,"` + name + `":`)
	if plain(v) {
		w.buf.WriteByte('"')
		w.buf.WriteString(v)
		w.buf.WriteByte('"')
		return
	}
	_ = w.value(v) // a text can always be written
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (w *Writer) number(name string, v float64) {
	w.buf.WriteString(`,"` + name + `":`)
	w.float(v)
}

func (w *Writer) numbers(name string, list []float64) {
	w.buf.WriteString(`,"` + name + `":[`)
	for i, v := range list {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.float(v)
	}
	w.buf.WriteByte(']')
}

// float writes a number with as many digits as it takes to read the same one back.
func (w *Writer) float(v float64) {
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	w.buf.Write(strconv.AppendFloat(w.buf.AvailableBuffer(), v+0, format, -1, 64))
}
