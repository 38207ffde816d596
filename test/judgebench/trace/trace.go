// Package trace reads recorded production series from a folder that is not part of this repository: requests per minute
// of the 1998 World Cup site (worldcup98/requests-per-minute.csv.gz, from nimamahmoudi/worldcup98-dataset, MIT) and the
// labelled series of microsoft/cloud-monitoring-dataset (cloud-monitoring/data/*/*.csv, gzipped or not; MIT).
package trace

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Minutes reads the requests of each minute of the World Cup site. Minutes that are missing in the file had none.
func Minutes(folder string) ([]float64, error) {
	rows, err := read(filepath.Join(folder, "worldcup98", "requests-per-minute.csv.gz"))
	if err != nil {
		return nil, err
	}
	var minutes []float64
	var begin time.Time
	for i, row := range rows {
		at, err := stamp(row[0])
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			begin = at
		}
		for k := int(at.Sub(begin) / time.Minute); len(minutes) <= k; {
			minutes = append(minutes, 0)
		}
		minutes[len(minutes)-1] = n
	}
	return minutes, nil
}

// Series is a production series whose anomalies were labelled by people who knew it.
type Series struct {
	Name   string // folder and file, without the ending
	Kind   string // folder
	Step   float64
	At     []float64 // seconds since its beginning
	Values []float64
	Bad    []bool
}

// Labelled reads all labelled series, in the order of their names.
func Labelled(folder string) ([]Series, error) {
	files, err := filepath.Glob(filepath.Join(folder, "cloud-monitoring", "data", "*", "*.csv*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var all []Series
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		s, err := labelled(file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("find labelled series below %s: %w", folder, os.ErrNotExist)
	}
	return all, nil
}

func labelled(file string) (Series, error) {
	rows, err := read(file)
	if err != nil {
		return Series{}, err
	}
	kind := filepath.Base(filepath.Dir(file))
	base, _, _ := strings.Cut(filepath.Base(file), ".")
	s := Series{Name: kind + "/" + base, Kind: kind}
	var begin time.Time
	for _, row := range rows {
		if row[1] == "" {
			continue // no reading
		}
		at, err := stamp(row[0])
		if err != nil {
			return s, err
		}
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return s, err
		}
		if begin.IsZero() {
			begin = at
		}
		t := at.Sub(begin).Seconds()
		if n := len(s.At); n > 0 && t <= s.At[n-1] {
			continue // a few points stand twice
		}
		s.At, s.Values, s.Bad = append(s.At, t), append(s.Values, v), append(s.Bad, row[2] == "1")
	}
	var steps []float64
	for i := 1; i < len(s.At); i++ {
		steps = append(steps, s.At[i]-s.At[i-1])
	}
	if len(steps) == 0 {
		return s, errors.New("fewer than two points")
	}
	slices.Sort(steps)
	s.Step = steps[len(steps)/2]
	return s, nil
}

// read returns the rows of a CSV file after its header.
func read(file string) ([][]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, err
	}
	return rows[min(1, len(rows)):], nil
}

// stamp reads the two forms of time that the files have.
func stamp(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Parse(time.DateTime, text)
}
