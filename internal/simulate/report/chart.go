package report

import (
	"fmt"
	"io"
	"math"

	"github.com/guptarohit/asciigraph"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// chartHeight is in lines: with the table below it a terminal of 24 lines holds both.
const chartHeight = 10

// Chart draws a run for a terminal of the given width: the servers that the demand would fill to the target, and those
// in service.
func Chart(w io.Writer, r world.Result, width int, colours bool) error {
	const margin = 12 // the axis and its numbers
	width = max(20, width-margin)
	needed, serving := resample(r.Series, width)
	options := []asciigraph.Option{
		asciigraph.Height(chartHeight), asciigraph.LowerBound(0),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fmt.Sprintf("%4.0f", math.Abs(v)) }),
		asciigraph.Caption(fmt.Sprintf("%s on %s, %s to %s", r.Pilot, r.Trace, r.Start.UTC().Format("2 Jan 15:04"), r.End.UTC().Format("2 Jan 15:04 MST"))),
	}
	if colours {
		options = append(options,
			asciigraph.SeriesColors(asciigraph.DarkGray, asciigraph.Green),
			asciigraph.SeriesLegends("servers that the demand fills to the target", "servers in service"))
		_, err := fmt.Fprintln(w, asciigraph.PlotMany([][]float64{needed, serving}, options...))
		return err
	}
	// Two lines of one colour cannot be told apart: one above the other.
	for _, line := range []struct {
		name string
		data []float64
	}{{"servers that the demand fills to the target", needed}, {"servers in service", serving}} {
		top := max(maximum(needed), maximum(serving))
		if _, err := fmt.Fprintf(w, "%s\n%s\n\n", line.name, asciigraph.Plot(line.data, append(options[1:len(options)-1:len(options)-1],
			asciigraph.Height(chartHeight/2), asciigraph.UpperBound(top), asciigraph.LowerBound(0))...)); err != nil {
			return err
		}
	}
	return nil
}

// resample brings the series to n points: of the need the highest, of the servers the mean.
func resample(series []world.Stretch, n int) (needed, serving []float64) {
	n = min(n, len(series))
	for i := range n {
		from, to := i*len(series)/n, (i+1)*len(series)/n
		high, sum := 0.0, 0.0
		for _, s := range series[from:to] {
			high = max(high, s.Needed)
			sum += s.Serving
		}
		needed, serving = append(needed, high), append(serving, sum/float64(to-from))
	}
	return needed, serving
}

func maximum(values []float64) float64 {
	m := 0.0
	for _, v := range values {
		m = max(m, v)
	}
	return m
}
