package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func denied(c caller, doing, key string) error {
	return fmt.Errorf("%s may not %s %s: %w", c.instance, doing, key, store.ErrDenied)
}

func (s *Server) get(ctx context.Context, c caller, q getRequest) (entry, error) {
	if !c.rights.mayRead(q.Key) {
		return entry{}, denied(c, "read", q.Key)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := s.store.Get(ctx, q.Key)
	return entry(e), err
}

// list answers a page. An instance may ask for its keys only, by their whole names; what else begins with such a name
// ("web-1" begins "web-10") is left out.
func (s *Server) list(ctx context.Context, c caller, q listRequest) (listAnswer, error) {
	if !c.rights.mayRead(q.Prefix) {
		return listAnswer{}, denied(c, "list", q.Prefix)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	limit := pageEntries
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	opts := []store.ListOption{store.After(q.After), store.Limit(limit)}
	if q.Reverse {
		opts = append(opts, store.Reverse())
	}
	found, err := s.store.List(ctx, q.Prefix, opts...)
	if err != nil {
		return listAnswer{}, err
	}
	a := listAnswer{Entries: []entry{}}
	size := 0
	for i, e := range found {
		if c.rights.mayRead(e.Key) {
			a.Entries = append(a.Entries, entry(e))
			size += len(e.Value)
		}
		if size >= pageBytes || i == limit-1 {
			a.Next = e.Key
			break
		}
	}
	return a, nil
}

func (s *Server) put(ctx context.Context, c caller, q writeRequest) (writeAnswer, error) {
	if err := c.mayWrite(q); err != nil {
		return writeAnswer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var report *state.Report
	if q.Key == state.ReportKey(s.farm, c.instance) {
		report = new(state.Report)
		if err := json.Unmarshal(q.Value, report); err != nil {
			return writeAnswer{}, fmt.Errorf("%w report of %s: %w", store.ErrInvalid, c.instance, err)
		}
		if report.Instance != c.instance {
			return writeAnswer{}, fmt.Errorf("%w report of %s: it is about %q", store.ErrInvalid, c.instance, report.Instance)
		}
	}
	revision, err := s.store.Put(ctx, q.Key, q.Value, q.options()...)
	if err == nil && report != nil && s.opts.OnReport != nil {
		s.opts.OnReport(*report, s.reports.changed(*report))
	}
	return writeAnswer{revision}, err
}

func (s *Server) delete(ctx context.Context, c caller, q writeRequest) (writeAnswer, error) {
	if !c.rights.Everything {
		return writeAnswer{}, denied(c, "delete", q.Key)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return writeAnswer{}, s.store.Delete(ctx, q.Key, q.options()...)
}

// mayWrite also looks at the guard: it would tell the revision of a key that the caller may not read.
func (c caller) mayWrite(q writeRequest) error {
	if !c.rights.mayWrite(q.Key) {
		return denied(c, "write", q.Key)
	}
	if q.Guard != nil && !c.rights.mayRead(q.Guard.Key) {
		return denied(c, "read", q.Guard.Key)
	}
	return nil
}
