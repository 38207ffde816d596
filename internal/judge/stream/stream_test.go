package stream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/judge/stream/recording"
)

// read reads a whole stream.
func read(text string) (*judge.Policy, []stream.Tick, error) {
	r := stream.NewReader(strings.NewReader(text))
	p, err := r.Policy()
	if err != nil {
		return nil, nil, err
	}
	var ticks []stream.Tick
	for {
		t, err := r.Next()
		if errors.Is(err, io.EOF) {
			return p, ticks, nil
		}
		if err != nil {
			return nil, nil, err
		}
		ticks = append(ticks, t)
	}
}

func write(t testing.TB, p *judge.Policy, ticks []stream.Tick) string {
	t.Helper()
	var b bytes.Buffer
	w := stream.NewWriter(&b)
	if p != nil {
		if err := w.Policy(*p); err != nil {
			t.Fatal(err)
		}
	}
	for _, tick := range ticks {
		if err := w.Tick(tick); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

const (
	events    = `{"t":35,"signal":"error_rate","kind":"events","arm":"candidate","instance":"a","n":120,"x":3}`
	histogram = `{"t":35,"signal":"response_time","kind":"histogram","arm":"baseline","instance":"b","le":[0.1,0.5,1],"count":[90,110,120],"n":121}`
	gauge     = `{"t":35,"signal":"cpu_usage","kind":"gauge","arm":"candidate","instance":"a","value":0.41}`
)

func TestLinesOfTheManual(t *testing.T) {
	_, ticks, err := read(events + "\n" + histogram + "\n" + gauge + "\n" +
		`{"t":36.5,"signal":"timeouts","kind":"count","arm":"baseline","stratum":"GET /","n":10,"x":12}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []stream.Tick{
		{Tick: belay.Tick{T: 35, Samples: []belay.Sample{
			{T: 35, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Instance: "a", N: 120, X: 3},
			{T: 35, Signal: "response_time", Kind: belay.KindHistogram, Arm: belay.ArmBaseline, Instance: "b", LE: []float64{0.1, 0.5, 1}, Count: []float64{90, 110, 120}, N: 121},
			{T: 35, Signal: "cpu_usage", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Instance: "a", Value: 0.41},
		}}},
		{Tick: belay.Tick{T: 36.5, Samples: []belay.Sample{{T: 36.5, Signal: "timeouts", Kind: belay.KindCount, Arm: belay.ArmBaseline, Stratum: "GET /", N: 10, X: 12}}}},
	}
	if !reflect.DeepEqual(ticks, want) {
		t.Errorf("read %+v\nwant %+v", ticks, want)
	}
}

// with replaces a part of a good line.
func with(line, old, change string) string {
	if !strings.Contains(line, old) {
		panic(old + " is not in " + line)
	}
	return strings.Replace(line, old, change, 1)
}

// TestRefused: whatever is wrong is refused with its line, what is wrong and what would be right.
func TestRefused(t *testing.T) {
	later := with(events, `"t":35`, `"t":36`)
	for name, c := range map[string]struct {
		text string
		line int
		says []string
	}{
		"empty":                  {"", 1, []string{"the stream is empty", `"signal":"error_rate"`}},
		"blank lines":            {"\n \r\n", 2, []string{"at or after the deployment"}},
		"history only":           {with(events, "35", "-35"), 1, []string{"nothing to judge"}},
		"policy only":            {`{"kind":"policy","policy":{"signals":[]}}`, 1, []string{"nothing to judge"}},
		"no JSON":                {events + "\nt=35 error_rate 3/120", 2, []string{"want a JSON object", `got "t=35"`}},
		"a list":                 {"[1]", 1, []string{"want a JSON object"}},
		"cut off in a text":      {events[:24], 1, []string{"cut off", "middle of a text"}},
		"cut off in an object":   {events[:len(events)-1], 1, []string{"want a comma or }", "the end of the line"}},
		"cut off in a value":     {`{"t":`, 1, []string{`before the value of "t"`}},
		"garbage at the end":     {events + "x", 1, []string{"goes on after its object"}},
		"two objects":            {events + events, 1, []string{"one object a line"}},
		"trailing comma":         {`{"t":1,}`, 1, []string{"want the name of a field"}},
		"no colon":               {`{"t" 1}`, 1, []string{"want a colon"}},
		"twice":                  {with(events, `"n":120`, `"n":120,"n":1`), 1, []string{`"n" is given twice`}},
		"unknown field":          {with(events, `"instance"`, `"instnce"`), 1, []string{`the field "instnce" is unknown`, `did you mean "instance"?`}},
		"case matters":           {with(events, `"n"`, `"N"`), 1, []string{`did you mean "n"?`}},
		"far field":              {with(events, `"instance"`, `"datacenter"`), 1, []string{"the fields of such a line are"}},
		"field of another kind":  {with(events, `"x":3`, `"value":3`), 1, []string{`"value" is unknown in a line of kind "events"`}},
		"missing field":          {with(events, `,"x":3`, ""), 1, []string{`"x" is missing`}},
		"missing t":              {with(events, `"t":35,`, ""), 1, []string{`"t" is missing`}},
		"missing kind":           {with(events, `"kind":"events",`, ""), 1, []string{`"kind" is missing`}},
		"misspelt kind":          {with(events, `"kind"`, `"kin"`), 1, []string{`did you mean "kind"?`}},
		"unknown kind":           {with(events, `"events"`, `"event"`), 1, []string{`did you mean "events"?`}},
		"kind is a number":       {with(events, `"events"`, `7`), 1, []string{`"kind" is the number 7`}},
		"unknown arm":            {with(events, `"candidate"`, `"canary"`), 1, []string{`"arm" is "canary"`, "candidate and baseline"}},
		"misspelt arm":           {with(events, `"candidate"`, `"candidat"`), 1, []string{`did you mean "candidate"?`}},
		"empty signal":           {with(events, `"error_rate"`, `""`), 1, []string{`"signal" is empty`}},
		"text for a number":      {with(events, `120`, `"120"`), 1, []string{`"n" is the text "120", want a number`}},
		"number for a text":      {with(events, `"a"`, `1`), 1, []string{`"instance" is the number 1, want a text`}},
		"null":                   {with(events, `120`, `null`), 1, []string{`"n" is null`}},
		"true":                   {with(events, `120`, `true`), 1, []string{`"n" is true`}},
		"NaN":                    {events + "\n" + with(gauge, "0.41", "NaN"), 2, []string{`"value" is "NaN", which is no number`, "leave the line out"}},
		"Infinity":               {with(gauge, "0.41", "Infinity"), 1, []string{"which is no number"}},
		"-Infinity":              {with(gauge, "0.41", "-Infinity"), 1, []string{"which is no number"}},
		"nan":                    {with(gauge, "0.41", "nan"), 1, []string{"which is no number"}},
		"1e400":                  {with(gauge, "0.41", "1e400"), 1, []string{`"value" is 1e400, too large`}},
		"-1e400":                 {with(gauge, "0.41", "-1e400"), 1, []string{"too large"}},
		"1e400 in a list":        {with(histogram, "0.5", "1e400"), 1, []string{`"le" is 1e400, too large`}},
		"1e300":                  {with(gauge, "0.41", "1e300"), 1, []string{"cannot be"}},
		"1e15 events":            {with(events, "120", "1e15"), 1, []string{"the most is 1e+12"}},
		"hexadecimal":            {with(events, "120", "0x78"), 1, []string{"no JSON number"}},
		"leading zero":           {with(events, "120", "0120"), 1, []string{"no JSON number"}},
		"leading plus":           {with(events, "120", "+120"), 1, []string{"no JSON"}},
		"underscore":             {with(events, "120", "1_20"), 1, []string{"no JSON number"}},
		"no digits":              {with(events, "120", "1."), 1, []string{"no JSON number"}},
		"far t":                  {with(events, `"t":35`, `"t":1e12`), 1, []string{`"t" is 1e12`, "another unit"}},
		"negative n":             {with(events, "120", "-120"), 1, []string{`"n" is -120, want 0 or more`}},
		"negative x":             {with(events, `"x":3`, `"x":-3`), 1, []string{`"x" is -3`}},
		"negative count":         {with(histogram, "[90", "[-90"), 1, []string{`"count" has -90`}},
		"x above n":              {with(events, `"x":3`, `"x":121`), 1, []string{`"x" is 121, more than "n", which is 120`, `kind "count"`}},
		"nothing exposed":        {`{"t":1,"signal":"s","kind":"count","arm":"candidate","n":0,"x":1}`, 1, []string{`although "n" is 0`}},
		"count falls":            {with(histogram, "110", "80"), 1, []string{`"count" has 80 after 90`, "cumulative"}},
		"count above n":          {with(histogram, `"n":121`, `"n":119`), 1, []string{`"count" ends with 120`}},
		"bounds fall":            {with(histogram, "0.5,1", "1,0.5"), 1, []string{`"le" has 0.5 after 1`, "ascending"}},
		"bounds alike":           {with(histogram, "0.5,1", "1,1"), 1, []string{"ascending"}},
		"bounds and counts":      {with(histogram, "0.5,1", "0.5"), 1, []string{`"le" has 2 bounds and "count" has 3`}},
		"bounds are texts":       {with(histogram, "0.5", `"0.5"`), 1, []string{"want a list of numbers"}},
		"bounds of bounds":       {with(histogram, "0.5", `[0.5]`), 1, []string{"want a list of numbers"}},
		"bounds are no list":     {with(histogram, "[0.1,0.5,1]", `1`), 1, []string{`"le" is the number 1`}},
		"unordered":              {later + "\n" + events, 2, []string{"t is 35, after a line with 36", "sort"}},
		"same reading twice":     {later + "\n" + later, 2, []string{"error_rate of the candidate, instance a at t 36 is in line 1 already"}},
		"changes its kind":       {events + "\n" + with(gauge, "cpu_usage", "error_rate"), 2, []string{`error_rate is of kind "gauge" here and of kind "events" in line 1`}},
		"policy has other kind":  {`{"kind":"policy","policy":{"signals":[{"name":"cpu_usage","kind":"events"}]}}` + "\n" + gauge, 2, []string{`of kind "events" in line 1`}},
		"long line":              {events + "\n" + with(events, `"a"`, `"`+strings.Repeat("a", 1<<20)+`"`), 2, []string{"longer than 1048576 bytes"}},
		"long text":              {with(events, `"a"`, `"`+strings.Repeat("a", 100_000)+`"`), 1, []string{"too long"}},
		"no UTF-8":               {with(events, `"a"`, "\"\xff\""), 1, []string{"UTF-8"}},
		"control character":      {with(events, `"a"`, "\"\x01\""), 1, []string{"control character"}},
		"unknown escape":         {with(events, `"a"`, `"\q"`), 1, []string{"escape"}},
		"deep":                   {`{"t":1,"x":` + strings.Repeat("[", 100), 1, []string{"nested too deeply"}},
		"late policy":            {events + "\n" + `{"kind":"policy","policy":{"signals":[]}}`, 2, []string{"only be the first line"}},
		"two policies":           {strings.Repeat(`{"kind":"policy","policy":{"signals":[]}}`+"\n", 2), 2, []string{"only be the first line"}},
		"policy with t":          {`{"t":1,"kind":"policy","policy":{}}`, 1, []string{`"t" is unknown`}},
		"policy is a list":       {`{"kind":"policy","policy":[]}`, 1, []string{"no object"}},
		"policy field":           {`{"kind":"policy","policy":{"min_tme":3}}`, 1, []string{`"min_tme" is unknown`, `did you mean "min_time"?`}},
		"policy type":            {`{"kind":"policy","policy":{"min_time":"3s"}}`, 1, []string{`"min_time" is a text, want a number`}},
		"policy null":            {`{"kind":"policy","policy":{"min_time":null}}`, 1, []string{`"min_time" is null`}},
		"policy signal field":    {`{"kind":"policy","policy":{"signals":[{"name":"x"},{"nam":"y"}]}}`, 1, []string{`signal 2 of the policy`, `did you mean "name"?`}},
		"policy that cannot be":  {`{"kind":"policy","policy":{"false_rollback_rate":7}}`, 1, []string{"false rollback rate 7"}},
		"policy that overflows":  {`{"kind":"policy","policy":{"min_time":1e400}}`, 1, []string{`"min_time"`, "1e400"}},
		"share above one":        {`{"t":1,"kind":"share","share":25}`, 1, []string{"the most is 1"}},
		"share twice":            {strings.Repeat(`{"t":1,"kind":"share","share":0.25}`+"\n", 2), 2, []string{"given twice"}},
		"health state":           {`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"sick"}`, 1, []string{`"state" is "sick"`}},
		"health without check":   {`{"t":1,"kind":"health","check":"","arm":"candidate","state":"healthy"}`, 1, []string{`"check" is empty`}},
		"health time":            {`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"healthy","at":"noon"}`, 1, []string{"is no time"}},
		"health passes":          {`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"healthy","passes":"many"}`, 1, []string{`"passes" is a text, want a number`}},
		"health fails":           {`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"healthy","fails":-1}`, 1, []string{"below 0"}},
		"health part":            {`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"healthy","passes":1.5}`, 1, []string{"does not fit"}},
		"source without ok":      {`{"t":1,"kind":"source","source":"metrics"}`, 1, []string{`"ok" is missing`}},
		"source ok":              {`{"t":1,"kind":"source","source":"metrics","ok":"yes"}`, 1, []string{`"ok" is a text, want true or false`}},
		"learned field":          {`{"t":1,"kind":"learned","learned":{"signal":[]}}`, 1, []string{`did you mean "signals"?`}},
		"learned field inside":   {`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kindd":"events"}]}}`, 1, []string{"kindd"}},
		"learned is too large":   {`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kind":"gauge","slow":1e200}]}}`, 1, []string{"too large"}},
		"learned of no kind":     {`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kind":"bogus"}]}}`, 1, []string{"unknown kind", "bogus", "histogram"}},
		"learned without a unit": {`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kind":"gauge","scale":{"linear":true}}]}}`, 1, []string{"unit"}},
		"learned less than none": {`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kind":"gauge","levels":[{"name":"i","n":9,"sum":1,"squares":-2}]}]}}`, 1, []string{"negative"}},
		"learned twice":          {strings.Repeat(`{"t":1,"kind":"learned","learned":{}}`+"\n", 2), 2, []string{"given twice"}},
		"nothing after an error": {"x\n" + events, 1, []string{"want a JSON object"}},
	} {
		_, ticks, err := read(c.text)
		bad, ok := errors.AsType[*stream.Error](err)
		if !ok {
			t.Errorf("%s: read %d ticks, error %v; want one with a line", name, len(ticks), err)
			continue
		}
		if bad.Line != c.line {
			t.Errorf("%s: line %d, want %d: %v", name, bad.Line, c.line, bad)
		}
		for _, want := range c.says {
			if !strings.Contains(bad.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, bad, want)
			}
		}
	}
}

