package mysql

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// stallTime is how long a clone's source may send nothing.
	stallTime = 30 * time.Second
	// spare is what has to be left on the volume beside a clone: its binary log and the server's own files grow.
	spare = 64 << 20
)

// clone takes the data of another server. Whatever goes wrong before it is whole, the data that was there stays in place
// and nothing is left of the attempt; only condemned data gives way to it where there is no room for both.
func (r *runner) clone(ctx context.Context, order state.DatabaseOrder, condemned bool) error {
	from := order.CloneFrom
	if from == "" {
		from = order.Source
	}
	if from == "" {
		return errors.New("the order names no server to clone from")
	}
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	if err := r.standDownIfUp(ctx); err != nil {
		return err
	}
	r.doing("cloning from " + from)
	began := time.Now()
	partial := r.volume.path(partialDir)
	defer os.RemoveAll(partial)
	n, err := r.fetch(ctx, from, partial, condemned)
	if err != nil {
		return fmt.Errorf("cloning from %s: %w", from, err)
	}
	fetched := time.Now()
	r.doing("preparing the clone")
	position, err := r.flavor.finish(ctx, r, partial)
	if err != nil {
		return fmt.Errorf("preparing the clone of %s: %w", from, err)
	}
	// All but the top, which own would take for a sign that the rest is done.
	if err := own(partial, r.volume.owner); err != nil {
		return err
	}
	if err := writeMark(partial, mark{Instance: r.name, ServerID: r.newServerID(order.Seq), Cloned: order.Seq, Seed: true, Position: position}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := os.Rename(partial, r.volume.path(readyDir)); err != nil {
		return fmt.Errorf("putting the clone in place: %w", err)
	}
	r.doing("putting the clone in place")
	if err := r.replace(ctx); err != nil {
		return err
	}
	if position == "" {
		position = "its own position"
	}
	r.say("cloned %d MB from %s at %s: %s to fetch, %s to prepare", n>>20, from, position,
		fetched.Sub(began).Round(10*time.Millisecond), time.Since(fetched).Round(10*time.Millisecond))
	return nil
}

// replace stops the server, if one runs, and swaps.
func (r *runner) replace(ctx context.Context) error {
	defer func() {
		r.mu.Lock()
		r.replacing = false
		r.mu.Unlock()
	}()
	// Once begun it is carried through: a server that is stopped half-way is of no use to a newer order either.
	stop, cancel := bounded(context.WithoutCancel(ctx))
	defer cancel()
	if err := r.halt(stop); err != nil {
		return err
	}
	r.setDiverged("")
	return r.volume.swap()
}

func (r *runner) standDownIfUp(ctx context.Context) error {
	if r.db() == nil {
		return nil
	}
	return r.standDown(ctx)
}

// fetch gets the data of the server at host into dir and counts it.
func (r *runner) fetch(ctx context.Context, host, dir string, condemned bool) (int64, error) {
	key := r.secret(cloneKey)
	if key == "" {
		return 0, errors.New("the role's secret holds no clone key yet")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+net.JoinHostPort(host, strconv.Itoa(clonePort))+clonePath, nil)
	if err != nil {
		return 0, err
	}
	nonce := prove(q, key, r.Assignment.Farm, r.Assignment.Role.Name, time.Now())
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, DisableCompression: true,
		ResponseHeaderTimeout: stallTime, TLSHandshakeTimeout: 5 * time.Second}
	if r.isPlain(host) {
		q.URL.Scheme = "http"
	} else if transport.TLSClientConfig, err = r.certificates.client(host); err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return 0, fmt.Errorf("it refuses: %s", strings.TrimSpace(string(said)))
	}
	if other := response.Header.Get(flavorHeader); other != "" && other != r.flavor.name() {
		return 0, fmt.Errorf("its server is of %s, and this one of %s: a role's servers are of one image", other, r.flavor.name())
	}
	total, _ := strconv.ParseInt(response.Header.Get(bytesHeader), 10, 64)
	if err := r.makeRoom(ctx, total, condemned); err != nil {
		return 0, err
	}
	stalled := time.AfterFunc(stallTime, func() { cancel(fmt.Errorf("nothing came for %s", stallTime)) })
	defer stalled.Stop()
	sum := sha256.New()
	p := &progress{total: total, alive: func() { stalled.Reset(stallTime) }, tell: func(n int64) {
		r.doing(fmt.Sprintf("cloning from %s: %d of about %d MB", host, n>>20, total>>20))
	}}
	if err := r.unpack(ctx, dir, io.TeeReader(response.Body, io.MultiWriter(sum, p))); err != nil {
		return 0, err
	}
	if end := proof(key, "end", nonce, hex.EncodeToString(sum.Sum(nil))); !hmac.Equal([]byte(end), []byte(response.Trailer.Get(endTrailer))) {
		return 0, errors.New("it was cut short, or is not what was sent")
	}
	return p.n, nil
}

// prove shows that who asks knows the role's clone key. The answer's proof is over the nonce.
func prove(q *http.Request, key, farm, role string, now time.Time) (nonce string) {
	at, nonce := strconv.FormatInt(now.Unix(), 10), rand.Text()
	q.Header.Set(timeHeader, at)
	q.Header.Set(nonceHeader, nonce)
	q.Header.Set(proofHeader, proof(key, "clone", farm, role, at, nonce))
	return nonce
}

// makeRoom refuses a clone that the volume has no room for, before anything is written.
func (r *runner) makeRoom(ctx context.Context, total int64, condemned bool) error {
	need := total + total/20 + spare
	if r.volume.free() >= need {
		return nil
	}
	if condemned {
		kept, err := r.volume.aside()
		if err != nil {
			return err
		}
		for _, name := range kept {
			r.say("removing %s, which a clone replaced, to make room", name)
			if err := os.RemoveAll(r.volume.path(name)); err != nil {
				return fmt.Errorf("making room: %w", err)
			}
		}
		if r.volume.free() >= need {
			return nil
		}
		if r.volume.free()+r.volume.size() >= need && exists(r.DataDir) {
			r.say("removing the diverged data before it is cloned anew: there is no room for both")
			stop, cancel := bounded(ctx)
			defer cancel()
			err := r.halt(stop)
			if err == nil {
				err = os.RemoveAll(r.DataDir)
			}
			r.mu.Lock()
			r.replacing = false
			r.mu.Unlock()
			return err
		}
	}
	return fmt.Errorf("the volume has %d MB free and a clone takes %d MB: give it a larger volume, or free some",
		r.volume.free()>>20, need>>20)
}

// unpack makes dir of a stream.
func (r *runner) unpack(ctx context.Context, dir string, from io.Reader) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o750)); err != nil {
		return fmt.Errorf("making room for a clone: %w", err)
	}
	err := r.flavor.take(ctx, r, dir, from)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("receiving it: %w", err)
	}
	return nil
}

// progress counts what is written to it and tells now and then.
type progress struct {
	n, told, total int64
	alive          func()
	tell           func(n int64)
}

func (p *progress) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	p.alive()
	if p.n-p.told >= 4<<20 {
		p.told = p.n
		p.tell(p.n)
	}
	return len(b), nil
}
