package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read returns all points of a file, and the first error.
func read(path string, o Options) ([]Point, error) {
	s, err := Open(path, o)
	if err != nil {
		return nil, err
	}
	return all(s)
}

func all(s Source) (points []Point, err error) {
	r, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return points, err
		}
		points = append(points, p)
	}
}

func said(points []Point) string {
	var b strings.Builder
	for _, p := range points {
		fmt.Fprintf(&b, "%s=%g ", p.At.UTC().Format("15:04:05"), p.Value)
	}
	return strings.TrimSpace(b.String())
}

func TestFormsOfTraces(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		o                   Options
		want                string
	}{
		{"no names", "a.csv", "2026-03-02T09:00:00Z,1\n2026-03-02T09:01:00Z,2.5\n", Options{}, "09:00:00=1 09:01:00=2.5"},
		{"another zone", "a.csv", "2026-03-02T10:00:00+01:00,1\n2026-03-02T09:01:00Z,2\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"seconds", "a.csv", "1772442000,1\n1772442060,2\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"milliseconds", "a.csv", "1772442000000,1\n1772442060000,2\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"microseconds", "a.csv", "1772442000000000,1\n1772442060000000,2\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"names, a comment, blanks and a byte order mark", "a.csv", "\xef\xbb\xbf# week 9\nTime, Demand\n2026-03-02T09:00:00Z, 1\n2026-03-02T09:01:00Z, 2\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"columns in any order", "a.csv", "host,requests,timestamp\na,1,1772442000\na,2,1772442060\n", Options{}, "09:00:00=1 09:01:00=2"},
		{"a column that is named", "a.csv", "time,in,out\n1772442000,1,5\n1772442060,2,6\n", Options{Column: "out"}, "09:00:00=5 09:01:00=6"},
		{"a metric and its servers", "a.csv", "time,cpu,servers\n1772442000,50,4\n1772442060,60,5\n", Options{PerServer: true, Scale: 0.01}, "09:00:00=2 09:01:00=3"},
		{"a metric of a known number of servers", "a.csv", "time,load\n1772442000,1.5\n1772442060,2\n", Options{PerServer: true, Servers: 4}, "09:00:00=6 09:01:00=8"},
		{
			"aws cloudwatch get-metric-statistics, in no order", "a.json",
			`{"Label":"CPUUtilization","Datapoints":[{"Timestamp":"2026-03-02T09:01:00+00:00","Average":60.0,"Unit":"Percent"},{"Timestamp":"2026-03-02T09:00:00+00:00","Average":40.0,"Unit":"Percent"}]}`,
			Options{PerServer: true, Servers: 5, Scale: 0.01}, "09:00:00=2 09:01:00=3",
		},
		{
			"aws cloudwatch get-metric-data, newest first", "a.json",
			`{"MetricDataResults":[{"Id":"m1","Label":"RequestCount","Timestamps":["2026-03-02T09:01:00+00:00","2026-03-02T09:00:00+00:00"],"Values":[20,10],"StatusCode":"Complete"}],"Messages":[]}`,
			Options{}, "09:00:00=10 09:01:00=20",
		},
		{
			"one of two metrics", "a.json",
			`{"MetricDataResults":[{"Id":"m1","Label":"a","Timestamps":[],"Values":[],"StatusCode":"Complete"},{"Id":"m2","Label":"b","Timestamps":["2026-03-02T09:00:00Z","2026-03-02T09:01:00Z"],"Values":[20,10],"StatusCode":"Complete"}]}`,
			Options{Series: "m2"}, "09:00:00=20 09:01:00=10",
		},
		{
			"Prometheus", "a.json",
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"web"},"values":[[1772442000.781,"1.5"],[1772442060.781,"2"]]}]}}`,
			Options{}, "09:00:00=1.5 09:01:00=2",
		},
		{"gaps held", "a.csv", "1772442000,1\n1772442060,2\n1772442240,5\n", Options{Gaps: GapsHold}, "09:00:00=1 09:01:00=2 09:04:00=5"},
		{"gaps filled by zero", "a.csv", "1772442000,1\n1772442060,2\n1772442240,5\n", Options{Gaps: GapsZero}, "09:00:00=1 09:01:00=2 09:02:00=0 09:03:00=0 09:04:00=5"},
		{"gaps filled by a line", "a.csv", "1772442000,1\n1772442060,2\n1772442240,5\n", Options{Gaps: GapsLinear}, "09:00:00=1 09:01:00=2 09:02:00=3 09:03:00=4 09:04:00=5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			points, err := read(write(t, c.file, c.content), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := said(points); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatCannotBeTrueIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, content string
		o             Options
		want          []string
	}{
		{"empty", "", Options{}, []string{"is empty", "rows of time and value"}},
		{"one column", "2026-03-02T09:00:00Z\n", Options{}, []string{"line 1", "one column only"}},
		{"one row", "time,demand\n1772442000,1\n", Options{}, []string{"one point only"}},
		{"names only", "time,demand\n", Options{}, []string{"no point"}},
		{"no time", "time,demand\n1772442000,1\nyesterday,2\n", Options{}, []string{"line 3", `"yesterday" is no time`, "2026-03-02T09:00:00Z"}},
		{"first time unreadable", "02.03.2026,1\n03.03.2026,2\n", Options{}, []string{"line 1", "is no time"}},
		{"no number", "time,demand\n1772442000,1\n1772442060,lots\n", Options{}, []string{"line 3", `"lots" is no number`}},
		{"no value", "time,demand\n1772442000,1\n1772442060,\n", Options{}, []string{"line 3", "missing"}},
		{"NaN", "time,demand\n1772442000,1\n1772442060,NaN\n", Options{}, []string{"line 3", "NaN is no number"}},
		{"infinite", "time,demand\n1772442000,1\n1772442060,Inf\n", Options{}, []string{"line 3", "no number"}},
		{"negative", "time,demand\n1772442000,1\n1772442060,-2\n", Options{}, []string{"line 3", "-2 is negative"}},
		{"disorder", "time,demand\n1772442060,1\n1772442000,2\n", Options{}, []string{"line 3", "is earlier than", "sort"}},
		{"twice", "time,demand\n1772442000,1\n1772442060,1\n1772442060,2\n", Options{}, []string{"line 4", "already", "one row per time"}},
		{"gap", "time,demand\n1772442000,1\n1772442060,1\n\n1772442600,2\n", Options{}, []string{"line 5", "8m0s", "1m0s apart", "hold, linear or zero"}},
		{"more columns in a row", "time,demand\n1772442000,1\n1772442060,1,2\n", Options{}, []string{"line 3", "another number of columns"}},
		{"which column", "time,in,out\n1772442000,1,2\n", Options{}, []string{"line 1", "in, out"}},
		{"no such column", "time,in,out\n1772442000,1,2\n", Options{Column: "rps"}, []string{"line 1", `"rps"`, "time, in, out"}},
		{"no names to look in", "1772442000,1\n1772442060,2\n", Options{Column: "rps"}, []string{"line 1", "no line of names"}},
		{"three columns without names", "1772442000,1,2\n", Options{}, []string{"line 1", "3 columns"}},
		{"a metric of nobody knows how many", "time,cpu\n1772442000,1\n1772442060,2\n", Options{PerServer: true}, []string{"servers"}},
		{"half a server", "time,cpu,servers\n1772442000,1,1\n1772442060,2,1.5\n", Options{PerServer: true}, []string{"line 3", "1.5 is no number of servers"}},
		{"an open quote", "time,demand\n1772442000,\"1\n", Options{}, []string{"line"}},
		{"broken JSON", "{\n\"Datapoints\": [\n}", Options{}, []string{"line 3"}},
		{"other JSON", `{"a": 1}`, Options{}, []string{"none of aws cloudwatch"}},
		{"no datapoints", `{"Label":"x","Datapoints":[]}`, Options{}, []string{"no point"}},
		{"two statistics", `{"Datapoints":[{"Timestamp":"2026-03-02T09:00:00Z","Average":1,"Maximum":2}]}`, Options{}, []string{"datapoint 1", "Average, Maximum", "ask CloudWatch for one"}},
		{"two metrics", `{"MetricDataResults":[{"Id":"m1"},{"Id":"m2"}]}`, Options{}, []string{"2 metrics (m1, m2)"}},
		{"a part", `{"MetricDataResults":[{"Id":"m1","StatusCode":"PartialData"}]}`, Options{}, []string{"only a part", "NextToken"}},
		{"null", `{"MetricDataResults":[{"Id":"m1","Timestamps":["2026-03-02T09:00:00Z"],"Values":[null],"StatusCode":"Complete"}]}`, Options{}, []string{"value 1", "null"}},
		{"Prometheus refuses", `{"status":"error","errorType":"bad_data","error":"parse error"}`, Options{}, []string{"refusal", "parse error"}},
		{"Prometheus, one instant", `{"status":"success","data":{"resultType":"vector","result":[]}}`, Options{}, []string{"query_range"}},
		{"Prometheus, nothing", `{"status":"success","data":{"resultType":"matrix","result":[]}}`, Options{}, []string{"no series"}},
		{"Prometheus, two series", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"i":"a"},"values":[]},{"metric":{"i":"b"},"values":[]}]}}`, Options{}, []string{"2 series", `{i="a"}`, "sum(...)"}},
		{"Prometheus, NaN", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"NaN"]]}]}}`, Options{}, []string{"value 2", "NaN is no number"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "a.trace", c.content)
			_, err := read(path, c.o)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range append(c.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none.csv"), t.TempDir()} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Ten million rows are read in as little memory as ten.
func TestMemoryIsBounded(t *testing.T) {
	rows := 200_000
	if os.Getenv("FARMHAND_TEST_LONG") != "" {
		rows = 10_000_000
	}
	path := filepath.Join(t.TempDir(), "long.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "time,demand")
	chunk := make([]byte, 0, 1<<20)
	for i := range rows {
		chunk = fmt.Appendf(chunk, "%d,%d\n", 1772442000+i*10, i%100)
		if len(chunk) > 1<<20-64 || i == rows-1 {
			if _, err := f.Write(chunk); err != nil {
				t.Fatal(err)
			}
			chunk = chunk[:0]
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, highest := 0, uint64(0)
	var mem runtime.MemStats
	for {
		if _, err := r.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		if n++; n%(rows/10) == 0 {
			runtime.GC()
			runtime.ReadMemStats(&mem)
			highest = max(highest, mem.HeapAlloc)
		}
	}
	if n != rows || r.Done() != 1 {
		t.Errorf("%d of %d rows, %v done", n, rows, r.Done())
	}
	if highest > 16<<20 {
		t.Errorf("%d MB in use", highest>>20)
	}
}

func TestFeedTakesTheMeanOverTime(t *testing.T) {
	s, err := Open(write(t, "a.csv", "1772442000,1\n1772442060,4\n1772442120,0\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFeed(r)
	if err != nil {
		t.Fatal(err)
	}
	at := f.Start()
	for _, c := range []struct {
		length time.Duration
		want   float64
	}{{30 * time.Second, 1}, {60 * time.Second, 2.5}, {60 * time.Second, 2}, {30 * time.Second, 0}} {
		v, err := f.Mean(at, at.Add(c.length))
		if err != nil || math.Abs(v-c.want) > 1e-9 {
			t.Errorf("%s: %v, %v; want %v", at.Sub(f.Start()), v, err, c.want)
		}
		at = at.Add(c.length)
	}
	if _, err := f.Mean(at, at.Add(time.Second)); !errors.Is(err, io.EOF) {
		t.Errorf("the last point stands for as long as the one before: %v", err)
	}
}

func TestShapesAreSeeded(t *testing.T) {
	for _, kind := range Shapes() {
		t.Run(kind, func(t *testing.T) {
			s := Shape{Kind: kind, Seed: 5, Length: 48 * time.Hour, Noise: 0.1}
			a, err := all(s)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := all(s)
			s.Seed = 6
			c, _ := all(s)
			if said(a) != said(b) {
				t.Error("the same seed gives another trace")
			}
			if said(a) == said(c) {
				t.Error("another seed gives the same trace")
			}
			if len(a) != 48*360 {
				t.Errorf("%d points", len(a))
			}
			s.Noise = 0
			quiet, _ := all(s)
			low, high := math.Inf(1), 0.0
			for _, p := range quiet {
				low, high = min(low, p.Value), max(high, p.Value)
			}
			if low < 0 || kind != "noisy" && (low < 2-1e-9 || high > 20+1e-9) {
				t.Errorf("from %v to %v, not within 2 to 20", low, high)
			}
			if kind != "flat" && high < 1.5*low {
				t.Errorf("from %v to %v: where is the %s?", low, high, kind)
			}
		})
	}
	for _, s := range []Shape{{Kind: "zigzag"}, {Kind: "flat", Low: 3, High: 2}, {Kind: "flat", Length: time.Second}, {Kind: "flat", Step: 2 * time.Hour}, {Kind: "flat", Noise: math.NaN()}, {Kind: "flat", High: math.Inf(1)}} {
		if _, err := s.Open(); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
