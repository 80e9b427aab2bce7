package agent_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/dockertest"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/docker"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/gateway"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

const (
	testImage = "farmhand-lamp:bookworm"
	// bootTime bounds waiting for a machine. It is no expectation: a test that fails by it was stuck.
	bootTime = 2 * time.Minute
)

// farm is a farm without sidecar: real machines, gateway and store, and a test that writes what a sidecar would.
type farm struct {
	*testing.T
	name, zone, subnet string
	store              *sqlite.Store
	blobs              *dirblobs.Blobs
	docker             *docker.Docker
	network            platform.Network
	gateway            string
	nameserver         string
	roles              map[string]spec.Role

	mu       sync.Mutex
	topology state.Topology
	machines map[string]platform.Machine
	stopGate func()
}

// newFarm makes one in a /24 of its own and removes it afterwards. It skips where there is no engine or no image.
func newFarm(t *testing.T) *farm {
	t.Helper()
	if testing.Short() {
		t.Skip("real servers are not started with -short")
	}
	f := &farm{T: t, name: fmt.Sprintf("agenttest%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:4])),
		zone: "shop.internal", subnet: freeSubnet(t), roles: map[string]spec.Role{}, machines: map[string]platform.Machine{}}
	f.topology = state.Topology{Farm: f.name, Zone: f.zone, Roles: map[string]state.RoleTopology{}}
	var err error
	f.docker, err = docker.New(docker.Options{
		Farm:        spec.Farm{Name: f.name, Zone: f.zone, Docker: &spec.Docker{Subnet: f.subnet + ".0/24", Image: testImage}},
		AgentBinary: agentBinary(t), Log: slog.New(slog.DiscardHandler),
	})
	f.must(err)
	if err := f.docker.Check(t.Context(), spec.Role{Farm: f.name, Name: "web"}); err != nil {
		t.Skipf("no container engine with image %s: %v", testImage, err)
	}
	f.network, err = f.docker.Open(t.Context())
	f.must(err)
	t.Cleanup(f.remove)

	dir := t.TempDir()
	f.store, err = sqlite.Open(t.Context(), filepath.Join(dir, "farmhand.db"))
	f.must(err)
	t.Cleanup(func() { f.store.Close() })
	f.blobs, err = dirblobs.Open(filepath.Join(dir, "blobs"))
	f.must(err)
	f.openGateway("0")
	f.serveNames()
	f.publish()
	return f
}

// freeSubnet is the first three numbers of a /24 that no network of the default engine has.
func freeSubnet(t *testing.T) string {
	t.Helper()
	c, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	subnet, err := dockertest.FreeSubnet(t.Context(), c, "10.203.0.0/16", 24)
	if err != nil {
		return "10.203.0" // another engine, or none: the platform finds it, or says so
	}
	return strings.TrimSuffix(subnet.Addr().String(), ".0")
}

func (f *farm) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *farm) remove() {
	ctx := context.Background()
	machines, err := f.docker.List(ctx)
	if err != nil {
		f.Errorf("cleaning up: %v", err)
	}
	var all sync.WaitGroup
	for _, m := range machines {
		if f.Failed() {
			out, _ := f.docker.Output(ctx, m.ID, 40)
			f.Logf("%s printed:\n%s", m.Instance, strings.Join(out, "\n"))
		}
		all.Go(func() { f.docker.Terminate(ctx, m.ID, 0) })
	}
	all.Wait()
	volumes, err := f.docker.ListVolumes(ctx)
	if err != nil {
		f.Errorf("cleaning up: %v", err)
	}
	for _, v := range volumes {
		if err := f.docker.DeleteVolume(ctx, v.ID); err != nil {
			f.Errorf("cleaning up: %v", err)
		}
	}
	if err := f.docker.Destroy(ctx); err != nil {
		f.Errorf("cleaning up: %v", err)
	}
	f.docker.Close()
}

// openGateway opens it at a port; closeGateway is the sidecar going away.
func (f *farm) openGateway(port string) {
	f.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(f.network.ListenHost, port))
	f.must(err)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	f.gateway = net.JoinHostPort(f.network.AdvertiseHost, port)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		gateway.NewServer(f.store, f.blobs, f.name, gateway.Options{}).Serve(ctx, l)
	}()
	f.stopGate = sync.OnceFunc(func() { stop(); <-done })
	f.Cleanup(f.stopGate)
}

