package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// restoreFrom reads --from and --from-to into a restore into a role.
func restoreFrom(t *state.BackupTask, farm spec.Farm, role spec.Role, from, to string) error {
	name, of, isFarm := "", "", false
	if of, name, isFarm = strings.Cut(from, "/"); !isFarm {
		of, name = "", from
	}
	switch {
	case isFarm && (of == "" || name == "" || strings.Contains(name, "/")):
		return usage("--from %q: write ROLE, or FARM/ROLE", from)
	case to != "" && !isFarm:
		return usage("--from-to says where the backups of another farm lie: name it too, with --from FARM/ROLE")
	case to != "":
		place, err := spec.ParseBackupTarget(to)
		if err != nil {
			return usage("--from-to: %s: write s3://BUCKET/PREFIX or file:///FOLDER", err)
		}
		if place.Bucket == "" && farm.AWS != nil {
			return usage("--from-to %s: servers on EC2 read the backups themselves, and reach no folder of another machine: copy them to a bucket", to)
		}
	}
	if t.From = name; !isFarm && name == role.Name {
		t.From = ""
	}
	if t.FromTo = to; isFarm && (of != farm.Name || name == role.Name || to != "") {
		t.FromFarm = of
	}
	return nil
}

// readKey reads a key from a file, or standard input for "-".
func readKey(file string, in io.Reader) (string, error) {
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(io.LimitReader(in, 1<<16))
	} else {
		b, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("reading --from-key-file: %w", err)
	}
	// age-keygen writes comments beside its keys.
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := backup.ParseKey(line)
		if err != nil {
			return "", fmt.Errorf("--from-key-file %s: %w", file, err)
		}
		return key.Secret(), nil
	}
	return "", usage("--from-key-file %s holds no key", file)
}

// checkSource looks, before anything is asked of the farm, whether a restore from elsewhere can go well: the backup is there, the key is
// its own, and it fits the role's settings. What cannot be seen from here is said and left to the servers.
func checkSource(ctx context.Context, s store.Store, role spec.Role, t state.BackupTask, key string, say func(format string, args ...any)) error {
	farm, name, to, _ := t.Source(role.Farm, role.Name)
	m, err := lookAtSource(ctx, to, backup.Catalog{Farm: farm, Role: name}, t)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return absent("%s, in %s; farmhand backups --to %s lists what there is", err, to, to)
	case err != nil:
		say("note: %s/%s in %s cannot be looked at from here: %v\n", farm, name, to, err)
		return nil
	}
	if key == "" {
		secret, _, err := store.GetJSON[map[string]string](ctx, s, state.SecretKey(role.Farm, role.Name))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil //nolint:nilerr // who asks may not see it; the servers may
		}
		key = secret[state.BackupKey]
	}
	if k, err := backup.ParseKey(key); err == nil && k.Public() != m.Key {
		return fmt.Errorf("backup %s of %s/%s was encrypted with %s, and the key for it here is %s: give its own with --from-key-file", m.ID, farm, name, cmp.Or(m.Key, "no key"), cmp.Or(k.Public(), "none"))
	}
	if b, ok := behaviors.Get(role.Behavior); ok && m.Database != "" {
		for _, of := range []struct{ setting, had string }{{"database", m.Database}, {"user", m.User}} {
			if now := b.Traits().Value(role, of.setting); now != of.had {
				say("note: settings.%s of %s is %q, and of the role that was backed up it was %q\n", of.setting, role.ID(), now, of.had)
			}
		}
	}
	return nil
}

func lookAtSource(ctx context.Context, to string, c backup.Catalog, t state.BackupTask) (m backup.Manifest, err error) {
	if c.Target, err = openPlace(ctx, to); err != nil {
		return m, err
	}
	return c.Find(ctx, t.Backup, t.Until)
}
