package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrForeign: the place in the target belongs to another farm.
var ErrForeign = errors.New("it belongs to another farm")

// Owner is the farm that a role's place belongs to.
type Owner struct {
	Farm    string    `json:"farm"`
	Role    string    `json:"role"`
	UID     string    `json:"uid"`
	Claimed time.Time `json:"claimed"`
}

// Claim takes the role's place in the target, or finds that it is ours; ErrForeign if another farm of the same name has it. To be
// called before anything is stored.
func (c Catalog) Claim(ctx context.Context, now time.Time) error {
	b, err := json.Marshal(Owner{c.Farm, c.Role, c.UID, now.UTC()})
	if err != nil {
		return err
	}
	name := c.at("owner.json")
	err = c.Target.PutNew(ctx, name, b)
	if err == nil || !errors.Is(err, ErrExists) {
		return err
	}
	o, err := c.Owner(ctx)
	if err != nil {
		return err
	}
	if o.UID != c.UID {
		return fmt.Errorf("%w: %s was taken on %s by another farm named %s. Two farms would delete each other's backups: give this one a target or a prefix of its own, "+
			"or, if the other farm is gone for good, remove %s", ErrForeign, c.at(), o.Claimed.Format(time.DateTime), o.Farm, name)
	}
	return nil
}

// Owner is whose the place is; ErrNotFound where nobody has stored anything.
func (c Catalog) Owner(ctx context.Context) (Owner, error) {
	return read[Owner](ctx, c.Target, c.at("owner.json"))
}

// CheckOwn refuses to read a place that another farm of the same name has stored in: ErrForeign. One that nobody has is ours.
func (c Catalog) CheckOwn(ctx context.Context) error {
	o, err := c.Owner(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && o.UID != c.UID {
		err = fmt.Errorf("%w: the backups in %s are those of another farm named %s, from %s on. If they are what you want, say so: --from %s", ErrForeign, c.at(), o.Farm, o.Claimed.Format(time.DateTime), c.at())
	}
	return err
}
