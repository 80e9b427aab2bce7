package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbbackup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// keyAwaited is how long the key of a restore's source may take to come: it was stored before the restore was asked for, and comes
// by another way than the order.
const keyAwaited = time.Minute

// source is what a restore reads.
type source struct {
	backup.Catalog
	key backup.Key
	own bool           // the role's own backups, and not such as another farm of the name left
	to  backup.Catalog // the role's own
	// elsewhere is how the place is named to a person, "" for one that the role's own lies in.
	elsewhere string
}

// openSource opens what a restore is from. The role's own place is read as such only if nobody else's backups are in it.
func (r *runner) openSource(ctx context.Context, t *state.BackupTask) (s source, err error) {
	if r.Backups == nil {
		return s, errors.New("this agent cannot reach the role's backups")
	}
	farm, role := r.Assignment.Farm, r.Assignment.Role.Name
	patient := func(target backup.Target) backup.Target { return backup.Patient{Target: target, Tell: r.troubled} }
	place, err := r.Backups(ctx, t.To)
	if err != nil {
		return s, err
	}
	s.to = backup.Catalog{Target: patient(place), Farm: farm, Role: role, UID: t.UID}
	s.Catalog = s.to
	fromFarm, fromRole, to, elsewhere := t.Source(farm, role)
	s.Farm, s.Role = fromFarm, fromRole
	if elsewhere {
		if r.RestoreSource == nil {
			return s, errors.New("this agent cannot reach the backups of another farm")
		}
		s.elsewhere = strings.TrimSuffix(to, "/") + "/" + fromFarm + "/" + fromRole
		if place, err = r.RestoreSource(ctx, to); err != nil {
			return s, s.denied(err)
		}
		s.Target = patient(place)
	}
	if s.Farm == farm && s.Role == role && to == t.To {
		err := s.CheckOwn(ctx)
		if s.own = err == nil; err != nil && (!elsewhere || !errors.Is(err, backup.ErrForeign)) {
			return s, s.denied(err)
		}
	}
	secret, err := r.sourceKey(ctx, t)
	if err != nil {
		return s, err
	}
	s.key, err = backup.ParseKey(secret)
	if err != nil {
		return s, fmt.Errorf("the key of the backups: %w", err)
	}
	return s, nil
}

// sourceKey is the role's own key, or the one that the restore came with.
func (r *runner) sourceKey(ctx context.Context, t *state.BackupTask) (string, error) {
	if !t.FromKey {
		return r.secret(state.BackupKey), nil
	}
	for end := time.Now().Add(keyAwaited); ; {
		if key := r.secret(state.RestoreKey); key != "" {
			return key, nil
		}
		if time.Now().After(end) {
			return "", errors.New("the key that the restore was asked for with is not there any more: ask for it again, with --from-key-file")
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// denied says what to do where a place is closed to us.
func (s source) denied(err error) error {
	if s.elsewhere != "" && errors.Is(err, backup.ErrKey) {
		return fmt.Errorf("%w; give the key of the backups in %s with --from-key-file", err, s.elsewhere)
	}
	if s.elsewhere == "" || !errors.Is(err, backup.ErrDenied) {
		return err
	}
	place, bucket := strings.CutPrefix(s.elsewhere, "s3://")
	if !bucket {
		return err
	}
	return fmt.Errorf("%w. Whoever reads that place (on EC2 the instances' role, else the sidecar) has to be allowed to for as long as the restore takes: farmhand iam-policy --for instance --farm %s --restore-from %s prints what it needs", err, s.to.Farm, place)
}

// beyond is the number of the last transaction that any history of the role used: of what runs, and of what its backups hold.
func (s source) beyond(ctx context.Context, r *runner) (uint64, error) {
	reached := r.reached(ctx)
	if s.elsewhere == "" && s.Role == s.to.Role {
		return reached, nil // the restore itself looks at what it reads
	}
	highest, err := s.to.Highest(ctx)
	return max(reached, highest), err
}

// noteOf says what somebody should know of restored data that does not fit the role's settings, "" for nothing.
func (r *runner) noteOf(done dbbackup.Restored) string {
	a := r.accounts()
	var notes []string
	if !slices.Contains(done.Databases, a.Database) {
		had := "and no other"
		if len(done.Databases) > 0 {
			had = "but " + strings.Join(done.Databases, ", ")
		}
		notes = append(notes, fmt.Sprintf("it has no database %s, which is what the role's settings.database says, %s: an empty one is made, and the application sees nothing of the rest until the setting names it", a.Database, had))
	}
	others := slices.DeleteFunc(slices.Clone(done.Users), func(u string) bool { return u == a.User || u == a.ReplicaUser || u == replicaUser })
	if !slices.Contains(done.Users, a.User) {
		notes = append(notes, fmt.Sprintf("it has no user %s, which is what settings.user says: it is made, with rights on %s", a.User, a.Database))
	}
	if len(others) > 0 {
		notes = append(notes, fmt.Sprintf("it brings the users %s with the passwords that they had: drop those that should not log in here", strings.Join(others, ", ")))
	}
	return strings.Join(notes, "; ")
}
