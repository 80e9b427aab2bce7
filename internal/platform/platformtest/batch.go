package platformtest

import (
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// batchLaunches holds for every platform: where it takes no batches, its caller launches one by one.
func batchLaunches(s *suite) {
	ls := []platform.Launch{s.request(s.farm, 0), s.request(s.farm, 1)}
	ids := map[string]bool{}
	for i, r := range s.launchAll(ls) {
		if r.Err != nil {
			s.Fatalf("launching %s: %v", ls[i].Instance, r.Err)
		}
		if r.Machine.Instance != ls[i].Instance || r.Machine.Token != ls[i].Token || r.Machine.Generation != ls[i].Generation {
			s.Errorf("the answer to %+v is %+v: answers are in the order of launches", ls[i], r.Machine)
		}
		ids[r.Machine.ID] = true
		s.becomes(s.platform, r.Machine.ID, platform.Up)
	}
	if len(ids) != len(ls) {
		s.Errorf("%d launches gave the machines %v", len(ls), ids)
	}
	// A token is the same machine in other company, too.
	first := s.launch(s.platform, ls[0])
	if again := s.launchAll([]platform.Launch{ls[1], ls[0]}); again[1].Machine.ID != first.ID || !ids[again[0].Machine.ID] {
		s.Errorf("launched again in another order they are %+v; the first was %s, all were %v", again, first.ID, ids)
	}
	if all := s.list(s.platform); len(all) != len(ls) {
		s.Errorf("there are %d machines: %+v", len(all), all)
	}
}

func (s *suite) launchAll(ls []platform.Launch) []platform.Result {
	if b, ok := s.platform.(platform.Batcher); ok {
		return b.LaunchAll(s.ctx, ls)
	}
	var rs []platform.Result
	for _, l := range ls {
		m, err := s.platform.Launch(s.ctx, l)
		rs = append(rs, platform.Result{Machine: m, Err: err})
	}
	return rs
}
