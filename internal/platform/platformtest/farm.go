package platformtest

import (
	"context"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func (s *suite) role() spec.Role { return spec.Role{Farm: s.farm, Name: "web", Behavior: "base"} }

func openTwice(s *suite) {
	if s.network != (platform.Network{}) && (s.network.ListenHost == "" || s.network.AdvertiseHost == "") {
		s.Errorf("the network cannot be reached: %+v", s.network) // an empty one is a platform's where nobody listens
	}
	again, err := s.platform.Open(s.ctx)
	if err != nil || again != s.network {
		s.Errorf("opening again gives %+v, %v; it was %+v", again, err, s.network)
	}
	other, err := s.open(s.farm).Open(s.ctx)
	if err != nil || other != s.network {
		s.Errorf("another process opens %+v, %v; it was %+v", other, err, s.network)
	}
}

func hintsEnd(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	hints := s.platform.Events(ctx)
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-hints:
			if !open {
				return
			}
		case <-deadline:
			s.Fatal("the channel of hints outlives its context")
		}
	}
}

func volumesOutlive(s *suite) {
	id, err := s.platform.EnsureVolume(s.ctx, "web", "web-1")
	if err != nil {
		s.Fatalf("EnsureVolume: %v", err)
	}
	if again, err := s.platform.EnsureVolume(s.ctx, "web", "web-1"); err != nil || again != id {
		s.Errorf("EnsureVolume again gives %q, %v; it was %q", again, err, id)
	}
	want := platform.Volume{ID: id, Role: "web", Instance: "web-1"}
	if got := s.volumes(s.platform); len(got) != 1 || got[0] != want {
		s.Errorf("ListVolumes gives %+v, want %+v", got, want)
	}

	l := s.request(s.farm, 0)
	l.Volume, l.VolumePath = id, "/data"
	m := s.launch(s.platform, l)
	s.becomes(s.platform, m.ID, platform.Up)
	if s.h.WriteFile != nil {
		s.h.WriteFile(s.T, m, "/data/kept", "still here")
	}
	s.terminate(s.platform, m.ID, grace)
	s.gone(s.platform, m.ID)
	if got := s.volumes(s.platform); len(got) != 1 || got[0] != want {
		s.Errorf("after its machine went, ListVolumes gives %+v, want %+v", got, want)
	}
	if s.h.ReadFile != nil {
		l.Token += "-next"
		next := s.launch(s.platform, l)
		s.becomes(s.platform, next.ID, platform.Up)
		if got := s.h.ReadFile(s.T, next, "/data/kept"); got != "still here" {
			s.Errorf("the next machine reads %q from the volume", got)
		}
		s.terminate(s.platform, next.ID, grace)
	}

	for range 2 {
		if err := s.platform.DeleteVolume(s.ctx, id); err != nil {
			s.Errorf("DeleteVolume: %v", err)
		}
	}
	if err := s.platform.DeleteVolume(s.ctx, "no-such-volume"); err != nil {
		s.Errorf("DeleteVolume of an unknown one: %v", err)
	}
	if got := s.volumes(s.platform); len(got) != 0 {
		s.Errorf("deleted, but ListVolumes gives %+v", got)
	}
}

func (s *suite) volumes(p platform.Platform) []platform.Volume {
	s.Helper()
	got, err := p.ListVolumes(s.ctx)
	if err != nil {
		s.Fatalf("ListVolumes: %v", err)
	}
	return got
}

func otherFarmAlone(s *suite) {
	name := s.farm + "-other"
	other := s.open(name)
	if _, err := other.Open(s.ctx); err != nil {
		s.Fatalf("Open of the other farm: %v", err)
	}
	l := s.request(name, 0)
	m := s.launch(other, l)
	volume, err := other.EnsureVolume(s.ctx, "web", "web-1")
	if err != nil {
		s.Fatalf("EnsureVolume of the other farm: %v", err)
	}
	s.becomes(other, m.ID, platform.Up)

	if got := s.list(s.platform); len(got) != 0 {
		s.Errorf("the farm lists the other's machines: %+v", got)
	}
	if got := s.volumes(s.platform); len(got) != 0 {
		s.Errorf("the farm lists the other's volumes: %+v", got)
	}
	if _, err := s.platform.Launch(s.ctx, l); err == nil {
		s.Error("the farm launches a machine for the other")
	}
	s.terminate(s.platform, m.ID, 0)
	if lines, err := s.platform.Output(s.ctx, m.ID, 10); len(lines) > 0 || err != nil {
		s.Errorf("the farm reads the other's output: %q, %v", lines, err)
	}
	if err := s.platform.DeleteVolume(s.ctx, volume); err != nil {
		s.Errorf("DeleteVolume of the other farm's, which is unknown here: %v", err)
	}
	if err := s.platform.Destroy(s.ctx); err != nil {
		s.Errorf("Destroy: %v", err)
	}
	if got := s.one(other, m.ID); got.Status != platform.Up {
		s.Errorf("the farm did this to the other's machine: %+v", got)
	}
	if got := s.volumes(other); len(got) != 1 || got[0].ID != volume {
		s.Errorf("the farm did this to the other's volumes: %+v", got)
	}
	s.launch(other, s.request(name, 1)) // its network stands
}

func destroyNeedsNoMachines(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	err := s.platform.Destroy(s.ctx)
	if err == nil || !strings.Contains(err.Error(), "web-1") {
		s.Errorf("Destroy with a machine left gives %v, want an error that names web-1", err)
	}
	s.becomes(s.platform, m.ID, platform.Up)
}

func destroyLeavesNothing(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	s.terminate(s.platform, m.ID, grace)
	s.gone(s.platform, m.ID)
	for range 2 {
		if err := s.platform.Destroy(s.ctx); err != nil {
			s.Fatalf("Destroy: %v", err)
		}
	}
	if got := s.list(s.platform); len(got) != 0 {
		s.Errorf("left behind: %+v", got)
	}
	again, err := s.platform.Open(s.ctx)
	if err != nil || again != s.network {
		s.Errorf("opening what was destroyed gives %+v, %v; it was %+v", again, err, s.network)
	}
	s.launch(s.platform, s.request(s.farm, 0))
}

func anotherProcessAdopts(s *suite) {
	l := s.request(s.farm, 0)
	m := s.launch(s.platform, l)
	if err := s.platform.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	next := s.open(s.farm)
	if _, err := next.Open(s.ctx); err != nil {
		s.Fatalf("Open: %v", err)
	}
	if got := s.becomes(next, m.ID, platform.Up); got.Token != l.Token {
		s.Errorf("it lists %+v", got)
	}
	if again := s.launch(next, l); again.ID != m.ID {
		s.Errorf("launching the token again made %s beside %s", again.ID, m.ID)
	}
	s.terminate(next, m.ID, grace)
	s.gone(next, m.ID)
	if got := s.list(next); len(got) != 0 {
		s.Errorf("ended by the other process, but there is %+v", got)
	}
}
