package platformtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// secret stands in every bootstrap that the suite hands out, to be looked for where it must not be.
const secret = "bootstrap-secret-3f9a1c"

// Run runs the contract. Subtests use farms of their own and leave nothing behind.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"open twice is one network", openTwice},
		{"a launch is listed with its tags", launchIsListed},
		{"a token launches once", tokenLaunchesOnce},
		{"launches of one token at once make one machine", concurrentLaunches},
		{"a machine that died is listed as stopped", diedIsStopped},
		{"a dead machine's address serves its successor", addressServesSuccessor},
		{"a death gives a hint", deathHints},
		{"hints end with their context", hintsEnd},
		{"terminating is idempotent", terminateIdempotent},
		{"output is told", outputTold},
		{"volumes outlive machines", volumesOutlive},
		{"a missing image is invalid", missingImage},
		{"another farm's things are left alone", otherFarmAlone},
		{"the bootstrap secret is told to nobody", secretStaysSecret},
		{"destroying is idempotent and leaves nothing", destroyLeavesNothing},
		{"destroying waits for machines to be gone", destroyNeedsNoMachines},
		{"another process adopts what there is", anotherProcessAdopts},
		{"a batch is launched as its members are", batchLaunches},
		{"a snapshot shows its moment", snapshotShowsItsMoment},
		{"a snapshot of a name is taken once", snapshotTakenOnce},
		{"a snapshot of nothing is invalid", snapshotOfNothing},
		{"volumes are made of snapshots", volumesOfSnapshots},
		{"snapshots outlive volume and farm", snapshotsOutlive},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(newSuite(t, h)) })
	}
}

// suite is one subtest's farm.
type suite struct {
	*testing.T
	h        Harness
	ctx      context.Context
	farm     string
	platform platform.Platform
	network  platform.Network
}

// farms counts the farms of this process, so that each subtest has a name of its own.
var farms int

func newSuite(t *testing.T, h Harness) *suite {
	farms++
	s := &suite{T: t, h: h, ctx: t.Context(), farm: fmt.Sprintf("%s-%d", h.Farm, farms)}
	s.platform = s.open(s.farm)
	n, err := s.platform.Open(s.ctx)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	s.network = n
	return s
}

// open makes a platform for a farm and cleans up after it.
func (s *suite) open(farm string) platform.Platform {
	p := s.h.Open(s.T, farm)
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		machines, err := p.List(ctx)
		for _, m := range machines {
			if m.Status != platform.Ending {
				err = errors.Join(err, p.Terminate(ctx, m.ID, 0))
			}
		}
		if p, ok := p.(platform.Snapshotter); ok {
			shots, listErr := p.ListSnapshots(ctx)
			err = errors.Join(err, listErr)
			for _, shot := range shots {
				err = errors.Join(err, p.DeleteSnapshot(ctx, shot.ID))
			}
		}
		volumes, listErr := p.ListVolumes(ctx)
		err = errors.Join(err, listErr)
		for _, v := range volumes {
			err = errors.Join(err, p.DeleteVolume(ctx, v.ID))
		}
		if err := errors.Join(err, p.Destroy(ctx), p.Close()); err != nil {
			s.Errorf("cleaning up farm %s: %v", farm, err)
		}
	})
	return p
}

// request is the launch of the n-th machine of the subtest's farm.
func (s *suite) request(farm string, n int) platform.Launch {
	name := fmt.Sprintf("web-%d", n+1)
	return platform.Launch{
		Farm: farm, Role: "web", Instance: name, Token: fmt.Sprintf("token-of-%s-%s", farm, name), Generation: "g1",
		Image: s.h.Image, Address: s.h.Address(farm, n),
		Bootstrap: platform.Bootstrap{Farm: farm, Instance: name, Gateway: "192.0.2.1:7000", Secret: secret},
	}
}

func (s *suite) launch(p platform.Platform, l platform.Launch) platform.Machine {
	s.Helper()
	m, err := p.Launch(s.ctx, l)
	if err != nil {
		s.Fatalf("Launch(%s): %v", l.Instance, err)
	}
	return m
}

func (s *suite) list(p platform.Platform) []platform.Machine {
	s.Helper()
	ms, err := p.List(s.ctx)
	if err != nil {
		s.Fatalf("List: %v", err)
	}
	return ms
}

// one returns the machine with the id, which must be listed once.
func (s *suite) one(p platform.Platform, id string) platform.Machine {
	s.Helper()
	var found []platform.Machine
	all := s.list(p)
	for _, m := range all {
		if m.ID == id {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		s.Fatalf("machine %s is listed %d times among %+v", id, len(found), all)
	}
	return found[0]
}

// becomes waits until the machine has the status.
func (s *suite) becomes(p platform.Platform, id string, want platform.Status) platform.Machine {
	s.Helper()
	var m platform.Machine
	eventually(s.T, fmt.Sprintf("machine %s becomes %s", id, want), func() (bool, string) {
		m = s.one(p, id)
		return m.Status == want, fmt.Sprintf("%+v", m)
	})
	return m
}

// gone waits until a machine that was ended is no more listed; until then it is listed as ending.
func (s *suite) gone(p platform.Platform, id string) {
	s.Helper()
	eventually(s.T, fmt.Sprintf("machine %s is gone", id), func() (bool, string) {
		for _, m := range s.list(p) {
			if m.ID == id {
				if m.Status != platform.Ending {
					s.Fatalf("it was ended, and is %+v", m)
				}
				return false, fmt.Sprintf("%+v", m)
			}
		}
		return true, ""
	})
}

func (s *suite) terminate(p platform.Platform, id string, grace time.Duration) {
	s.Helper()
	if err := p.Terminate(s.ctx, id, grace); err != nil {
		s.Fatalf("Terminate(%s): %v", id, err)
	}
}
