package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
)

// Instances make each instance of the stand-in for EC2 a container, in a network of its own: what EC2 would do of a machine is done,
// and everything in it is real. The image has python3 as cloud images have. Disks other than the root's are not made.
type Instances struct {
	engine  *Engine
	image   string
	farm    string // label of what is made
	network string
	subnet  netip.Prefix
	service *ec2.Service
	// Endpoint is where the metadata service answers, for all instances; set before the first start.
	Endpoint string

	mu        sync.Mutex
	next      netip.Addr
	addresses map[string]string // instance's id, by address
	ids       map[string]string // container's, by instance's
	ended     map[string]bool   // by container's id: it was told to
	watching  context.CancelFunc
	watched   sync.WaitGroup
}

// NewInstances makes the network. Gateway is this machine's address in it.
func NewInstances(ctx context.Context, e *Engine, farm, subnet, image string) (*Instances, error) {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return nil, err
	}
	b := &Instances{engine: e, image: image, farm: farm, network: "farmhand-ec2-" + farm, subnet: prefix, next: prefix.Addr().Next().Next(),
		addresses: map[string]string{}, ids: map[string]string{}, ended: map[string]bool{}}
	_, err = e.c.NetworkCreate(ctx, b.network, client.NetworkCreateOptions{Driver: "bridge", Labels: map[string]string{labelFarm: farm},
		IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: prefix, Gateway: b.gateway()}}}})
	if err != nil {
		return nil, fmt.Errorf("making a network for instances: %w", err)
	}
	return b, nil
}

func (b *Instances) gateway() netip.Addr { return b.subnet.Addr().Next() }

// Gateway is this machine's address in the instances' network.
func (b *Instances) Gateway() string { return b.gateway().String() }

// Who is the id of the instance at an address, "" for none.
func (b *Instances) Who(address string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addresses[address]
}

// Container is an instance's container.
func (b *Instances) Container(instance string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[instance]
}

// Bind implements ec2.Backing: a container that ends by itself is a machine that went down.
func (b *Instances) Bind(s *ec2.Service) {
	b.service = s
	ctx, stop := context.WithCancel(context.Background())
	b.watching = stop
	events := b.engine.c.Events(ctx, client.EventsListOptions{Filters: ofFarm(b.farm).Add("event", "die")})
	b.watched.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-events.Err:
				if ctx.Err() == nil {
					fmt.Println("instances: no crash is seen any more:", err)
				}
				return
			case e := <-events.Messages:
				b.mu.Lock()
				instance, told := e.Actor.Attributes["farmhand.ec2"], b.ended[e.Actor.ID]
				b.mu.Unlock()
				if instance != "" && !told {
					s.Crash(instance)
				}
			}
		}
	})
}

// firstBoot runs the user data once, as cloud-init does, and stays.
const firstBoot = `[ -e /var/lib/booted ] || { printf %s "$USER_DATA" >/var/lib/user-data && touch /var/lib/booted; }; sh /var/lib/user-data; exec sleep infinity`

// Start implements ec2.Backing.
func (b *Instances) Start(m ec2.Machine) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.mu.Lock()
	id := b.ids[m.ID]
	address := ""
	if id == "" {
		b.next = b.next.Next()
		address = b.next.String()
		b.addresses[address] = m.ID
	}
	for a, instance := range b.addresses {
		if instance == m.ID {
			address = a
		}
	}
	b.mu.Unlock()
	if id == "" {
		init := true
		ip, _ := netip.ParseAddr(address)
		made, err := b.engine.c.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name: "farmhand-" + b.farm + "-" + m.ID,
			Config: &container.Config{Image: b.image, Cmd: []string{"/bin/sh", "-c", firstBoot},
				Env:    []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + b.Endpoint, "USER_DATA=" + m.UserData},
				Labels: map[string]string{labelFarm: b.farm, "farmhand.ec2": m.ID}},
			HostConfig:       &container.HostConfig{Init: &init, NetworkMode: container.NetworkMode(b.network)},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{b.network: {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: ip}}}},
		})
		if err != nil {
			return "", err
		}
		id = made.ID
	}
	b.mu.Lock()
	b.ids[m.ID] = id
	delete(b.ended, id)
	b.mu.Unlock()
	_, err := b.engine.c.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return address, err
}

func (b *Instances) end(m ec2.Machine, do func(ctx context.Context, id string) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.mu.Lock()
	id := b.ids[m.ID]
	b.ended[id] = true
	b.mu.Unlock()
	if id != "" {
		_ = do(ctx, id) // what is left shows at the end
	}
}

// Stop implements ec2.Backing.
func (b *Instances) Stop(m ec2.Machine) {
	b.end(m, func(ctx context.Context, id string) error {
		_, err := b.engine.c.ContainerStop(ctx, id, client.ContainerStopOptions{})
		return err
	})
}

// Terminate implements ec2.Backing.
func (b *Instances) Terminate(m ec2.Machine) {
	b.end(m, func(ctx context.Context, id string) error {
		_, err := b.engine.c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
		return err
	})
}

// Reboot implements ec2.Backing.
func (b *Instances) Reboot(m ec2.Machine) {
	b.end(m, func(ctx context.Context, id string) error {
		_, err := b.engine.c.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
		return err
	})
}

// Attach and Detach implement ec2.Backing, for nothing: there are no disks.
func (b *Instances) Attach(ec2.Machine, string, string) {}
func (b *Instances) Detach(ec2.Machine, string)         {}

// Console implements ec2.Backing.
func (b *Instances) Console(m ec2.Machine) string {
	logs, err := b.engine.Logs(context.Background(), b.farm, 50)
	if err != nil {
		return err.Error()
	}
	for name, text := range logs {
		if strings.Contains(name, m.ID) {
			return text
		}
	}
	return ""
}

// Close implements ec2.Backing: everything that was made goes.
func (b *Instances) Close() {
	if b.watching != nil {
		b.watching()
		b.watched.Wait()
	}
	_ = b.engine.Clear(context.Background(), b.farm)
}

// Serve answers h at this machine's address in the instances' network until stop, and returns its URL.
func (b *Instances) Serve(h http.Handler) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(b.Gateway(), "0"))
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("metadata:", err)
		}
	}()
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

// WithPython is the base image with python3 in it, as cloud images have; made once.
func (e *Engine) WithPython(ctx context.Context, base, name string) error {
	if _, err := e.c.ImageInspect(ctx, name); err == nil {
		return nil
	}
	made, err := e.c.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: base,
		Cmd: []string{"sh", "-c", "apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends python3 >/dev/null"}}})
	if err != nil {
		return err
	}
	defer func() {
		_, _ = e.c.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true})
	}()
	if _, err := e.c.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return err
	}
	wait := e.c.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{})
	select {
	case err := <-wait.Error:
		return err
	case r := <-wait.Result:
		if r.StatusCode != 0 {
			return fmt.Errorf("installing python3 into %s: exit status %d", base, r.StatusCode)
		}
	}
	_, err = e.c.ContainerCommit(ctx, made.ID, client.ContainerCommitOptions{Reference: name})
	return err
}