// serveNames answers role.zone from the topology.
func (f *farm) serveNames() {
	packets, err := net.ListenPacket("udp", net.JoinHostPort(f.network.ListenHost, "0"))
	f.must(err)
	_, port, _ := net.SplitHostPort(packets.LocalAddr().String())
	f.nameserver = net.JoinHostPort(f.network.AdvertiseHost, port)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		role := strings.TrimPrefix(strings.TrimSuffix(q.Question[0].Name, "."+f.zone+"."), "primary.") // of one server
		f.mu.Lock()
		defer f.mu.Unlock()
		if q.Question[0].Qtype == dns.TypeA {
			for _, m := range f.topology.Roles[role].Instances {
				a.Answer = append(a.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.ParseIP(m.Address)})
			}
		}
		w.WriteMsg(a)
	})}
	go server.ActivateAndServe()
	f.Cleanup(func() { server.Shutdown() })
}

// declare makes a role known, none of it serving.
func (f *farm) declare(r spec.Role) {
	f.Helper()
	r.Farm = f.name
	f.roles[r.Name] = r
	b, ok := behaviors.Get(r.Behavior)
	if !ok {
		f.Fatalf("no behavior %q", r.Behavior)
	}
	if secret := b.NewSecret(r); secret != nil {
		_, err := store.PutJSON(f.Context(), f.store, state.SecretKey(f.name, r.Name), secret)
		f.must(err)
	}
	f.change(func(t state.Topology) {
		of := state.RoleTopology{Behavior: r.Behavior, Settings: r.Settings}
		if r.HealthCheck.HTTP != nil {
			of.HealthPath = r.HealthCheck.HTTP.Path
		}
		t.Roles[r.Name] = of
	})
}

// change changes the topology and publishes it.
func (f *farm) change(how func(state.Topology)) {
	f.Helper()
	f.mu.Lock()
	how(f.topology)
	f.mu.Unlock()
	f.publish()
}

func (f *farm) publish() store.Revision {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := store.PutJSON(f.Context(), f.store, state.TopologyKey(f.name), f.topology)
	f.must(err)
	return r
}

// serving puts instances of a role into the topology, and only these.
func (f *farm) serving(role string, indexes ...int) {
	f.Helper()
	var members []state.Member
	for _, i := range indexes {
		name := state.InstanceName(role, i)
		members = append(members, state.Member{Name: name, Index: i, Address: f.address(name)})
	}
	f.change(func(t state.Topology) {
		of := t.Roles[role]
		of.Instances = members
		t.Roles[role] = of
	})
}

func (f *farm) address(instance string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machines[instance].Address
}

// launch starts an instance and returns when; it does not wait for it.
func (f *farm) launch(role string, index, host int, app *spec.Application) time.Time {
	f.Helper()
	r, name, token := f.roles[role], state.InstanceName(role, index), rand.Text()
	address := fmt.Sprintf("%s.%d", f.subnet, host)
	_, err := store.PutJSON(f.Context(), f.store, state.AssignmentKey(f.name, name), state.Assignment{
		Farm: f.name, Zone: f.zone, Role: r, Index: index, Address: address, Token: token, Nameserver: f.nameserver, Application: app,
	})
	f.must(err)
	_, err = f.store.Put(f.Context(), state.TokenKey(f.name, name), []byte(gateway.HashToken(token)))
	f.must(err)
	l := platform.Launch{Farm: f.name, Role: role, Instance: name, Token: token, Image: r.Image, Address: address,
		Bootstrap: platform.Bootstrap{Farm: f.name, Instance: name, Gateway: f.gateway, Secret: token}}
	if b, _ := behaviors.Get(r.Behavior); b.Traits().Stateful {
		l.VolumePath = b.Traits().VolumePath
		l.Volume, err = f.docker.EnsureVolume(f.Context(), role, name)
		f.must(err)
	}
	if b, _ := behaviors.Get(r.Behavior); b.Traits().Replicated {
		f.elect(role, name, token, address)
	}
	m, err := f.docker.Launch(f.Context(), l)
	f.must(err)
	f.mu.Lock()
	f.machines[name] = m
	f.mu.Unlock()
	return m.Launched
}

// elect makes an instance the only server of its role's database, as the sidecar would. The term stays: in a newer one than it
// was written in, data drops what only its log holds, which is for a server that another one took over from.
func (f *farm) elect(role, name, token, address string) {
	f.Helper()
	key := state.DatabaseKey(f.name, role)
	d, _, err := store.GetJSON[state.Database](f.Context(), f.store, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.Fatal(err)
	}
	first := d.Term == 0
	d.Term = 1
	d.Primary, d.PrimaryToken, d.PrimaryAddress, d.Lease = name, token, address, 5*time.Second
	d.Orders = map[string]state.DatabaseOrder{name: {Seq: d.Orders[name].Seq + 1, Term: 1, Office: state.OfficePrimary, First: first, Alone: true, Token: token}}
	_, err = store.PutJSON(f.Context(), f.store, key, d)
	f.must(err)
}

