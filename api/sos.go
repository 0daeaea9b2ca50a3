package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/rescue"
)

// SOS shows what everybody may know of every vault with a plan. Nobody needs a token: a declaration that some could not see would be prepared in
// silence (spec/sos 9, S10), and guardians have no token.
func (p *people) SOS(ctx context.Context, _ *connect.Request[pb.SOSRequest]) (*connect.Response[pb.SOSResponse], error) {
	out := &pb.SOSResponse{}
	for _, id := range p.d.Rescue.Vaults() {
		out.Vaults = append(out.Vaults, p.rescue(ctx, time.Now(), id))
	}
	return connect.NewResponse(out), nil
}

// SOSSaid shows what was said of a vault's SOS. It takes no token, as SOS: all of it is signed, and public at once.
func (p *people) SOSSaid(ctx context.Context, r *connect.Request[pb.SOSSaidRequest]) (*connect.Response[pb.SOSSaidResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	out := &pb.SOSSaidResponse{}
	for _, s := range p.d.Rescue.Said(ctx, id) {
		out.Said = append(out.Said, &pb.SOSSaid{Statement: s.Statement.Bytes(), Signatures: s.Signatures, By: s.By})
	}
	return connect.NewResponse(out), nil
}

// Activate has the node name who gives their part, and to whom.
func (o *operator) Activate(ctx context.Context, r *connect.Request[pb.ActivateRequest]) (*connect.Response[pb.ActivateResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	ids, err := o.d.Rescue.AskActivation(ctx, time.Now(), id, r.Msg.Successors, int(r.Msg.Threshold), r.Msg.Instead)
	if err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	out := &pb.ActivateResponse{}
	for _, id := range ids {
		out.Activations = append(out.Activations, idBytes(id))
	}
	return connect.NewResponse(out), nil
}

// rescue is one vault's. One whose plan cannot be read is shown with the reason: it is not READY, and hides no other.
func (p *people) rescue(ctx context.Context, now time.Time, id statement.ID) *pb.Rescue {
	roots := p.d.Keeper.Vault(id)
	out := &pb.Rescue{Vault: idBytes(id)}
	if len(roots) > 0 {
		out.Name = roots[0].Vault.Name
		for _, v := range roots { // after an emergency the keys of a vault may have several committees
			out.Operators = append(out.Operators, v.Vault.Committee...)
		}
		slices.Sort(out.Operators)
		out.Operators = slices.Compact(out.Operators)
	}
	x, err := p.d.Rescue.Show(ctx, now, id)
	if err != nil {
		out.Missing = []string{err.Error()}
		return out
	}
	out.Charter, out.Drill, out.Declared, out.RolledBack = idBytes(x.Plan.Charter), x.Plan.Drill, uint32(x.Declared), x.Rolled
	if x.Declared > 0 {
		out.Previous = idBytes(x.Last)
	}
	for _, g := range x.Plan.Guardians {
		out.Guardians = append(out.Guardians, g.Name)
	}
	for _, t := range x.Plan.Triggers {
		out.Triggers = append(out.Triggers, t.Name)
	}
	for _, k := range x.Keys {
		out.Keys = append(out.Keys, &pb.RescueKey{Key: k.Key[:], Epoch: k.Epoch[:], Holders: x.Holders[k.Key].Operators, Threshold: uint32(x.Holders[k.Key].Threshold)})
	}
	p.readiness(ctx, now, id, out)
	for _, c := range x.Cases {
		out.Cases = append(out.Cases, rescueCase(c))
	}
	return out
}

// maxNeeds is how many things that are missing are shown: more than people do at once.
const maxNeeds = 48

// readiness shows whether SOS would come to anything, and what to do.
func (p *people) readiness(ctx context.Context, now time.Time, id statement.ID, out *pb.Rescue) {
	r, err := p.d.Ready(ctx, now, id)
	out.State = r.State.String()
	if err != nil {
		out.Missing = append(out.Missing, err.Error())
	}
	for _, m := range r.Missing[:min(len(r.Missing), maxNeeds)] {
		out.Missing = append(out.Missing, m.What)
		out.Needs = append(out.Needs, &pb.RescueNeed{What: m.What, Do: m.Do, Stops: m.Stops, Drill: m.Drill})
	}
	if more := len(r.Missing) - maxNeeds; more > 0 {
		out.Missing = append(out.Missing, fmt.Sprintf("and %d things more", more))
	}
	for _, v := range p.d.Keeper.Vault(id) {
		if v.Vault.SOS == nil {
			continue
		}
		for _, g := range v.Vault.SOS.Keepers {
			party := g.Card.Party()
			out.Seats = append(out.Seats, &pb.RescueSeat{Name: g.Name, Party: party[:]})
		}
		return
	}
}

func rescueCase(c rescue.ShownCase) *pb.RescueCase {
	id := c.ID()
	out := &pb.RescueCase{
		Request: c.Said().Bytes(), Id: id[:], State: c.State().String(), Since: stamp(c.Since()), FirstSeen: stamp(c.FirstSeen()),
		Credited: int64(c.Credited() / time.Second), Remaining: int64(c.Remaining() / time.Second),
		Consents: c.Consents(), Supports: c.Supports(), Vetoes: c.Vetoes(), Lacks: c.Lacks, Late: c.Late(),
		Quorum: uint32(c.Plan().Quorum),
	}
	for _, x := range c.Doings {
		out.Activations = append(out.Activations, &pb.RescueActivation{
			Id: idBytes(x.ID), Key: x.Key.Key[:], Contributors: x.Contributors, Signed: x.Signed, Members: x.Names(), Whole: x.Whole, Given: x.Given, Gave: x.Gave,
		})
	}
	for _, k := range c.Reshared() {
		out.Reshared = append(out.Reshared, k.Key[:])
	}
	for _, m := range c.Mute {
		out.Supports = slices.DeleteFunc(out.Supports, func(name string) bool { return name == m.Guardian })
		out.Mute = append(out.Mute, &pb.RescueMute{Guardian: m.Guardian, Why: m.Why})
	}
	return out
}
