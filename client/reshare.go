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

// readRescued takes the committees that emergencies made. Nobody can invent one: the certificate before it is of a committee that officers signed, and its own bears the
// words of as many of that committee, and of the guardians that they had agreed on, as the plan of the old epoch asks for. Whether the plan's delay was kept is for `ostraka verify`.
func (v *Vault) readRescued(list [][]byte) error {
	if len(list) > maxReshares {
		return fmt.Errorf("%d emergencies are shown, at most %d are allowed", len(list), maxReshares)
	}
	for _, raw := range list {
		before, after, err := v.rescued(raw)
		if err != nil {
			return fmt.Errorf("an epoch that an emergency made: %w", err)
		}
		was, err := v.heldBy(before)
		if err != nil {
			return err
		}
		is, err := v.named(after)
		if err != nil {
			return err
		}
		v.plans.Rescued(charter.Emergency{Activation: after.Rescue.Activation, Threshold: was.Threshold, Before: was.Committee, To: is.Threshold, Members: is.Committee})
		v.Rescued = append(v.Rescued, raw)
	}
	return nil
}

// ownRescues refuses emergencies of a key that is not the vault's: one of each suite is.
func (v Vault) ownRescues() error {
	for _, raw := range v.Rescued {
		first, err := epoch.FirstLink(raw)
		if err != nil {
			return err
		}
		for _, r := range v.Roots {
			if r.Record != nil && r.Suite == first.Record.Suite && (r.Record.KeyID != first.Record.KeyID || !r.Record.Public.Equal(first.Record.Public)) {
				return errors.New("an epoch that an emergency made is of another key than the vault's")
			}
		}
	}
	return nil
}

func (v *Vault) rescued(raw []byte) (before, after *epoch.Record, err error) {
	first, err := epoch.FirstLink(raw)
	if err != nil {
		return nil, nil, err
	}
	r := first.Record
	if !v.owns(r.Suite, r.KeyID) {
		return nil, nil, errors.New("its key is another vault's")
	}
	c, err := epoch.OpenChain(raw, epoch.Enrolment{KeyID: r.KeyID, Public: r.Public, Anchor: r.Hash()})
	if err != nil {
		return nil, nil, err
	}
	if len(c.Links()) != 2 || !c.Last().Record.Rescued() {
		return nil, nil, errors.New("it is no pair of an epoch and one that an emergency made of it")
	}
	return r, c.Last().Record, nil
}

// mergeReshares takes what another node shows besides: none can leave out what a second one proves.
func (v *Vault) mergeReshares(o Vault) {
	for _, raw := range o.Rescued { // they were verified
		if !slices.ContainsFunc(v.Rescued, func(have []byte) bool { return bytes.Equal(have, raw) }) {
			_ = v.readRescued([][]byte{raw})
		}
	}
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

// named is the vault with a record's committee and threshold.
func (v Vault) named(rec *epoch.Record) (charter.Vault, error) {
	out := v.Founded
	out.Threshold, out.Committee = rec.Threshold, nil
	for _, m := range rec.Members {
		name := v.nodes[string(m.Identity)]
		if name == "" {
			return out, fmt.Errorf("share %d of its key is held by a node that is no operator's", m.Index)
		}
		out.Committee = append(out.Committee, name)
	}
	slices.Sort(out.Committee)
	return out, nil
}

// nodesOf are the names of all operators that ever were in the roster, by their nodes' identities.
func nodesOf(chain charter.Chain) map[string]string {
	names := map[string]string{}
	for _, r := range chain {
		for _, o := range r.Operators {
			names[string(o.Identity)] = o.Name
		}
	}
	return names
}

// heldBy finds the statement that a record is made under: the vault's own, a complete reshare of officers, or an activation in an emergency.
func (v Vault) heldBy(rec *epoch.Record) (charter.Vault, error) {
	out, err := v.named(rec)
	if err != nil {
		return out, err
	}
	if _, ok := v.plans.HeldBy(out.Threshold, out.Committee); !ok {
		return out, fmt.Errorf("its key is held by %v with threshold %d, which neither the vault's statement says, nor a reshare that officers completed, nor an emergency's certificate", out.Committee, out.Threshold)
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
