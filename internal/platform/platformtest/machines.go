package platformtest

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// grace is what the suite gives machines to end; their agents need far less.
const grace = 10 * time.Second

func launchIsListed(s *suite) {
	before := time.Now().Add(-time.Minute) // engines round, and their clock may be another's
	l := s.request(s.farm, 0)
	m := s.launch(s.platform, l)
	listed := s.becomes(s.platform, m.ID, platform.Up)
	for what, got := range map[string]platform.Machine{"Launch": m, "List": listed} {
		got.Status, got.Zone = platform.Up, ""
		if l.Address == "" {
			got.Address = "" // the platform chooses; below
		}
		if got.Launched.Before(before) || got.Launched.After(time.Now().Add(time.Minute)) {
			s.Errorf("%s says it was launched at %s, which is not now", what, got.Launched)
		}
		want := platform.Machine{
			ID: m.ID, Farm: l.Farm, Role: l.Role, Instance: l.Instance, Token: l.Token, Generation: l.Generation,
			Status: platform.Up, Address: l.Address, Launched: got.Launched,
		}
		if got != want {
			s.Errorf("%s returned\n %+v, want\n %+v", what, got, want)
		}
	}
	if listed.Address == "" {
		s.Errorf("a running machine has no address: %+v", listed)
	}
}

func tokenLaunchesOnce(s *suite) {
	l := s.request(s.farm, 0)
	first, second := s.launch(s.platform, l), s.launch(s.platform, l)
	if first.ID != second.ID {
		s.Errorf("the second launch of a token made %s beside %s", second.ID, first.ID)
	}
	if second.Token != l.Token || second.Instance != l.Instance || l.Address != "" && second.Address != l.Address {
		s.Errorf("the second launch returned %+v for %+v", second, l)
	}
	if all := s.list(s.platform); len(all) != 1 {
		s.Errorf("there are %d machines: %+v", len(all), all)
	}
	other := l
	other.Token, other.Instance, other.Address = l.Token+"-2", "web-2", s.h.Address(s.farm, 1)
	if m := s.launch(s.platform, other); m.ID == first.ID {
		s.Errorf("another token's launch returned the first one's machine %s", m.ID)
	}
}

func concurrentLaunches(s *suite) {
	const callers = 4
	l := s.request(s.farm, 0)
	ids := make([]string, callers)
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			m, err := s.platform.Launch(s.ctx, l)
			ids[i], errs[i] = m.ID, err
		})
	}
	all.Wait()
	for i := range callers {
		if errs[i] != nil || ids[i] != ids[0] {
			s.Errorf("caller %d got machine %q and error %v, caller 0 got %q", i, ids[i], errs[i], ids[0])
		}
	}
	if machines := s.list(s.platform); len(machines) != 1 {
		s.Errorf("there are %d machines: %+v", len(machines), machines)
	}
}

func diedIsStopped(s *suite) {
	l := s.request(s.farm, 0)
	m := s.launch(s.platform, l)
	s.becomes(s.platform, m.ID, platform.Up)
	s.h.Kill(s.T, s.farm, m)
	dead := s.becomes(s.platform, m.ID, platform.Stopped)
	if dead.Exit == "" {
		s.Error("a stopped machine does not say why it stopped")
	}
	if dead.Token != l.Token || dead.Instance != l.Instance || dead.Generation != l.Generation {
		s.Errorf("a stopped machine lost its tags: %+v", dead)
	}
	if again := s.launch(s.platform, l); again.ID != m.ID || again.Status != platform.Stopped {
		s.Errorf("launching a dead machine's token gave %+v: the same intent is the same machine, which stays dead", again)
	}
	s.terminate(s.platform, m.ID, grace)
	s.gone(s.platform, m.ID)
	if all := s.list(s.platform); len(all) != 0 {
		s.Errorf("the dead machine is still there: %+v", all)
	}
}

func addressServesSuccessor(s *suite) {
	l := s.request(s.farm, 0)
	dead := s.launch(s.platform, l)
	s.h.Kill(s.T, s.farm, dead)
	s.becomes(s.platform, dead.ID, platform.Stopped)
	next := l
	next.Token += "-next"
	m := s.launch(s.platform, next)
	if got := s.becomes(s.platform, m.ID, platform.Up); got.Address == "" || l.Address != "" && got.Address != l.Address {
		s.Errorf("the successor has address %q, not %q", got.Address, l.Address)
	}
	s.terminate(s.platform, dead.ID, grace)
	if got := s.one(s.platform, m.ID); got.Status != platform.Up {
		s.Errorf("ending the dead one did this to its successor: %+v", got)
	}
}

