package spec

import "time"

// Threshold adds or removes a fixed number of servers when the metric has been beyond a line for a whole time without
// a break: the shape of Auto Scaling's first triggers. A breach counts anew after each change that it led to.
type Threshold struct {
	Lower *float64 `json:"lower,omitempty"` // nil: none
	Upper *float64 `json:"upper,omitempty"` // nil: none
	// Period is what one value of the metric is made over: its window, in the triggers' own word.
	Period Duration `json:"period"`
	// BreachDuration is for how long the metric has to be beyond a line.
	BreachDuration Duration `json:"breach_duration"`
	// Increments are below zero where servers are removed and above it where they are added. Which is which follows
	// the metric: of free memory it is too little that adds.
	LowerIncrement int `json:"lower_increment"`
	UpperIncrement int `json:"upper_increment"`
}

const (
	// DefaultBreachDuration is that of as-create-or-update-trigger's examples.
	DefaultBreachDuration = Duration(2 * time.Minute)
	// DefaultLowerIncrement and DefaultUpperIncrement: one at a time, the triggers' usual.
	DefaultLowerIncrement = -1
	DefaultUpperIncrement = 1
)

func (t *Threshold) setDefaults(m *Metric) {
	lower, upper := DefaultLowerIncrement, DefaultUpperIncrement
	if m.Kind == MemoryFree {
		lower, upper = upper, lower
	}
	orDefault(&t.BreachDuration, DefaultBreachDuration)
	orDefault(&t.LowerIncrement, lower)
	orDefault(&t.UpperIncrement, upper)
	orDefault(&t.Period, m.Window)
}

// mirrored is the same about what is left of one, as free memory is of memory in use.
func (t Threshold) mirrored() *Threshold {
	t.Lower, t.Upper = mirrored(t.Upper), mirrored(t.Lower)
	t.LowerIncrement, t.UpperIncrement = t.UpperIncrement, t.LowerIncrement
	return &t
}
