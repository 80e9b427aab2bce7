package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// openPlace opens a place of backups for looking at. It makes none.
func openPlace(ctx context.Context, to string) (backup.Target, error) {
	place, err := spec.ParseBackupTarget(to)
	if err != nil {
		return nil, usage("%s: write s3://BUCKET/PREFIX or file:///FOLDER", err)
	}
	if place.Bucket == "" {
		if _, err := os.Stat(place.Path); err != nil {
			return nil, absent("there are no backups in %s: %s", to, err)
		}
	}
	return (&targets.Targets{AWS: cloudConfig}).Open(ctx, to)
}

// placed is what a role of some farm has in a place.
type placed struct {
	Farm    string    `json:"farm"`
	Role    string    `json:"role"`
	Claimed time.Time `json:"claimed,omitzero"` // when that farm began to store there
	Backups int       `json:"backups"`
	Newest  string    `json:"newest,omitempty"`
	Logs    int       `json:"logs"`
	Bytes   int64     `json:"bytes"`
}

// listPlace is whose backups lie in a place, by name.
func listPlace(ctx context.Context, target backup.Target) ([]placed, error) {
	objects, err := target.List(ctx, "")
	if err != nil {
		return nil, err
	}
	all := []placed{}
	for _, o := range objects { // by name, and so by farm and role
		parts := strings.Split(o.Name, "/")
		if len(parts) < 3 {
			continue // not ours
		}
		if n := len(all); n == 0 || all[n-1].Farm != parts[0] || all[n-1].Role != parts[1] {
			owner, err := (backup.Catalog{Target: target, Farm: parts[0], Role: parts[1]}).Owner(ctx)
			if errors.Is(err, backup.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, placed{Farm: parts[0], Role: parts[1], Claimed: owner.Claimed})
		}
		p := &all[len(all)-1]
		p.Bytes += o.Size
		switch {
		case parts[2] == "full" && len(parts) == 5 && parts[4] == "manifest.json":
			p.Backups, p.Newest = p.Backups+1, parts[3]
		case parts[2] == "log":
			p.Logs++
		}
	}
	return all, nil
}

func printPlace(out io.Writer, all []placed, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FARM/ROLE\tBACKUPS\tNEWEST\tBINARY LOGS\tSIZE\tSINCE")
	for _, p := range all {
		fmt.Fprintf(w, "%s/%s\t%d\t%s\t%d\t%.1f MB\t%s\n", p.Farm, p.Role, p.Backups, p.Newest, p.Logs, float64(p.Bytes)/1e6, p.Claimed.UTC().Format(time.DateOnly))
	}
	return w.Flush()
}
