package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// maxReshares bounds what a node may show of one vault.
const maxReshares = 4096

// readReshares verifies, by the officers' own signatures, each statement that gave the vault's keys to another committee: no
// node can invent one. Those that wait for signatures are shown, and prove nothing.
func (v *Vault) readReshares(list [][]byte) error {
	if len(list) > maxReshares {
		return fmt.Errorf("%d reshares are shown, at most %d are allowed", len(list), maxReshares)
	}
	for _, raw := range list {
		a, err := charter.DecodeAccepted(raw)
		if err == nil {
			err = v.plans.Add(a)
		}
		if err != nil && !errors.Is(err, charter.ErrNotAccepted) && !errors.Is(err, charter.ErrNoPrevious) {
			return err
		}
		v.Reshares = append(v.Reshares, a)
	}
	return nil
}

// mergeReshares takes what another node shows besides: none can leave out what a second one proves.
func (v *Vault) mergeReshares(o Vault) {
	at := map[statement.ID]int{}
	for i, a := range v.Reshares {
		at[a.Statement.ID()] = i
	}
	for _, a := range o.Reshares { // by number: what one follows was added before it
		i, known := at[a.Statement.ID()]
		proved := v.plans.NumberOf(a.Statement.ID()) > 0
		if known && proved {
			continue
		}
		complete := v.plans.Add(a) == nil
		if !known {
			v.Reshares = append(v.Reshares, a)
		} else if complete {
			v.Reshares[i] = a
		}
	}
}

// Planned lists the reshares that are newer than what every key is held under: complete ones that are to be carried out, and
// those that wait for signatures.
func (v Vault) Planned() (out []charter.Accepted) {
	if v.plans == nil {
		return nil
	}
	held := uint64(0)
	for i, r := range v.Roots {
		p, _ := v.plans.HeldBy(r.Held.Threshold, r.Held.Committee)
		if i == 0 || p.Number < held {
			held = p.Number
		}
	}
	for _, a := range v.Reshares {
		if r, err := charter.ReshareOf(a.Statement); err == nil && r.Number > held {
			out = append(out, a)
		}
	}
	return out
}

// held is the vault as a key of it is held.
func (v Vault) held(r Root) charter.Vault {
	if len(r.Held.Committee) == 0 {
		return v.Vault
	}
	return r.Held
}

// anybody is the vault with the operators of all committees that it ever had: what was decided in an epoch that is over was
// decided by one of them.
func (v Vault) anybody() charter.Vault {
	if v.plans == nil {
		return v.Vault
	}
	out := v.Founded
	out.Committee = slices.Clone(out.Committee)
	for _, p := range v.plans.Plans() {
		out.Committee = union(out.Committee, p.Committee)
	}
	slices.Sort(out.Committee)
	return out
}

// heldBy finds the officers' statement that a record is made under: the vault's own, or a complete reshare.
func (v Vault) heldBy(rec *epoch.Record) (charter.Vault, error) {
	out := v.Founded
	out.Threshold, out.Committee = rec.Threshold, nil
	for _, m := range rec.Members {
		i := slices.IndexFunc(v.Roster.Operators, func(o charter.Operator) bool { return bytes.Equal(m.Identity, o.Identity) })
		if i < 0 {
			return out, fmt.Errorf("share %d of its key is held by a node that is no operator's", m.Index)
		}
		out.Committee = append(out.Committee, v.Roster.Operators[i].Name)
	}
	slices.Sort(out.Committee)
	if _, ok := v.plans.HeldBy(out.Threshold, out.Committee); !ok {
		return out, fmt.Errorf("its key is held by %v with threshold %d, which neither the vault's statement says nor a reshare that officers completed", out.Committee, out.Threshold)
	}
	return out, nil
}

// apart says whether a node that shows a vault has no say in how far its keys are.
func (v Vault) apart(identity ed25519.PublicKey) bool {
	return !v.holds(identity) || slices.ContainsFunc(v.Roots, func(r Root) bool { return r.State == Damaged })
}

// holds says whether a node is of the committee of one of the keys: they move one after the other.
func (v Vault) holds(identity ed25519.PublicKey) bool {
	committee := v.Committee
	for _, r := range v.Roots {
		committee = union(slices.Clone(committee), v.held(r).Committee)
	}
	return slices.ContainsFunc(committee, func(name string) bool {
		o, _ := v.Roster.Operator(name)
		return o.Identity.Equal(identity)
	})
}
