package report

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// Colours of Okabe and Ito, which people of every eyesight tell apart.
var lineColours = []color.Color{
	color.RGBA{R: 0, G: 114, B: 178, A: 255}, color.RGBA{R: 230, G: 159, A: 255}, color.RGBA{R: 86, G: 180, B: 233, A: 255},
	color.RGBA{G: 158, B: 115, A: 255}, color.RGBA{R: 204, G: 121, B: 167, A: 255}, color.RGBA{R: 213, G: 94, A: 255}, color.RGBA{A: 255},
}

// Picture writes the runs as a picture: the servers that the demand would fill to the target as an area, those in
// service as a line for each pilot. format is "svg" or "png".
func Picture(path, format string, r simulate.Report) (err error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, target %s", r.Trace, r.Target)
	p.Y.Label.Text = "servers"
	p.Y.Min = 0
	p.X.Tick.Marker = plot.TimeTicks{Format: timeFormat(r.Results[0]), Time: plot.UTCUnixTime}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())

	for i, result := range r.Results {
		if i == 0 {
			area, err := plotter.NewLine(points(result, func(s world.Stretch) float64 { return s.Needed }))
			if err != nil {
				return fmt.Errorf("drawing the demand: %w", err)
			}
			area.FillColor = color.Gray{Y: 225}
			area.Width = 0
			area.Color = color.Gray{Y: 225}
			p.Add(area)
			p.Legend.Add("demand ÷ target", area)
		}
		line, err := plotter.NewLine(points(result, func(s world.Stretch) float64 { return s.Serving }))
		if err != nil {
			return fmt.Errorf("drawing %s: %w", result.Pilot, err)
		}
		line.StepStyle = plotter.PostStep
		line.Color = lineColours[i%len(lineColours)]
		line.Width = vg.Points(1)
		if i == 0 {
			line.Width = vg.Points(2)
		}
		p.Add(line)
		p.Legend.Add(result.Pilot, line)
	}
	drawn, err := p.WriterTo(28*vg.Centimeter, 12*vg.Centimeter, format)
	if err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	_, err = drawn.WriteTo(io.Writer(f))
	return err
}

func points(r world.Result, value func(world.Stretch) float64) plotter.XYs {
	xys := make(plotter.XYs, len(r.Series))
	for i, s := range r.Series {
		xys[i].X, xys[i].Y = float64(s.At.Unix()), value(s)
	}
	return xys
}

func timeFormat(r world.Result) string {
	if r.End.Sub(r.Start) > 36*time.Hour {
		return "2 Jan\n15:04"
	}
	return "15:04"
}
