// Package dbproxy keeps the proxy that stands on an application's instance between it and a database role: the splitting proxy of
// package sqlproxy in a process of its own, or HAProxy with a port for writes and one for reads. What the proxy leads to follows the
// topology; a proxy that ends is begun again. Start at Keeper.
package dbproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Host is where proxies listen: for their own instance alone.
const Host = "127.0.0.1"

const (
	// startTime bounds a start; it takes some tens of milliseconds.
	startTime = 10 * time.Second
	// againAfter is how long after its end a proxy is begun again at first, and longestAgain at most.
	againAfter   = 250 * time.Millisecond
	longestAgain = 10 * time.Second
	// stopTime is what statements under way get at the end.
	stopTime = 5 * time.Second
)

// Want is what a proxy is to be.
type Want struct {
	Mode           string // spec.ProxySplit or spec.ProxyPorts
	Port, ReadPort int
	User, Password string // the application's
	Term           int64  // of the primary
	Primary        string // host:port; "" while nobody takes writes
	Replicas       []string
	Admin          Admin // of spec.ProxySQL
}

// Equal tells whether there is nothing to change.
func (w Want) Equal(o Want) bool {
	return w.sameProcess(o) && w.Term == o.Term && w.Primary == o.Primary && slices.Equal(w.Replicas, o.Replicas)
}

// sameProcess tells whether the running process can take the change over.
func (w Want) sameProcess(o Want) bool {
	return w.Mode == o.Mode && w.Port == o.Port && w.ReadPort == o.ReadPort && w.User == o.User && w.Password == o.Password && w.Admin == o.Admin
}

// Of is the proxy that a declaration asks for, given the database role's part of the topology and what that role exports.
func Of(p spec.MySQLProxy, topology state.RoleTopology, exports map[string]string) Want {
	w := Want{Mode: p.Mode, Port: p.Port, ReadPort: p.ReadPort, User: exports["DB_USER"], Password: exports["DB_PASSWORD"], Term: topology.Term}
	if p.Mode == spec.ProxySQL {
		p.SetDefaults() // of one that is stored they are there
		w.Admin = Admin{Port: p.AdminPort, File: p.AdminFile, Writers: *p.WriterHostgroup, Readers: *p.ReaderHostgroup}
	}
	port := cmp.Or(exports["DB_PORT"], strconv.Itoa(spec.DefaultProxyPort))
	for _, m := range topology.Instances {
		address := net.JoinHostPort(m.Address, port)
		switch {
		case m.Primary:
			w.Primary = address
		case m.Reads:
			w.Replicas = append(w.Replicas, address)
		}
	}
	slices.Sort(w.Replicas)
	return w
}

// Environment is what applications are told: it takes the place of the database role's own address.
func Environment(p spec.MySQLProxy) map[string]string {
	env := map[string]string{"DB_HOST": Host, "DB_PORT": strconv.Itoa(p.Port)}
	if p.Mode == spec.ProxyPorts {
		env["DB_READ_HOST"], env["DB_READ_PORT"] = Host, strconv.Itoa(p.ReadPort)
	}
	return env
}

// proxy is one way to be a proxy.
type proxy interface {
	// write puts into place what a start reads.
	write(ctx context.Context, w Want) error
	// command is the process.
	command() (name string, args []string)
	// ready is nil when it serves.
	ready(ctx context.Context, w Want) error
	// change has the running process take w over; before is what it had.
	change(ctx context.Context, service *behavior.Service, before, w Want) error
}

// Keeper keeps one proxy, or none. Safe for concurrent use.
type Keeper struct {
	Run  behavior.Commander
	Root string    // prefixes every file written
	Out  io.Writer // where it says what it does; nil for nowhere

	mu      sync.Mutex
	want    *Want
	proxy   proxy
	sql     *proxySQL // in place of a process of ours
	service *behavior.Service
	stop    context.CancelFunc // of the goroutine that begins the process again
	ended   chan struct{}      // of it
}

