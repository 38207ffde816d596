package trace_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/belaydev/belay/test/judgebench/trace"
)

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	path := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if filepath.Ext(name) != ".gz" {
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMinutesThatAreMissingHadNoRequests(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "worldcup98/requests-per-minute.csv.gz", "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n1998-04-30 21:34:00,7\n")
	got, err := trace.Minutes(dir)
	if err != nil || !slices.Equal(got, []float64{2, 11, 0, 0, 7}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLabelledSeries(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "cloud-monitoring/data/rps/b-02.csv.gz", "TimeStamp,Value,Label\n\"2018-04-25T00:00:00Z\",\"5\",\"0\"\n\"2018-04-25T00:01:00Z\",6,1\n")
	write(t, dir, "cloud-monitoring/data/rps/a-01.csv", "TimeStamp,Value,Label\n2018-06-19 00:00:00,1,0\n2018-06-19 01:00:00,,0\n2018-06-19 02:00:00,3,1\n2018-06-19 02:00:00,3,1\n2018-06-19 03:00:00,4,0")
	write(t, dir, "cloud-monitoring/data/rps/a-01.csv-metadata.json", "{}")
	all, err := trace.Labelled(dir)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d series, %v", len(all), err)
	}
	a, b := all[0], all[1]
	if a.Name != "rps/a-01" || a.Kind != "rps" || !slices.Equal(a.At, []float64{0, 7200, 10800}) || !slices.Equal(a.Values, []float64{1, 3, 4}) || !slices.Equal(a.Bad, []bool{false, true, false}) {
		t.Errorf("got %+v", a)
	}
	if b.Step != 60 || !b.Bad[1] {
		t.Errorf("got %+v", b)
	}
	if _, err := trace.Labelled(t.TempDir()); err == nil {
		t.Error("an empty folder is no data")
	}
}
