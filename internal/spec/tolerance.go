package spec

// outTolerance is the share above the target that is left alone. Far less than below it: what is above the target is
// overload that somebody waits for, and noise is kept out otherwise, by the whole window having to be above the line.
// With ten per cent on both sides, as Kubernetes has it, a role spends most of a slow rise in between.
const outTolerance = 0.01

// TolerateAbove is the share above the target that is left alone: 0.01, or Tolerance where that is less.
func (p Policy) TolerateAbove() float64 { return min(p.Tolerance, outTolerance) }

// OutLine is the level of the metric above which a target policy wants more servers. Target must be set.
func (p Policy) OutLine() float64 { return *p.Target * (1 + p.TolerateAbove()) }