func deathHints(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	s.becomes(s.platform, m.ID, platform.Up)
	hints := s.platform.Events(s.ctx)
	// Hints may come for other reasons, so what counts is that the death is seen by one who only lists when hinted.
	s.h.Kill(s.T, s.farm, m)
	if s.h.Silent {
		s.becomes(s.platform, m.ID, platform.Stopped) // by looking, as every tick does
		return
	}
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-hints:
			if !open {
				s.Fatal("the channel of hints was closed while its context lived")
			}
			if s.one(s.platform, m.ID).Status == platform.Stopped {
				return
			}
		case <-deadline:
			s.Fatalf("no hint within %s after which the machine was stopped", patience)
		}
	}
}

func terminateIdempotent(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	keep := s.launch(s.platform, s.request(s.farm, 1))
	s.becomes(s.platform, m.ID, platform.Up)
	s.terminate(s.platform, m.ID, grace)
	s.gone(s.platform, m.ID)
	s.terminate(s.platform, m.ID, grace)
	s.terminate(s.platform, "no-such-machine", grace)
	s.terminate(s.platform, "", grace)
	s.becomes(s.platform, keep.ID, platform.Up)
}

func outputTold(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	eventually(s.T, "the machine's output", func() (bool, string) {
		lines, err := s.platform.Output(s.ctx, m.ID, 1)
		if err != nil {
			return false, err.Error()
		}
		return len(lines) == 1 && lines[0] != "" && !strings.Contains(lines[0], "\n"), strings.Join(lines, " / ")
	})
	if lines, err := s.platform.Output(s.ctx, "no-such-machine", 5); len(lines) > 0 || err != nil {
		s.Errorf("the output of an unknown machine is %q, %v", lines, err)
	}
}

func missingImage(s *suite) {
	l := s.request(s.farm, 0)
	l.Image = s.h.MissingImage
	_, err := s.platform.Launch(s.ctx, l)
	checkInvalid(s, "Launch", err)
	if all := s.list(s.platform); len(all) != 0 {
		s.Errorf("the failed launch left %+v", all)
	}
	role := s.role()
	role.Image = s.h.MissingImage
	checkInvalid(s, "Check", s.platform.Check(s.ctx, role))
	role.Image = s.h.Image
	if err := s.platform.Check(s.ctx, role); err != nil {
		s.Errorf("Check of a role that can be launched: %v", err)
	}
}

// checkInvalid wants an ErrInvalid that names the image.
func checkInvalid(s *suite, what string, err error) {
	s.Helper()
	if !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), s.h.MissingImage) {
		s.Errorf("%s of a missing image gives %v, want an ErrInvalid that names %s", what, err, s.h.MissingImage)
	}
}

func secretStaysSecret(s *suite) {
	m := s.launch(s.platform, s.request(s.farm, 0))
	listed := s.becomes(s.platform, m.ID, platform.Up)
	told := map[string]string{"List": strings.Join([]string{listed.ID, listed.Token, listed.Generation, listed.Exit, listed.Zone}, " ")}
	if s.h.Inspect != nil {
		told["inspecting"] = s.h.Inspect(s.T, m)
		if !strings.Contains(told["inspecting"], m.Token) {
			s.Fatalf("inspecting does not even tell the token, so that it proves nothing: %s", told["inspecting"])
		}
	}
	if lines, err := s.platform.Output(s.ctx, m.ID, 1000); err == nil {
		told["Output"] = strings.Join(lines, "\n")
	}
	for by, text := range told {
		if strings.Contains(text, secret) {
			s.Errorf("%s tells the bootstrap secret: %s", by, text)
		}
	}
	if s.h.ReadFile != nil {
		if got := s.h.ReadFile(s.T, m, platform.BootstrapPath); !strings.Contains(got, secret) {
			s.Errorf("the agent does not find its secret in %s: %s", platform.BootstrapPath, got)
		}
	}
	if s.h.FileMode != nil {
		if mode := s.h.FileMode(s.T, m, platform.BootstrapPath); mode != "600" {
			s.Errorf("%s has mode %s, want 600", platform.BootstrapPath, mode)
		}
	}
}
