package backup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Catalog is what of a role lies in a target. Safe for concurrent use as far as the target is.
type Catalog struct {
	Target Target
	Farm   string
	Role   string
	// UID tells farms of one name apart: it is made with the farm and never used again.
	UID string
}

func (c Catalog) at(parts ...string) string {
	return strings.Join(append([]string{c.Farm, c.Role}, parts...), "/")
}

// StoreFull stores what fill writes as the full backup m.ID: data first, the manifest last. fill may complete m (position, end)
// until it returns. On an error nothing of it stays.
func (c Catalog) StoreFull(ctx context.Context, m *Manifest, key Key, fill func(io.Writer) error) error {
	m.Farm, m.Role, m.Key = c.Farm, c.Role, key.Public()
	s, err := c.stream(ctx, c.at("full", m.ID, "data"), key, fill)
	if err == nil {
		m.Plain, m.Stored, m.SHA256 = s.Plain(), s.Stored(), s.SHA256()
		var b []byte
		if b, err = json.MarshalIndent(m, "", " "); err == nil {
			_, err = c.Target.Put(ctx, c.at("full", m.ID, "manifest.json"), bytes.NewReader(b))
		}
	}
	if err != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_ = c.Target.Delete(tidy, c.at("full", m.ID, "data"))
		return fmt.Errorf("storing backup %s: %w", m.ID, err)
	}
	return nil
}

// stream seals what fill writes into an object.
func (c Catalog) stream(ctx context.Context, name string, key Key, fill func(io.Writer) error) (*Sealer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	var s *Sealer
	go func() {
		var err error
		if s, err = Seal(w, key); err == nil {
			if err = fill(s); err == nil {
				err = s.Close()
			}
		}
		if err != nil {
			cancel(err)
		}
		w.CloseWithError(err) // nil: io.EOF
	}()
	_, err := c.Target.Put(ctx, name, r)
	_ = r.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // a fill that still writes learns of it
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return s, err
}

// OpenFull opens a backup's stream; ErrKey if key is not the one that it was sealed with.
func (c Catalog) OpenFull(ctx context.Context, m Manifest, key Key) (io.ReadCloser, error) {
	if m.Key != key.Public() {
		return nil, fmt.Errorf("backup %s: %w: it was taken with %s and this is %s", m.ID, ErrKey, orNone(m.Key), orNone(key.Public()))
	}
	return c.open(ctx, c.at("full", m.ID, "data"), key, m.SHA256)
}

func orNone(public string) string { return cmp.Or(public, "no key") }

func (c Catalog) open(ctx context.Context, name string, key Key, sum string) (io.ReadCloser, error) {
	r, err := c.Target.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	o, err := Open(r, key, sum)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return both{o, r}, nil
}

type both struct {
	io.ReadCloser
	below io.Closer
}

func (b both) Close() error { return errors.Join(b.ReadCloser.Close(), b.below.Close()) }

// Fulls returns the full backups, oldest first, each with the report of its last drill.
func (c Catalog) Fulls(ctx context.Context) ([]Manifest, error) {
	objects, err := c.Target.List(ctx, c.at("full")+"/")
	if err != nil {
		return nil, err
	}
	drills := map[string]bool{}
	for _, o := range objects {
		if id, ok := strings.CutSuffix(strings.TrimPrefix(o.Name, c.at("full")+"/"), "/drill.json"); ok {
			drills[id] = true
		}
	}
	var all []Manifest
	for _, o := range objects {
		if !strings.HasSuffix(o.Name, "/manifest.json") {
			continue
		}
		m, err := read[Manifest](ctx, c.Target, o.Name)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if drills[m.ID] {
			d, err := read[Drill](ctx, c.Target, c.at("full", m.ID, "drill.json"))
			if err == nil {
				m.Drill = &d
			} else if !errors.Is(err, ErrNotFound) {
				return nil, err
			}
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Manifest) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Find returns the backup with that id, the newest for "". until, if it is not zero, is the moment that it is to be restored to: only backups that
// show an earlier one will do. ErrNotFound says what there is.
func (c Catalog) Find(ctx context.Context, id string, until time.Time) (Manifest, error) {
	all, err := c.Fulls(ctx)
	if err != nil {
		return Manifest{}, err
	}
	for _, m := range slices.Backward(all) {
		if (id == "" || m.ID == id) && (until.IsZero() || !m.Ended.After(until)) {
			return m, nil
		}
	}
	switch {
	case len(all) == 0:
		return Manifest{}, fmt.Errorf("%w: there is no backup of %s/%s", ErrNotFound, c.Farm, c.Role)
	case id != "" && until.IsZero():
		return Manifest{}, fmt.Errorf("%w: no backup %q of %s/%s; there are %d, the newest is %s", ErrNotFound, id, c.Farm, c.Role, len(all), all[len(all)-1].ID)
	case id != "":
		return Manifest{}, fmt.Errorf("%w: no backup %q of %s/%s from before %s", ErrNotFound, id, c.Farm, c.Role, until.UTC().Format(time.DateTime))
	}
	return Manifest{}, fmt.Errorf("%w: the oldest backup of %s/%s shows %s, and nothing leads back from there to %s", ErrNotFound, c.Farm, c.Role,
		all[0].Ended.UTC().Format(time.DateTime), until.UTC().Format(time.DateTime))
}

func read[T any](ctx context.Context, t Target, name string) (v T, err error) {
	b, err := readSmall(ctx, t, name)
	if err == nil {
		if err = json.Unmarshal(b, &v); err != nil {
			err = fmt.Errorf("reading %s: %w: %w", name, ErrDamaged, err)
		}
	}
	return v, err
}

// StoreDrill stores the report of a drill, in place of the former one.
func (c Catalog) StoreDrill(ctx context.Context, d Drill) error {
	b, err := json.MarshalIndent(d, "", " ")
	if err == nil {
		_, err = c.Target.Put(ctx, c.at("full", d.Backup, "drill.json"), bytes.NewReader(b))
	}
	return err
}
