package report

import (
	"fmt"
	"os"
	"time"

	"github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// lineColours are those of Okabe and Ito, which people of every eyesight tell apart.
var lineColours = []string{"0072b2", "e69f00", "56b4e9", "009e73", "cc79a7", "d55e00", "000000"}

// Picture writes the runs as a picture: the servers that the demand would fill to the target as an area, those in
// service as a line for each pilot. format is "svg" or "png".
func Picture(path, format string, r simulate.Report) (err error) {
	kind := chart.SVG
	if format == "png" {
		kind = chart.PNG
	}
	drawn := chart.Chart{
		Title: fmt.Sprintf("%s, target %s", r.Trace, r.Target), TitleStyle: chart.Style{FontSize: 11},
		Width: 1100, Height: 480,
		Background: chart.Style{Padding: chart.Box{Top: 40, Left: 130, Right: 20, Bottom: 10}},
		XAxis:      chart.XAxis{ValueFormatter: chart.TimeValueFormatterWithFormat(timeFormat(r.Results[0]))},
		YAxis:      chart.YAxis{Name: "servers", ValueFormatter: func(v any) string { return fmt.Sprintf("%.0f", v) }},
	}
	grey := drawing.ColorFromHex("e1e1e1")
	drawn.Series = append(drawn.Series, series("demand ÷ target", r.Results[0], chart.Style{StrokeColor: grey, FillColor: grey}, func(s world.Stretch) float64 { return s.Needed }))
	highest := 1.0
	for i := len(r.Results) - 1; i >= 0; i-- { // Farmhand's lies on top
		result := r.Results[i]
		style := chart.Style{StrokeColor: drawing.ColorFromHex(lineColours[i%len(lineColours)]), StrokeWidth: 1}
		if i == 0 {
			style.StrokeWidth = 2
		}
		drawn.Series = append(drawn.Series, series(result.Pilot, result, style, func(s world.Stretch) float64 { return s.Serving }))
		for _, s := range result.Series {
			highest = max(highest, s.Needed, s.Serving)
		}
	}
	drawn.YAxis.Range = &chart.ContinuousRange{Min: 0, Max: highest * 1.05}
	drawn.Elements = []chart.Renderable{chart.LegendLeft(&drawn)}

	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := drawn.Render(kind, f); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return nil
}

func series(name string, r world.Result, style chart.Style, value func(world.Stretch) float64) chart.TimeSeries {
	s := chart.TimeSeries{Name: name, Style: style}
	for _, stretch := range r.Series {
		s.XValues, s.YValues = append(s.XValues, stretch.At), append(s.YValues, value(stretch))
	}
	return s
}

func timeFormat(r world.Result) string {
	if r.End.Sub(r.Start) > 36*time.Hour {
		return "2 Jan 15:04"
	}
	return "15:04"
}
