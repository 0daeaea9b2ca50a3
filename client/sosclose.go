package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Gathered is a statement of SOS that several officers sign, and which operators some node says signed it.
type Gathered struct {
	Statement statement.Statement
	By        []string // ascending
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
				if len(x.By) > maxRescueNames {
					return nil, fmt.Errorf("%s %s: signed by %d, at most %d are read", kind, s.ID().Short(), len(x.By), maxRescueNames)
				}
				out = append(out, Gathered{s, slices.Sorted(slices.Values(x.By))})
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
			all[i].By = slices.Compact(slices.Sorted(slices.Values(slices.Concat(all[i].By, g.By))))
		}
	}
	slices.SortStableFunc(all, func(a, b Gathered) int {
		x, y := a.Statement.ID(), b.Statement.ID()
		if len(a.By) != len(b.By) {
			return len(b.By) - len(a.By)
		}
		return bytes.Compare(x[:], y[:])
	})
	return all, answers.Failures()
}

// Closing is a closing of a request as this circle stands: the keys that got new shares by it, in their new epochs with their backup sets, and the drills that nodes know of
// the vault. left are the request's other keys: they stay as they are.
func (c *Circle) Closing(ctx context.Context, q act.Request, report [32]byte) (out act.Close, left []act.Key, err error) {
	out = act.Close{Head: q.Head(), Report: report, Created: Now()}
	b, _, err := c.Backups(ctx, true)
	if err != nil {
		return out, nil, err
	}
	for _, k := range q.Keys {
		i := slices.IndexFunc(b.Keys, func(x BackedKey) bool { return x.Record != nil && x.Record.KeyID == k.Key })
		if i < 0 {
			return out, nil, fmt.Errorf("key %x is shown by no node", k.Key[:6])
		}
		r := b.Keys[i].Record
		switch eh := r.Hash(); {
		case !r.Rescued() || r.Prev != k.Epoch: // in the epoch that the request names, or brought on in another way
			left = append(left, k)
		case b.Keys[i].SetError != nil:
			return out, nil, fmt.Errorf("key %x: %w", k.Key[:6], b.Keys[i].SetError)
		default:
			out.Keys = append(out.Keys, act.Backed{Key: act.Key{Key: k.Key, Epoch: eh}, Backups: r.Backups})
		}
	}
	if len(out.Keys) == 0 {
		return out, left, errors.New("none of its keys has new shares")
	}
	out.Drill, err = b.drills(q.Vault)
	return out, left, err
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