func TestTolerated(t *testing.T) {
	want := []stream.Tick{{Tick: belay.Tick{T: 35, Samples: []belay.Sample{{T: 35, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Instance: "a", N: 120, X: 3}}}}}
	for name, text := range map[string]string{
		"BOM":               "\xef\xbb\xbf" + events,
		"CRLF":              events + "\r\n",
		"blank lines":       "\n\n" + events + "\n\n",
		"spaces":            " " + strings.ReplaceAll(strings.ReplaceAll(events, ":", " :\t"), ",", " , ") + " ",
		"escapes":           with(events, `"a"`, `"\u0061"`),
		"exponents":         with(events, `120`, `1.2E+2`),
		"minus zero":        with(events, `"x":3`, `"x":3.0`),
		"order of fields":   `{"x":3,"n":120,"instance":"a","arm":"candidate","kind":"events","signal":"error_rate","t":35}`,
		"a time of its own": with(events, `"n"`, `"taken":35,"n"`),
	} {
		if _, ticks, err := read(text); err != nil || !reflect.DeepEqual(ticks, want) {
			t.Errorf("%s: %+v, %v", name, ticks, err)
		}
	}
}

// A reading that cannot be had is told apart from one that is wrong.
func TestReadingFails(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(events+"\n"), errReader{})
	r := stream.NewReader(broken)
	_, err := r.Next()
	if _, ok := errors.AsType[*stream.Error](err); ok || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v", err)
	}
	if _, again := r.Next(); !errors.Is(again, errBroken) {
		t.Errorf("afterwards %v", again)
	}
}

