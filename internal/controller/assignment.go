package controller

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// gatewayKeyKey holds the farm's key that gateway secrets are made with. No instance may read it.
func gatewayKeyKey(farm string) string { return farm + "/controller/gateway-key" }

// gatewaySecret is what the holder of an intent's token proves itself with at the gateway: unguessable, since the
// farm's key is random, and the same when a launch is repeated after a crash, so that a machine that came up all the
// same is still known. Only its hash stands under TokenKey.
func (k *keeper) gatewaySecret(ctx context.Context, token string) (string, error) {
	key, err := k.gatewayKeyOf(ctx)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func (k *keeper) gatewayKeyOf(ctx context.Context) ([]byte, error) {
	k.gatewayMu.Lock()
	defer k.gatewayMu.Unlock()
	if k.gatewayKey != nil {
		return k.gatewayKey, nil
	}
	e, err := k.store.Get(ctx, gatewayKeyKey(k.farm))
	if errors.Is(err, store.ErrNotFound) {
		fresh := make([]byte, 32)
		if _, err := rand.Read(fresh); err != nil {
			return nil, fmt.Errorf("making the gateway's key: %w", err)
		}
		e.Value = []byte(hex.EncodeToString(fresh))
		_, err = k.store.Put(ctx, gatewayKeyKey(k.farm), e.Value, store.If(store.Absent()))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's key: %w", err)
	}
	k.gatewayKey, err = hex.DecodeString(string(e.Value))
	return k.gatewayKey, err
}

// writeAssignments tells every instance what it is to be, where that changed.
func (k *keeper) writeAssignments(ctx context.Context, s *sight) error {
	if k.written == nil {
		k.written = map[string]string{}
		for _, prefix := range []string{state.AssignmentKey(k.farm, ""), state.TokenKey(k.farm, "")} {
			entries, err := k.store.List(ctx, prefix)
			if err != nil {
				return fmt.Errorf("reading the assignments: %w", err)
			}
			for _, e := range entries {
				k.written[e.Key] = string(e.Value)
			}
		}
	}
	for name, rec := range s.records {
		if rec.Phase == state.Failed || rec.Phase == state.Terminating || k.onlyRole != "" && rec.Role != k.onlyRole {
			continue
		}
		role := s.roles[rec.Role]
		if role == nil || role.revision == 0 {
			continue // nothing is known of it but that it is to end
		}
		if err := k.writeAssignment(ctx, s, name, rec, role); err != nil {
			return fmt.Errorf("assigning %s: %w", name, err)
		}
	}
	return nil
}

func (k *keeper) writeAssignment(ctx context.Context, s *sight, name string, rec *recordSight, role *roleSight) error {
	key := state.AssignmentKey(k.farm, name)
	a := state.Assignment{
		Farm: k.farm, Zone: s.farm.Spec.Zone, Role: role.Spec, Index: rec.Index, Address: rec.Address, Token: rec.Token,
		Nameserver: k.runtime.Nameserver, Names: state.NamesOf(s.farm.Spec), Application: role.app, Draining: rec.Phase == state.Draining, Measures: s.askedOf(role),
	}
	s.assignBackups(&a, rec, role)
	if rec.Generation != role.generation {
		var former state.Assignment
		if err := json.Unmarshal([]byte(k.written[key]), &former); err == nil && former.Token == rec.Token {
			a.Role, a.Application = asMade(former.Role, role.Spec), former.Application
		}
	}
	if role.appMissing {
		var former state.Assignment
		if err := json.Unmarshal([]byte(k.written[key]), &former); err == nil {
			a.Application = former.Application
		}
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := k.writeIfNew(ctx, key, string(b)); err != nil {
		return err
	}
	if k.runtime.Gateway == "" {
		return nil // nobody logs in by a token
	}
	secret, err := k.gatewaySecret(ctx, rec.Token)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(secret))
	return k.writeIfNew(ctx, state.TokenKey(k.farm, name), hex.EncodeToString(sum[:]))
}

func (k *keeper) writeIfNew(ctx context.Context, key, value string) error {
	if k.written[key] == value {
		return nil
	}
	if _, err := k.store.Put(ctx, key, []byte(value)); err != nil {
		return err
	}
	k.written[key] = value
	return nil
}

// asMade is the role as an instance of a former generation knows it: made as it was, kept as is declared now.
// What it is made from reaches its successor only; a declaration is never a surprise restart.
func asMade(former, now spec.Role) spec.Role {
	r := now
	r.Behavior, r.Image, r.Settings, r.BootScript = former.Behavior, former.Image, former.Settings, former.BootScript
	r.Environment, r.Secrets, r.SecretsVersion = former.Environment, former.Secrets, former.SecretsVersion
	r.Application, r.Volume = former.Application, former.Volume
	return r
}
