package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// mostJSON is the largest export that is read. CloudWatch gives 100,800 points a call and Prometheus 11,000 a series;
// this holds a hundred times that, and JSON has to be read as a whole.
const mostJSON = 256 << 20

// jsonRaw is an export read and sorted: CloudWatch promises no order.
type jsonRaw struct {
	points []Point
	places []int // of points in the export, counted from 1
	noun   string
	at     int
}

func (r *jsonRaw) next() (Point, error) {
	if r.at == len(r.points) {
		return Point{}, io.EOF
	}
	r.at++
	return r.points[r.at-1], nil
}

func (r *jsonRaw) where() string { return fmt.Sprintf("%s %d", r.noun, r.places[r.at-1]) }
func (r *jsonRaw) done() float64 { return float64(r.at) / float64(max(1, len(r.points))) }
func (r *jsonRaw) Close() error  { return nil }

func (r *jsonRaw) add(p Point) {
	r.points = append(r.points, p)
	r.places = append(r.places, len(r.points))
}

// sort keeps each point with its place.
func (r *jsonRaw) sort() {
	order := slices.Clone(r.places)
	slices.SortStableFunc(order, func(a, b int) int { return r.points[a-1].At.Compare(r.points[b-1].At) })
	points := make([]Point, len(order))
	for i, place := range order {
		points[i] = r.points[place-1]
	}
	r.points, r.places = points, order
}

// export is all of the three forms; which one it is, the keys tell.
type export struct {
	// get-metric-statistics
	Label      string
	Datapoints []map[string]any
	// get-metric-data
	MetricDataResults []struct {
		ID         string `json:"Id"`
		Label      string
		Timestamps []string
		Values     []*float64
		StatusCode string
	}
	NextToken string
	// query_range
	Status string
	Error  string
	Data   *struct {
		ResultType string
		Result     []struct {
			Metric map[string]string
			Values [][2]json.RawMessage
		}
	}
}

func readJSON(in io.Reader, size int64, o Options) (raw, error) {
	if size > mostJSON {
		return nil, fmt.Errorf("%d MB of JSON are more than are read at once: export a shorter time or longer periods, or turn it into CSV (jq -r '...|@csv'), which is streamed", size>>20)
	}
	b, err := io.ReadAll(io.LimitReader(in, mostJSON+1))
	if err != nil {
		return nil, err
	}
	var e export
	if err := json.Unmarshal(bytes.TrimPrefix(b, bom), &e); err != nil {
		return nil, jsonError(b, err)
	}
	var r *jsonRaw
	switch {
	case e.Status != "":
		r, err = e.prometheus()
	case e.MetricDataResults != nil:
		r, err = e.metricData(o)
	case e.Datapoints != nil:
		r, err = e.statistics()
	default:
		return nil, errors.New("is JSON, but none of aws cloudwatch get-metric-data (MetricDataResults), get-metric-statistics (Datapoints) and Prometheus' query_range (status, data)")
	}
	if err != nil {
		return nil, err
	}
	factor := o.Scale
	if o.PerServer {
		if o.Servers <= 0 {
			return nil, errors.New("a metric says nothing of the demand unless it is known over how many servers it is the average: say how many there were")
		}
		factor *= float64(o.Servers)
	}
	for i := range r.points {
		r.points[i].Value *= factor
	}
	r.sort()
	return r, nil
}

// jsonError adds the line.
func jsonError(b []byte, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 || offset > int64(len(b)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(b[:offset], []byte("\n")), err)
}

// statistics reads one of the statistics that were asked for.
func (e *export) statistics() (*jsonRaw, error) {
	r := &jsonRaw{noun: "datapoint"}
	statistic := ""
	for i, d := range e.Datapoints {
		if statistic == "" {
			var found []string
			for k, v := range d {
				if _, number := v.(float64); number {
					found = append(found, k)
				}
			}
			slices.Sort(found)
			if len(found) != 1 {
				return nil, fmt.Errorf("datapoint %d holds %d statistics (%s): ask CloudWatch for one", i+1, len(found), strings.Join(found, ", "))
			}
			statistic = found[0]
		}
		v, ok := d[statistic].(float64)
		if !ok {
			return nil, fmt.Errorf("datapoint %d holds no %s", i+1, statistic)
		}
		text, _ := d["Timestamp"].(string)
		at, err := parseTime(text)
		if err != nil {
			return nil, fmt.Errorf("datapoint %d: %w", i+1, err)
		}
		r.add(Point{at, v})
	}
	return r, nil
}

func (e *export) metricData(o Options) (*jsonRaw, error) {
	var names []string
	chosen := -1
	for i, m := range e.MetricDataResults {
		names = append(names, m.ID)
		if o.Series != "" && (m.ID == o.Series || m.Label == o.Series) {
			chosen = i
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("holds no metric: CloudWatch found none of that name, or not in that region")
	case o.Series == "" && len(names) > 1:
		return nil, fmt.Errorf("holds %d metrics (%s): say which", len(names), strings.Join(names, ", "))
	case o.Series == "":
		chosen = 0
	case chosen < 0:
		return nil, fmt.Errorf("holds no metric %q; there are %s", o.Series, strings.Join(names, ", "))
	}
	m := e.MetricDataResults[chosen]
	if m.StatusCode == "PartialData" || e.NextToken != "" {
		return nil, fmt.Errorf("is only a part of what was asked for (metric %s): repeat the call with the NextToken, or ask for longer periods", m.ID)
	}
	if len(m.Timestamps) != len(m.Values) {
		return nil, fmt.Errorf("metric %s has %d times and %d values", m.ID, len(m.Timestamps), len(m.Values))
	}
	r := &jsonRaw{noun: "value"}
	for i, v := range m.Values {
		at, err := parseTime(m.Timestamps[i])
		if err != nil {
			return nil, fmt.Errorf("value %d of metric %s: %w", i+1, m.ID, err)
		}
		if v == nil {
			return nil, fmt.Errorf("value %d of metric %s is null", i+1, m.ID)
		}
		r.add(Point{at, *v})
	}
	return r, nil
}

func (e *export) prometheus() (*jsonRaw, error) {
	if e.Status != "success" {
		return nil, fmt.Errorf("is Prometheus' refusal and no answer: %s", e.Error)
	}
	if e.Data == nil || e.Data.ResultType != "matrix" {
		return nil, errors.New("is not the answer to a range: ask /api/v1/query_range, with start, end and step")
	}
	switch n := len(e.Data.Result); {
	case n == 0:
		return nil, errors.New("holds no series: the query matches nothing in that time")
	case n > 1:
		return nil, fmt.Errorf("holds %d series where one is meant, %s and %s among them: put sum(...) around the query", n, labels(e.Data.Result[0].Metric), labels(e.Data.Result[1].Metric))
	}
	r := &jsonRaw{noun: "value"}
	for i, v := range e.Data.Result[0].Values {
		var seconds float64
		var text string
		if json.Unmarshal(v[0], &seconds) != nil || json.Unmarshal(v[1], &text) != nil {
			return nil, fmt.Errorf("value %d is no pair of a time and a text: [%s, %s]", i+1, v[0], v[1])
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("value %d: %q is no number", i+1, text)
		}
		r.add(Point{secondsSince1970(seconds), value})
	}
	return r, nil
}

func labels(m map[string]string) string {
	var all []string
	for k, v := range m {
		all = append(all, fmt.Sprintf("%s=%q", k, v))
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ", ") + "}"
}