var errBroken = errors.New("the disk is gone")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

// random makes ticks of every kind of line.
func random(r *rand.Rand) []stream.Tick {
	names := []string{"", "a", "10.0.0.7:8000", `q"uo\te`, "GET /ä→", "x<y>&z", "tab\there"}
	pick := func() string { return names[r.IntN(len(names))] }
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	le := []float64{0.005, 0.1, 2.5}
	var ticks []stream.Tick
	t := -float64(r.IntN(100))
	for len(ticks) < 30 || t < 0 {
		t += float64(r.IntN(8))/3 + 0.001
		tick := stream.Tick{Tick: belay.Tick{T: t}}
		seen := map[string]bool{}
		for range r.IntN(6) {
			m := belay.Sample{T: t, Arm: belay.ArmCandidate, Instance: pick(), Stratum: pick()}
			if r.IntN(2) == 0 {
				m.Arm = belay.ArmBaseline
			}
			if r.IntN(4) == 0 {
				m.T = t - r.Float64()
			}
			n := float64(r.IntN(1000))
			switch r.IntN(4) {
			case 0:
				m.Signal, m.Kind, m.N, m.X = "error_rate", belay.KindEvents, n, math.Floor(n*r.Float64())
			case 1:
				m.Signal, m.Kind, m.N, m.X = "timeouts", belay.KindCount, n+1, math.Floor(3*n*r.Float64())
			case 2:
				m.Signal, m.Kind, m.LE, m.Count, m.N, m.Sum = "response_time", belay.KindHistogram, le, []float64{n, n, n + 1}, n+2, n*r.Float64()
			case 3:
				m.Signal, m.Kind, m.Value = "cpu", belay.KindGauge, math.Exp(40*r.NormFloat64())-1
			}
			if key := fmt.Sprint(m.T, m.Signal, m.Arm, m.Instance, "|", m.Stratum); !seen[key] {
				seen[key] = true
				tick.Samples = append(tick.Samples, m)
			}
		}
		if r.IntN(4) == 0 {
			share := r.Float64()
			tick.Share = &share
		}
		if r.IntN(8) == 0 {
			tick.Require = []string{"error_rate"}
		}
		if len(ticks) == 0 {
			tick.Learned = &belay.Learned{Until: at, Seconds: 60, Signals: []belay.LearnedSignal{{Signal: "error_rate", Kind: belay.KindEvents,
				Bad: []belay.LearnedInstance{{Name: pick(), N: 10, X: 1, Expected: 0.5}}}}}
		}
		for range r.IntN(3) {
			tick.Health = append(tick.Health, belay.HealthStatus{Check: "web", Target: pick(), Arm: belay.ArmCandidate, State: belay.HealthUnhealthy,
				Since: at, At: at.Add(time.Duration(r.Int64N(1e12))), Passes: r.IntN(4), Fails: r.IntN(4), Latency: time.Duration(r.Int64N(1e9)), Detail: pick(), Broken: []string{"database"}})
			tick.Sources = append(tick.Sources, belay.SourceStatus{Source: "scrape of " + pick(), OK: r.IntN(2) == 0, Detail: pick()})
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// TestRoundTrip: what was written is read back, and written again is the same bytes.
func TestRoundTrip(t *testing.T) {
	stop := 0.25
	p := judge.Policy{Candidate: "1.2 <b>", Baseline: "1.1", FalseRollbackRate: 0.02, Signals: []judge.SignalPolicy{
		{Name: "error_rate", Kind: belay.KindEvents, HardStop: &stop, Compare: true}, {Name: "other", Unit: "req/s"}}}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := random(r)
		text := write(t, &p, want)
		back, got, err := read(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(*back, p) {
			t.Fatalf("seed %d: not what was written:\n%s\ngot  %+v\nwant %+v", seed, text, got, want)
		}
		if again := write(t, back, got); again != text {
			t.Fatalf("seed %d: written again it differs:\n%s\n%s", seed, text, again)
		}
	}
}

// TestPolicyIsWhole: every setting of a policy is in the stream.
func TestPolicyIsWhole(t *testing.T) {
	var p judge.Policy
	n := 0
	fill(reflect.ValueOf(&p).Elem(), &n)
	p.FalseRollbackRate, p.PassRate = 0.3, 0.4
	s := &p.Signals[0]
	*s.Threshold, *s.HardStop, s.Kind, s.Direction = 0.5, 0.6, belay.KindEvents, judge.LowerIsWorse
	s.SmallestChange, s.Quantile = 0.7, 0.8
	raw, err := stream.EncodePolicy(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := stream.DecodePolicy(raw)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("%s\ngot  %+v, %v\nwant %+v", raw, back, err, p)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil || len(keys) != reflect.TypeFor[judge.Policy]().NumField() {
		t.Errorf("%d settings of %d: %s", len(keys), reflect.TypeFor[judge.Policy]().NumField(), raw)
	}
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	case reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("fill a " + v.Kind().String())
	}
}

func TestWriterRefusesWhatIsNoNumber(t *testing.T) {
	for _, m := range []belay.Sample{
		{Kind: belay.KindGauge, Value: math.NaN()}, {Kind: belay.KindEvents, N: math.Inf(1)}, {Kind: "odd"},
		{Kind: belay.KindHistogram, LE: []float64{math.Inf(1)}, Count: []float64{1}, N: 1},
	} {
		var b bytes.Buffer
		good := belay.Sample{Signal: "s", Kind: belay.KindGauge}
		if err := stream.NewWriter(&b).Tick(stream.Tick{Tick: belay.Tick{Samples: []belay.Sample{good, m}}}); err == nil || b.Len() > 0 {
			t.Errorf("%+v: error %v, wrote %q; want nothing of the tick", m, err, b.String())
		}
	}
}

// replay judges ticks and returns every card as JSON.
func replay(t *testing.T, p judge.Policy, ticks []stream.Tick) []string {
	t.Helper()
	j := judge.New(p)
	var cards []string
	for _, tick := range ticks {
		for _, name := range tick.Require {
			j.Require(name)
		}
		card := j.Observe(tick.Tick)
		if tick.T < 0 {
			continue
		}
		b, err := json.Marshal(card)
		if err != nil {
			t.Fatal(err)
		}
		cards = append(cards, string(b))
	}
	return cards
}

// TestRecordedIsJudgedAlike: a live watch has history in its first tick, or later; numbers that nobody can count;
// two counts of one thing. Its recording is a strict stream, and each of its ticks is judged alike.
func TestRecordedIsJudgedAlike(t *testing.T) {
	for _, inOrder := range []bool{true, false} {
		recordAndJudge(t, inOrder)
	}
}

func recordAndJudge(t *testing.T, inOrder bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	sample := func(at float64, arm belay.Arm, n, x float64) belay.Sample {
		return belay.Sample{T: at, Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: "a", N: n, X: x}
	}
	var live []stream.Tick
	for i := range 120 {
		at := 0.4 + float64(i)
		tick := stream.Tick{Tick: belay.Tick{T: at, Samples: []belay.Sample{
			sample(at-0.3, belay.ArmCandidate, 50, float64(r.IntN(3))), sample(at-0.3, belay.ArmBaseline, 50, float64(r.IntN(2))),
			sample(at-0.3, belay.ArmBaseline, 5, 1), // again, of another counter
			{T: at, Signal: "cpu_usage", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Value: 2},
			{T: at, Signal: "error_rate", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Value: 2}, // not what it was
			{T: at, Signal: "orders", Kind: belay.KindEvents, Arm: belay.ArmCandidate, N: 3, X: 4},
			{T: at, Signal: "orders", Kind: belay.KindEvents, Arm: belay.ArmBaseline, N: -3},
			{T: at, Signal: "orders", Kind: belay.KindEvents, Arm: belay.ArmBaseline, N: 1e13},
		}}}
		for k := range 60 {
			switch past := sample(float64(-300+5*k), belay.ArmBaseline, 40, float64(k%2)); {
			case i == 0 && inOrder:
				tick.Samples = slices.Insert(tick.Samples, k, past)
			case i == 0:
				tick.Samples = append(tick.Samples, past)
			case i == 20:
				tick.Samples = append(tick.Samples, belay.Sample{T: float64(-300 + 5*k), Signal: "orders", Kind: belay.KindEvents, Arm: belay.ArmBaseline, N: 30, X: 3})
			}
		}
		switch i {
		case 0:
			tick.Learned = &belay.Learned{Seconds: 600, Signals: []belay.LearnedSignal{{Signal: "error_rate", Kind: belay.KindEvents,
				Bad: []belay.LearnedInstance{{Name: "a", N: 9000, X: 90, Expected: 100}, {Name: "b", N: 9000, X: 110, Expected: 100}}}}}
		case 3, 4:
			tick.Samples = nil // looked, and saw nothing
		case 9:
			tick.Require = []string{"orders"}
		}
		live = append(live, tick)
	}
	p := judge.DefaultPolicy()
	p.Signals = append(p.Signals, judge.SignalPolicy{Name: "cpu_usage", Compare: true}, judge.SignalPolicy{Name: "orders", Kind: belay.KindEvents, Compare: true})
	rec := recording.New(p)
	var recorded []stream.Tick
	for _, tick := range live {
		recorded = append(recorded, rec.Record(tick)...)
	}
	text := write(t, &p, recorded)
	back, ticks, err := read(text)
	if err != nil {
		t.Fatalf("the recording is no stream: %v\n%s", err, text)
	}
	if strings.Contains(text, `{"t":-300,"signal":"error_rate"`) != inOrder || !strings.Contains(text, `{"t":3.4,"kind":"tick"}`) || !strings.Contains(text, `"taken":-300,"signal":"orders"`) {
		t.Errorf("history and empty ticks are not where they are looked for:\n%.2000s", text)
	}
	got, want := replay(t, *back, ticks), replay(t, p, live)
	if len(got) != len(live) || len(want) != len(live) {
		t.Fatalf("%d cards, live %d, want %d", len(got), len(want), len(live))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("judged otherwise:\n%s\nwant\n%s", got[i], want[i])
		}
	}
}

// FuzzRead: whatever the bytes, reading ends, and what is read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(events + "\n" + histogram + "\n" + gauge))
	f.Add([]byte("\xef\xbb\xbf" + events + "\r\n\r\n"))
	f.Add([]byte(`{"kind":"policy","policy":{"signals":[{"name":"error_rate","kind":"events","hard_stop":0.25,"compare":true}]}}` + "\n" + events))
	f.Add([]byte(`{"t":-1e-300,"kind":"tick"}` + "\n" + `{"t":-0,"kind":"share","share":0.5}` + "\n" + `{"t":0,"kind":"require","signal":"\u00e4"}`))
	f.Add([]byte(`{"t":1,"kind":"health","check":"web","arm":"candidate","state":"healthy","since":"2026-05-01T10:00:00+02:00","broken":["db"]}`))
	f.Add([]byte(`{"t":1,"kind":"source","source":"metrics","ok":false,"detail":"\ud83d"}`))
	f.Add([]byte(`{"t":1,"kind":"learned","learned":{"signals":[{"signal":"a","kind":"gauge","scale":{"offset":1,"unit":2}}],"until":"2026-05-01T10:00:00Z","seconds":1}}`))
	f.Add([]byte(write(f, nil, random(rand.New(rand.NewPCG(1, 2))))))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, ticks, err := read(string(text))
		if err != nil {
			if bad, ok := errors.AsType[*stream.Error](err); !ok || bad.Line < 1 || bad.Line > bytes.Count(text, []byte("\n"))+1 || bad.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		again := write(t, p, ticks)
		_, back, err := read(again)
		if err != nil {
			t.Fatalf("what was read and written is refused: %v\n%s", err, again)
		}
		if third := write(t, p, back); third != again {
			t.Fatalf("not the same bytes:\n%s\n%s", again, third)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := write(b, nil, random(rand.New(rand.NewPCG(3, 3))))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := read(text); err != nil {
			b.Fatal(err)
		}
	}
}