// Apply makes the proxy what w says, nil for none, and returns when it serves. After an error it is tried again by calling Apply again;
// one that is refused before it starts leaves what ran before.
func (k *Keeper) Apply(ctx context.Context, w *Want) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w == nil {
		k.end(ctx)
		return nil
	}
	if k.want != nil && k.want.Equal(*w) {
		return nil
	}
	if w.Mode == spec.ProxySQL {
		k.follow(ctx, *w)
		return nil
	}
	if k.want != nil && k.want.sameProcess(*w) {
		if err := k.proxy.write(ctx, *w); err != nil {
			return err
		}
		if k.service.Alive() == nil { // else it is being begun again, with this
			if err := k.proxy.change(ctx, k.service, *k.want, *w); err != nil {
				return err // and the caller tries again
			}
		}
		k.want = w
		return nil
	}
	next, err := k.open(ctx, w.Mode)
	if err != nil {
		return err
	}
	if err := next.write(ctx, *w); err != nil {
		return err
	}
	k.end(ctx)
	k.proxy, k.service = next, &behavior.Service{}
	if err := k.start(ctx, *w); err != nil {
		_ = k.service.Stop(context.WithoutCancel(ctx), int(termSignal))
		k.proxy, k.service = nil, nil
		return err
	}
	k.want = w
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	k.stop, k.ended = stop, make(chan struct{})
	go k.persist(live, k.service, k.ended)
	return nil
}

// follow has a ProxySQL that is there told its servers. That it is not there yet is no error of the instance's: check tells.
func (k *Keeper) follow(ctx context.Context, w Want) {
	if k.sql != nil && k.want.sameProcess(w) {
		k.sql.set(w)
	} else {
		k.end(ctx)
		k.sql = newProxySQL(k.Root, w, k.say)
	}
	k.want = &w
}

func (k *Keeper) open(ctx context.Context, mode string) (proxy, error) {
	switch mode {
	case spec.ProxySplit:
		return newSplit(k.Root)
	case spec.ProxyPorts:
		return newPorts(ctx, k.Run, k.Root)
	}
	return nil, fmt.Errorf("this agent knows no mode %q of a proxy", mode)
}

func (k *Keeper) start(ctx context.Context, w Want) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the proxy to the database did not serve within %s", startTime))
	defer cancel()
	name, args := k.proxy.command()
	if err := k.service.Start(ctx, k.Run, name, args...); err != nil {
		return err
	}
	return k.service.Await(ctx, func(ctx context.Context) error { return k.proxy.ready(ctx, w) })
}

// persist begins a process again that ended by itself.
func (k *Keeper) persist(ctx context.Context, service *behavior.Service, ended chan<- struct{}) {
	defer close(ended)
	wait, began := againAfter, time.Now()
	for {
		if !service.Wait(ctx) {
			return
		}
		if time.Since(began) > longestAgain { // not one that ends as soon as it is begun
			wait = againAfter
		}
		k.say("the proxy to the database ended (%v); it is begun again", service.Alive())
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longestAgain)
		k.mu.Lock()
		if ctx.Err() != nil {
			k.mu.Unlock()
			return
		}
		began = time.Now()
		err := k.start(ctx, *k.want)
		k.mu.Unlock()
		if err != nil {
			k.say("beginning the proxy to the database again: %v", err)
			_ = service.Stop(ctx, int(termSignal))
		}
	}
}

// Check is nil while the proxy runs, or none is wanted.
func (k *Keeper) Check() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sql != nil {
		return k.sql.check()
	}
	if k.service == nil {
		return nil
	}
	if err := k.service.Alive(); err != nil {
		return fmt.Errorf("the proxy to the database: %w", err)
	}
	return nil
}

// Stop ends the proxy.
func (k *Keeper) Stop(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.end(ctx)
}

// end ends what runs; k.mu is held, and given up while the goroutine that begins it again ends.
func (k *Keeper) end(ctx context.Context) {
	if k.sql != nil {
		k.sql.end()
		k.sql, k.want = nil, nil
	}
	if k.service == nil {
		return
	}
	if k.stop != nil {
		k.stop()
		ended := k.ended
		k.mu.Unlock()
		<-ended
		k.mu.Lock()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopTime, errors.New("it was given "+stopTime.String()))
	defer cancel()
	_ = k.service.Stop(ctx, int(termSignal))
	k.want, k.proxy, k.service, k.stop, k.ended = nil, nil, nil, nil, nil
}

func (k *Keeper) say(format string, args ...any) {
	if k.Out != nil {
		_, _ = fmt.Fprintf(k.Out, "farmhand: "+format+"\n", args...)
	}
}

// listens is nil if something takes connections at the port.
func listens(ctx context.Context, port int) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return c.Close()
}
