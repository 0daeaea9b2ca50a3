package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Gathered is a statement of SOS that several officers sign, and how many signatures some node shows beside it.
type Gathered struct {
	Statement statement.Statement
	Signed    int
}

// Gathered lists the statements of a kind about a request that wait for officers, the one with the most signatures first. It proves nothing: each node counts for itself.
func (c *Circle) Gathered(ctx context.Context, q act.Request, kind statement.Kind) (all []Gathered, failed []Failure) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]Gathered, error) {
		res, err := m.SOSSaid(ctx, connect.NewRequest(&v1.SOSSaidRequest{Vault: q.Vault[:]}))
		if err != nil {
			return nil, err
		}
		var out []Gathered
		for _, x := range res.Msg.Said {
			s, err := statement.Parse(x.Statement)
			if err != nil {
				return nil, err
			}
			if s.Kind() == kind && s.Fields().ID("request") == q.ID {
				out = append(out, Gathered{s, len(x.Signatures)})
			}
		}
		return out, nil
	})
	for _, a := range answers.Good() {
		for _, g := range a.Value {
			i := slices.IndexFunc(all, func(o Gathered) bool { return o.Statement.ID() == g.Statement.ID() })
			if i < 0 {
				all = append(all, g)
				continue
			}
			all[i].Signed = max(all[i].Signed, g.Signed)
		}
	}
	slices.SortStableFunc(all, func(a, b Gathered) int {
		x, y := a.Statement.ID(), b.Statement.ID()
		if a.Signed != b.Signed {
			return b.Signed - a.Signed
		}
		return bytes.Compare(x[:], y[:])
	})
	return all, answers.Failures()
}

// Closing is a closing of a request as this circle stands: its keys in the epochs in force with their backup sets, and the drills that nodes know of the vault.
func (c *Circle) Closing(ctx context.Context, q act.Request, report [32]byte) (act.Close, error) {
	out := act.Close{Head: q.Head(), Report: report, Created: Now()}
	b, _, err := c.Backups(ctx, true)
	if err != nil {
		return out, err
	}
	for _, k := range q.Keys {
		i := slices.IndexFunc(b.Keys, func(x BackedKey) bool { return x.Record != nil && x.Record.KeyID == k.Key })
		if i < 0 {
			return out, fmt.Errorf("key %x is shown by no node", k.Key[:6])
		}
		r := b.Keys[i].Record
		switch eh := r.Hash(); {
		case eh == k.Epoch:
			return out, fmt.Errorf("key %x is in the epoch that the request names still: it has no new shares", k.Key[:6])
		case b.Keys[i].SetError != nil:
			return out, fmt.Errorf("key %x: %w", k.Key[:6], b.Keys[i].SetError)
		default:
			out.Keys = append(out.Keys, act.Backed{Key: act.Key{Key: k.Key, Epoch: eh}, Backups: r.Backups})
		}
	}
	out.Drill, err = b.drills(q.Vault)
	return out, err
}

// drills is SHA-256 over the ids of the drills of a vault that nodes know, ascending: what the log holds of each is its statement.
func (b Backups) drills(vault statement.ID) (sum [32]byte, err error) {
	var ids [][]byte
	for _, d := range b.Drills {
		if d.Vault == vault {
			ids = append(ids, bytes.Clone(d.ID[:]))
		}
	}
	if len(ids) == 0 {
		return sum, fmt.Errorf("no drill of the vault is known: have the guardians run `ostraka backup drill`")
	}
	slices.SortFunc(ids, bytes.Compare)
	return sha256.Sum256(bytes.Join(ids, nil)), nil
}

// InState lists the requests of a vault that most of its nodes have in one of these states.
func (r Rescue) InState(states ...string) (out []RescueRequest) {
	for _, q := range r.Requests {
		n := 0
		for _, v := range q.Views {
			if slices.Contains(states, v.State) {
				n++
			}
		}
		if n > 0 && 2*n >= len(q.Views) {
			out = append(out, q)
		}
	}
	return out
}

// Left is the longest time that a node still has before the state of a request may end.
func (q RescueRequest) Left() (most time.Duration) {
	for _, v := range q.Views {
		most = max(most, v.Remaining)
	}
	return most
}
