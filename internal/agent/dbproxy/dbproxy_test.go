package dbproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func TestWhereItLeads(t *testing.T) {
	topology := state.RoleTopology{Term: 7, Instances: []state.Member{
		{Name: "mysql-1", Address: "10.0.0.1"}, // not read from: it lags
		{Name: "mysql-2", Address: "10.0.0.2", Primary: true, Reads: true},
		{Name: "mysql-3", Address: "10.0.0.3", Reads: true},
	}}
	exports := map[string]string{"DB_USER": "app", "DB_PASSWORD": "secret", "DB_PORT": "3306"}
	got := Of(spec.MySQLProxy{Mode: spec.ProxySplit, Port: 3306}, topology, exports)
	want := Want{Mode: "split", Port: 3306, User: "app", Password: "secret", Term: 7, Primary: "10.0.0.2:3306", Replicas: []string{"10.0.0.3:3306"}}
	if !got.Equal(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	topology.Instances[1].Primary = false
	if got := Of(spec.MySQLProxy{Mode: spec.ProxySplit, Port: 3306}, topology, exports); got.Primary != "" {
		t.Errorf("with no primary writes go to %s; want nowhere", got.Primary)
	}
	if env := Environment(spec.MySQLProxy{Mode: spec.ProxyPorts, Port: 4000, ReadPort: 4001}); env["DB_HOST"] != "127.0.0.1" || env["DB_PORT"] != "4000" || env["DB_READ_PORT"] != "4001" {
		t.Errorf("applications are told %v", env)
	}
}

// A replica that stays keeps its place, since its sessions hang on that.
func TestPlacesOfReplicas(t *testing.T) {
	var p ports
	p.fill([]string{"a", "b", "c"})
	p.fill([]string{"b", "c", "d"})
	if got := p.slots[:4]; !slices.Equal(got, []string{"d", "b", "c", ""}) {
		t.Errorf("places %q; want d where a was", got)
	}
}

// server takes connections and says its name on each; its sessions stay open.
func server(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			_, _ = io.WriteString(c, name+"\n")
		}
	}()
	return l.Addr().String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// session connects and reads who is there.
func session(port int) (net.Conn, string, error) {
	c, err := net.Dial("tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
	if err != nil {
		return nil, "", err
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 20)
	n, err := c.Read(b)
	if err != nil {
		c.Close()
		return nil, "", err
	}
	return c, strings.TrimSpace(string(b[:n])), nil
}

func eventually(t *testing.T, what string, ask func() (bool, string)) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		ok, status := ask()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s did not come about; at last: %s", what, status)
		case <-tick.C:
		}
	}
}

func leadsTo(port int, name string) func() (bool, string) {
	return func() (bool, string) {
		c, got, err := session(port)
		if err != nil {
			return false, err.Error()
		}
		c.Close()
		return got == name, got
	}
}

// safe lets programs print while the test reads.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// Real HAProxy: writes follow the primary, whose former sessions are ended; reads go to replicas, and to the primary where there is
// none; sessions at a replica that stays are let be; and one that is killed comes back with what is wanted by then.
func TestPortsFollowTheTopology(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("no haproxy on this machine")
	}
	out := &safe{}
	k := &Keeper{Run: process.NewTable(out), Root: t.TempDir(), Out: out}
	t.Cleanup(func() {
		k.Stop(context.Background())
		if t.Failed() {
			t.Log(out)
		}
	})
	one, two, three := server(t, "one"), server(t, "two"), server(t, "three")
	w := Want{Mode: spec.ProxyPorts, Port: freePort(t), ReadPort: freePort(t), Term: 1, Primary: one, Replicas: []string{two, three}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	apply := func() { t.Helper(); next := w; must(k.Apply(t.Context(), &next)) }
	apply()
	eventually(t, "writes at the primary", leadsTo(w.Port, "one"))
	written, name, err := session(w.Port)
	must(err)
	defer written.Close()
	if name != "one" {
		t.Fatalf("writes lead to %s", name)
	}
	var kept net.Conn
	eventually(t, "a session of reads at the replica that stays", func() (bool, string) {
		c, name, err := session(w.ReadPort)
		if err != nil {
			return false, err.Error()
		}
		if name != "three" {
			c.Close()
			return false, name
		}
		kept = c
		return true, ""
	})
	defer kept.Close()

	w.Term, w.Primary, w.Replicas = 2, two, []string{three}
	apply()
	if _, err := written.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the session at the former primary goes on: %v", err)
	}
	eventually(t, "writes at the new primary", leadsTo(w.Port, "two"))
	for range 10 {
		if ok, got := leadsTo(w.ReadPort, "three")(); !ok {
			t.Errorf("reads lead to %s, and three is the only replica", got)
		}
	}
	_ = kept.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := kept.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("the session at the replica that stayed was ended: %v", err)
	}

	w.Replicas = nil
	apply()
	eventually(t, "reads at the primary, since there is no replica", leadsTo(w.ReadPort, "two"))
	w.Term, w.Primary = 3, ""
	apply()
	eventually(t, "no writes while there is no primary", func() (bool, string) {
		c, name, err := session(w.Port)
		if err == nil {
			c.Close()
		}
		return err != nil && !isTimeout(err), fmt.Sprint(name, err)
	})

	// It is killed, and the farm changes meanwhile.
	must(k.service.Signal(9))
	w.Term, w.Primary = 4, three
	eventually(t, "the change", func() (bool, string) {
		next := w
		err := k.Apply(t.Context(), &next)
		return err == nil, fmt.Sprint(err)
	})
	eventually(t, "one that was begun again", leadsTo(w.Port, "three"))
	must(k.Check())

	must(k.Apply(t.Context(), nil))
	if _, _, err := session(w.Port); err == nil {
		t.Error("a proxy that is not wanted any more serves on")
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
