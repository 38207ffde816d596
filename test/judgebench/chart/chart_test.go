package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/belaydev/belay/test/judgebench/chart"
)

// texts reads a picture as XML, as a browser would, and returns what is written in it.
func texts(t *testing.T, svg string) string {
	t.Helper()
	var all strings.Builder
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		if text, ok := token.(xml.CharData); ok {
			all.Write(text)
		}
	}
}

func TestPicturesAreXMLAndSayWhatTheyShow(t *testing.T) {
	for name, svg := range map[string]string{
		"bars": chart.Bars("a < b", "sub", []chart.Bar{{"one & only", 12, "12", chart.Own}, {"none", 0, "never", chart.Other}}, 3, "limit"),
		"lines": chart.Lines("a < b", "sub", chart.Axis{Places: []string{"1 %", "2 %"}, Low: 1, High: 3600, Unit: "s", Below: "rate"},
			[]chart.Line{{"one & only", []float64{math.Inf(1), 20}, chart.Own}, {"never", []float64{math.NaN(), math.Inf(1)}, chart.Other}}),
		"shares": chart.Shares("a < b", "sub", chart.Table{Columns: []string{"iid", "none"}, Rows: []string{"one & only"}, Share: [][]float64{{0.5, math.NaN()}}}, 0.01),
	} {
		all := texts(t, svg)
		for _, want := range []string{"a < b", "sub", "one & only"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: does not say %q", name, want)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: has a place that is no number", name)
		}
		if !strings.Contains(svg, "prefers-color-scheme: dark") {
			t.Errorf("%s: does not follow the reader's choice of dark", name)
		}
	}
}