// await returns the instance's report as soon as it is as wanted.
func (f *farm) await(instance, what string, wanted func(state.Report) bool) state.Report {
	f.Helper()
	f.mu.Lock()
	token := f.machines[instance].Token
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(f.Context(), bootTime)
	defer cancel()
	hints, err := f.store.Watch(ctx, state.ReportKey(f.name, instance))
	f.must(err)
	var last state.Report
	for range hints {
		r, _, err := store.GetJSON[state.Report](ctx, f.store, state.ReportKey(f.name, instance))
		if err == nil && r.Token == token {
			if last = r; wanted(r) {
				return r
			}
		}
	}
	f.Fatalf("%s: never %s; its last report: %+v", instance, what, last)
	return last
}

// awaitServing returns when the instance serves, having said how long after start that was.
func (f *farm) awaitServing(instance string, start time.Time) {
	f.Helper()
	r := f.await(instance, "serving", func(r state.Report) bool {
		if r.Boot.Failed != "" {
			f.Fatalf("%s: %s: %s\n%s", instance, r.Boot.Step, r.Boot.Failed, strings.Join(r.Boot.Log, "\n"))
		}
		return r.Serving()
	})
	var since time.Time
	for _, c := range r.Checks {
		if c.Since.After(since) {
			since = c.Since
		}
	}
	f.Logf("%s served %.2f s after its container started", instance, since.Sub(start).Seconds())
}

// release packs files as an application.
func (f *farm) release(files map[string]string, root string) *spec.Application {
	f.Helper()
	name, size, err := f.blobs.PutBlob(f.Context(), bytes.NewReader(archive(f.T, files)))
	f.must(err)
	return &spec.Application{Name: "site", Release: name, Bytes: size, DocumentRoot: root}
}

// exec runs a program on an instance and returns what it printed.
func (f *farm) exec(instance string, args ...string) string {
	f.Helper()
	f.mu.Lock()
	id := f.machines[instance].ID
	f.mu.Unlock()
	out, err := exec.Command("docker", append([]string{"exec", id}, args...)...).CombinedOutput()
	if err != nil {
		f.Fatalf("%s on %s: %v: %s", args, instance, err, out)
	}
	return strings.TrimSpace(string(out))
}

// kill ends a machine as a power cut would, and removes what is left of it.
func (f *farm) kill(instance string) {
	f.Helper()
	f.mu.Lock()
	id := f.machines[instance].ID
	f.mu.Unlock()
	if out, err := exec.Command("docker", "kill", id).CombinedOutput(); err != nil {
		f.Fatalf("killing %s: %v: %s", instance, err, out)
	}
	f.must(f.docker.Terminate(f.Context(), id, 0))
}

// printed are the last lines that an instance printed.
func (f *farm) printed(instance string) string {
	f.Helper()
	f.mu.Lock()
	id := f.machines[instance].ID
	f.mu.Unlock()
	out, err := f.docker.Output(f.Context(), id, 200)
	f.must(err)
	return strings.Join(out, "\n")
}

// end ends a machine as the sidecar does, and returns how long that took.
func (f *farm) end(instance string) time.Duration {
	f.Helper()
	f.mu.Lock()
	id := f.machines[instance].ID
	f.mu.Unlock()
	at := time.Now()
	f.must(f.docker.Terminate(f.Context(), id, 30*time.Second))
	return time.Since(at)
}

// page gets one page; every call is a connection of its own.
func page(ctx context.Context, url string) (body string, header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %.200s", resp.Status, b)
	}
	return string(b), resp.Header, err
}

// eventually asks until ok is satisfied; the last error is the test's.
func (f *farm) eventually(what string, ok func() error) {
	f.Helper()
	err := errors.New("not asked")
	for end := time.Now().Add(bootTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	f.Fatalf("%s: %v", what, err)
}

// agentBinary builds the agent once for all tests, as it is built for an instance.
func agentBinary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "farmhand")
	// What a release has for instances.
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../../sidecar/farmhand-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w: %s", err, out)
	}
	return path, nil
})

// binaries is where build puts what it builds; removed by TestMain.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "farmhand-agent-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
