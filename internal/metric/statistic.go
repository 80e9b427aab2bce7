package metric

import (
	"math"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// statistic makes one number of a window that is not empty: the mean for "" and "avg". Percentiles are by nearest rank:
// always a value that was measured.
func statistic(name string, w []point) float64 {
	switch name {
	case "", "avg":
		return mean(w)
	case "sum":
		sum := 0.0
		for _, p := range w {
			sum += p.value
		}
		return sum
	case "min":
		return slices.MinFunc(w, byValue).value
	case "max":
		return slices.MaxFunc(w, byValue).value
	}
	percent, ok := spec.Percentile(name)
	if !ok {
		return math.NaN() // refused at plan; the engine takes it for no measurement
	}
	sorted := slices.SortedFunc(slices.Values(w), byValue)
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1].value
}

func byValue(a, b point) int {
	switch {
	case a.value < b.value:
		return -1
	case a.value > b.value:
		return 1
	}
	return 0
}
