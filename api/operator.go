package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	built "github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/outbox"
)

// operator serves an operator's own interface. Whoever can open the socket is the operator.
type operator struct {
	*views
	quit context.CancelFunc
}

func everyVault(charter.Vault) bool { return true }

func (o *operator) Vaults(context.Context, *connect.Request[pb.VaultsRequest]) (*connect.Response[pb.VaultsResponse], error) {
	out, err := o.vaults(everyVault, true)
	if err != nil {
		return nil, internal("list vaults", err)
	}
	return connect.NewResponse(out), nil
}

func (o *operator) Intents(_ context.Context, r *connect.Request[pb.IntentsRequest]) (*connect.Response[pb.IntentsResponse], error) {
	return connect.NewResponse(o.intents(r.Msg.Vault, func(statement.ID) bool { return true })), nil
}

func (o *operator) Intent(_ context.Context, r *connect.Request[pb.IntentRequest]) (*connect.Response[pb.IntentResponse], error) {
	id, err := idOf(r.Msg.Id, "intent id")
	if err != nil {
		return nil, err
	}
	x, err := o.d.Desk.Show(id)
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.IntentResponse{Intent: o.intent(x)}), nil
}

func (o *operator) Sessions(context.Context, *connect.Request[pb.SessionsRequest]) (*connect.Response[pb.SessionsResponse], error) {
	return connect.NewResponse(o.sessions(func([32]byte) bool { return true })), nil
}

func (o *operator) Invite(ctx context.Context, r *connect.Request[pb.InviteRequest]) (*connect.Response[pb.InviteResponse], error) {
	hours := r.Msg.Hours
	if hours == 0 {
		hours = 24
	}
	i, err := o.d.Circle.Invite(ctx, time.Now(), r.Msg.Operator, time.Duration(hours)*time.Hour)
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.InviteResponse{Line: i.Line(), Expires: stamp(i.Expires)}), nil
}

func (o *operator) Join(ctx context.Context, r *connect.Request[pb.JoinRequest]) (*connect.Response[pb.JoinResponse], error) {
	by, err := o.d.Circle.Join(ctx, time.Now(), r.Msg.Line)
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.JoinResponse{Operator: by.Name, Identity: by.Identity}), nil
}

func (o *operator) Drop(ctx context.Context, r *connect.Request[pb.DropRequest]) (*connect.Response[pb.DropResponse], error) {
	d, err := o.d.Circle.Drop(ctx, time.Now(), r.Msg.Operator)
	if err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	out := &pb.DropResponse{Identity: d.Operator.Identity, Invitations: uint32(d.Invitations)}
	for _, id := range d.Signed {
		out.Signed = append(out.Signed, id[:])
	}
	return connect.NewResponse(out), nil
}

func (o *operator) PrepareRoster(_ context.Context, r *connect.Request[pb.PrepareRosterRequest]) (*connect.Response[pb.PrepareResponse], error) {
	if n := btoi(r.Msg.Replace != "") + btoi(r.Msg.Remove != "") + btoi(r.Msg.Resign) + btoi(r.Msg.Anew) + btoi(r.Msg.Id != ""); n > 1 {
		return nil, fail(errors.New("replace, remove, resign, anew and id exclude one another"))
	}
	var a charter.Accepted
	var fresh bool
	var err error
	switch c, now := o.d.Circle, time.Now(); {
	case r.Msg.Replace != "":
		a, fresh, err = c.PrepareReplace(now, r.Msg.Replace)
	case r.Msg.Remove != "":
		a, fresh, err = c.PrepareRemove(now, r.Msg.Remove)
	case r.Msg.Resign:
		a, fresh, err = c.PrepareResign(now)
	case r.Msg.Anew:
		a, fresh, err = c.PrepareAnew(now)
	case r.Msg.Id != "":
		a, fresh, err = c.PrepareChosen(r.Msg.Id)
	default:
		a, fresh, err = c.PrepareRoster(now, r.Msg.Circle)
	}
	if errors.Is(err, outbox.ErrLater) {
		return nil, fail(err)
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	out := prepared(a, fresh)
	out.Msg.Unmet = o.d.Circle.Unmet(a.Statement)
	return out, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o *operator) PrepareVault(_ context.Context, r *connect.Request[pb.PrepareVaultRequest]) (*connect.Response[pb.PrepareResponse], error) {
	a, fresh, err := o.d.Circle.PrepareVault(time.Now(), r.Msg.Name)
	if err != nil {
		return nil, fail(err)
	}
	return prepared(a, fresh), nil
}

func (o *operator) PrepareReshare(_ context.Context, r *connect.Request[pb.PrepareReshareRequest]) (*connect.Response[pb.PrepareResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	if r.Msg.Id != "" && (len(r.Msg.Committee) > 0 || r.Msg.Threshold > 0 || r.Msg.Reason != "" || r.Msg.Instead) {
		return nil, fail(errors.New("id excludes committee, threshold, reason and instead: the statement says them"))
	}
	a, fresh, err := o.d.Circle.PrepareReshare(time.Now(), circle.Wish{
		Vault: id, Committee: r.Msg.Committee, Threshold: int(r.Msg.Threshold), Reason: r.Msg.Reason, Instead: r.Msg.Instead, ID: r.Msg.Id,
	})
	if err != nil && r.Msg.Id != "" {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	if err != nil {
		return nil, fail(err)
	}
	out := prepared(a, fresh)
	for _, x := range o.d.Circle.Rivals(a) {
		out.Msg.Rivals = append(out.Msg.Rivals, &pb.Rival{Id: idBytes(x.ID), Number: x.Number, Accepted: sortedKeys(x.Signatures), Differs: x.Differs})
	}
	return out, nil
}

func (o *operator) Refresh(ctx context.Context, r *connect.Request[pb.RefreshRequest]) (*connect.Response[pb.RefreshResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	roots := o.d.Keeper.Vault(id)
	if len(roots) == 0 {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such vault is known to this node"))
	}
	suites := r.Msg.Suites
	if len(suites) == 0 {
		suites = roots[0].Vault.Suites
	}
	for _, suite := range suites {
		if err := o.d.Keeper.AskRefresh(ctx, time.Now(), id, suite); err != nil {
			return nil, fail(fmt.Errorf("refresh suite %s: %w", suite, err))
		}
	}
	out := &pb.RefreshResponse{Held: o.d.Rescue.Held(ctx, id)}
	for _, v := range o.d.Keeper.Vault(id) {
		root, err := o.root(v)
		if err != nil {
			return nil, internal("show the vault's keys", err)
		}
		out.Roots = append(out.Roots, root)
	}
	return connect.NewResponse(out), nil
}

func prepared(a charter.Accepted, fresh bool) *connect.Response[pb.PrepareResponse] {
	return connect.NewResponse(&pb.PrepareResponse{Statement: a.Statement.Bytes(), Fresh: fresh, Accepted: sortedKeys(a.Signatures)})
}

func (o *operator) Accept(ctx context.Context, r *connect.Request[pb.AcceptRequest]) (*connect.Response[pb.AcceptResponse], error) {
	st, err := statement.Parse(r.Msg.Statement)
	if err != nil {
		return nil, fail(err)
	}
	var missing []string
	if charters.Accepts(st.Kind()) {
		missing, err = o.d.Charters.Accept(ctx, time.Now(), st, r.Msg.Signature)
	} else {
		_, missing, err = o.d.Circle.Accept(ctx, time.Now(), r.Msg.Statement, r.Msg.Signature)
	}
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.AcceptResponse{Id: idBytes(st.ID()), Missing: missing}), nil
}

func (o *operator) ConfirmRestore(ctx context.Context, r *connect.Request[pb.ConfirmRestoreRequest]) (*connect.Response[pb.ConfirmRestoreResponse], error) {
	if r.Msg.NotRestored {
		if err := o.d.Fence.Vouch(time.Now()); err != nil {
			return nil, connect.NewError(connect.CodeFailedPrecondition, err)
		}
		return connect.NewResponse(&pb.ConfirmRestoreResponse{Start: o.d.Fence.Counter()}), nil
	}
	start, err := o.d.ConfirmRestore(ctx, time.Now())
	if errors.Is(err, fence.ErrNotFenced) {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	if err != nil {
		return nil, internal("confirm the restored copy", err)
	}
	return connect.NewResponse(&pb.ConfirmRestoreResponse{Start: start}), nil
}

// stopAfter lets the answer to Stop leave first: shutting down waits for calls under way.
const stopAfter = 50 * time.Millisecond

func (o *operator) Stop(context.Context, *connect.Request[pb.StopRequest]) (*connect.Response[pb.StopResponse], error) {
	time.AfterFunc(stopAfter, o.quit)
	return connect.NewResponse(&pb.StopResponse{}), nil
}

func (o *operator) Status(ctx context.Context, _ *connect.Request[pb.StatusRequest]) (*connect.Response[pb.StatusResponse], error) {
	own := o.d.Operator()
	out := &pb.StatusResponse{
		Operator: own.Name, Identity: own.Identity, Version: built.Version(), Started: stamp(o.d.Started),
		Link: o.d.Link.Addr(), People: o.d.Settings.People, Invited: o.d.Circle.Draft(),
	}
	if a, r, ok := o.d.Circle.Roster(); ok {
		out.Roster, out.Circle, out.RosterVersion = idBytes(a.Statement.ID()), r.Circle, r.Version
	}
	if x, ok := o.d.Charters.Charter(); ok {
		out.Charter, out.CharterVersion, out.Drill = idBytes(x.ID), x.Version, x.Drill
	}
	out.Standing = string(o.d.Circle.Standing())
	beats := o.beats()
	_, roster, _ := o.d.Circle.Roster()
	for _, s := range o.d.Link.Status() {
		p := &pb.Peer{
			Operator: s.Peer.Name, Identity: s.Peer.Key, Address: s.Peer.Addr, Connected: s.Connected, Since: stamp(s.Since),
			LastHeard: stamp(s.LastHeard), RoundTripMs: s.RoundTrip.Seconds() * 1e3, SkewMs: s.Skew.Seconds() * 1e3, SkewKnown: s.SkewKnown,
			QueuedFrames: uint32(s.QueuedFrames), LastError: s.LastError, Twin: s.Twin, Outbox: uint32(o.d.Outbox.Waiting(session.IDOf(s.Peer.Key))),
		}
		if p.Twin == "" {
			p.Twin = o.d.Fence.Twice(session.IDOf(s.Peer.Key))
		}
		b, known := beats[p.Operator]
		beat(p, b, known, roster)
		out.Peers = append(out.Peers, p)
	}
	for _, v := range o.d.Keeper.Roots() {
		if v.Current == nil {
			continue
		}
		for _, peer := range o.d.Sessions.Burned(v.Current.Record.Hash()) {
			out.Burned = append(out.Burned, &pb.Burn{Key: v.KeyID[:], Peer: o.d.Name(peer)})
		}
	}
	for _, chain := range sortedKeys(o.d.Endpoints) {
		out.Endpoints = append(out.Endpoints, chain+" "+o.d.Endpoints[chain].String())
	}
	for _, chain := range sortedKeys(o.d.Coins) {
		out.Endpoints = append(out.Endpoints, chain+" "+o.d.Coins[chain].String())
	}
	for _, chain := range sortedKeys(o.d.Solana) {
		out.Endpoints = append(out.Endpoints, chain+" "+o.d.Solana[chain].String())
	}
	if why := o.d.Fence.Fenced(); why != nil {
		out.Fenced = why.Error()
	}
	head, err := o.d.Journal.Head(ctx)
	if err == nil {
		out.LogSize, out.LogRoot = uint64(head.Size), head.Root[:]
	}
	out.Checks = o.checks(ctx, out, err)
	return connect.NewResponse(out), nil
}

// maxSkew is how far two nodes' clocks may differ before sessions are refused.
const maxSkew = 4 * time.Minute

// checks are what doctor looks at.
func (o *operator) checks(ctx context.Context, s *pb.StatusResponse, logErr error) (out []*pb.Check) {
	add := func(name, state, what, next string) {
		out = append(out, &pb.Check{Name: name, State: state, What: what, Next: next})
	}
	now := time.Now()
	o.checkLog(s, logErr, add)
	o.checkMemory(add)
	o.checkTPM(s, add)
	o.checkCheckpoint(s, now, add)
	if s.Fenced != "" {
		add("fence", "fail", s.Fenced, "find the other copy of this node's data folder and destroy it; then `ostraka node confirm-restore --no-other-copy`; then every operator runs `ostraka vault refresh` for every vault")
	} else {
		add("fence", "ok", "no peer knows of another copy of this node", "")
	}
	o.checkSeal(add)
	o.checkRoster(s, add)
	o.checkCharter(s, add)
	for _, p := range s.Peers {
		switch skew := time.Duration(p.SkewMs * float64(time.Millisecond)); {
		case o.d.Circle.Departed(p.Identity):
			add("peer "+p.Operator, "departed", "its operator left the circle: its node is told of the roster until the version after, and of reshares as long as it may have a share", "")
		case p.Twin != "":
			add("peer "+p.Operator, "fail", p.Twin, "its operator finds the second copy of this node and stops it, then runs `ostraka node confirm-restore --no-other-copy` on the one that stays")
		case !p.Connected:
			state, next := o.unconnected(s, p)
			add("peer "+p.Operator, state, "not connected: "+p.LastError, next)
		case p.SkewKnown && skew.Abs() > maxSkew:
			add("peer "+p.Operator, "fail", fmt.Sprintf("its clock differs from ours by %s", skew.Round(time.Second)), "set both clocks")
		default:
			add("peer "+p.Operator, "ok", "connected", "")
		}
	}
	for _, b := range s.Burned {
		add("pair with "+b.Peer, "fail", "burned: a check on what the two nodes share failed, or this node was restored", "find out why; then every operator runs `ostraka vault refresh VAULT`")
	}
	o.checkBeats(now, add)
	o.checkAttest(now, add)
	o.checkReady(ctx, now, add)
	o.checkPrepared(add)
	for _, w := range o.d.Circle.Waits() {
		add(w.Name, "warn", w.What, w.Next)
	}
	o.checkVaults(add)
	out = append(out, o.checkEndpoints(ctx)...)
	return out
}

// unconnected says how bad it is that a peer has no link, and what to do. Nodes let in who stands in the roster that they have: while
// either operator is in none, nothing fails.
func (o *operator) unconnected(s *pb.StatusResponse, p *pb.Peer) (state, next string) {
	check := "check that the node runs, and its address " + p.Address
	_, r, chartered := o.d.Circle.Roster()
	_, listed := r.Operator(p.Operator)
	switch standing := circle.Standing(s.Standing); {
	case standing == circle.Invited:
		return "warn", "it lets this node in once it has a roster with this operator in it; after that, " + check
	case standing == circle.Left:
		return "warn", "it need not let this node in: this operator left the circle"
	case chartered && !listed:
		return "warn", "its operator is not in the roster yet; if it is to come, " + check
	}
	return "fail", check
}

// checkRoster looks at the roster, and at how this operator stands to it.
func (o *operator) checkRoster(s *pb.StatusResponse, add func(name, state, what, next string)) {
	what := fmt.Sprintf("circle %s, version %d", s.Circle, s.RosterVersion)
	_, r, _ := o.d.Circle.Roster()
	listed, _ := r.Operator(s.Operator)
	switch standing := circle.Standing(s.Standing); {
	case o.d.Circle.Fork() != "":
		add("roster", "fail", o.d.Circle.Fork(), "sign nothing; find out with the other operators who signed both")
	case len(s.Roster) == 0:
		add("roster", "warn", "no roster is in force", "invite operators and let them join; one runs `ostraka operator accept --circle NAME`, then the others `ostraka operator accept`")
	case standing == circle.Left:
		add("roster", "fail", what+": this operator is not in it any more; the node keeps what it has, and signs nothing", "if that is right, stop the node and keep its folder until its vaults were reshared")
	case standing == circle.Invited:
		add("roster", "warn", what+": this operator is not in it yet", "once an operator of the circle ran `ostraka operator accept`, run it here")
	case !charter.SameOperator(listed, o.d.Operator()):
		add("roster", "warn", what+": it lists this operator otherwise than node.json does", "run `ostraka operator accept`, then on the other nodes")
	default:
		add("roster", "ok", what, "")
	}
}

func (o *operator) checkVaults(add func(name, state, what, next string)) {
	for _, v := range o.d.Keeper.Roots() {
		name := "vault " + v.Title()
		switch stale := v.Stale(time.Now()); {
		case v.Damage != nil:
			add(name, "fail", o.d.Readable(v.Damage.Error()), "restore the data folder from a copy, or have the others reshare the vault without this operator; all else goes on")
		case v.Outside:
			add(name, "ok", "held by others", "")
		case v.Left.Epoch > 0 && (v.Plan == nil || !slices.Contains(v.Plan.Committee, o.d.Operator().Name)):
			what := fmt.Sprintf("this node left it with epoch %d: others hold it", v.Left.Epoch)
			if !v.Left.At.IsZero() {
				what = fmt.Sprintf("this node left it with epoch %d, at %s: others hold it", v.Left.Epoch, stamp(v.Left.At))
			}
			add(name, "ok", what, "")
		case v.Bare != "":
			add(name, "fail", v.Bare, v.WayBack)
		case v.Plan != nil:
			what := fmt.Sprintf("reshare %d to %d of %v is on its way: %s", v.Plan.Number, v.Plan.Threshold, v.Plan.Committee, v.Change.Step)
			if len(v.Change.Waiting) > 0 {
				what += fmt.Sprintf(" waits for %v", v.Change.Waiting)
			}
			if v.LastErr != "" {
				what += "; last attempt: " + o.d.Readable(v.LastErr)
			}
			add(name, "warn", what, "all nodes of the new committee must be up, and enough of the old one; the nodes try again by themselves")
		case v.Current == nil:
			what := "its key waits for: " + v.Step
			if v.LastErr != "" {
				what += "; last attempt: " + o.d.Readable(v.LastErr)
			}
			add(name, "warn", what, "all nodes of its committee must be up; the nodes try again by themselves")
		case v.Change.Overdue:
			what := "new shares were due at " + stamp(v.Change.Due)
			if v.LastErr != "" {
				what += "; last attempt: " + o.d.Readable(v.LastErr)
			}
			add(name, "fail", what, "all nodes of its committee must be up; `ostraka vault refresh` on each tries again")
		case len(stale) > 0:
			add(name, "warn", fmt.Sprintf("shares not proved within a day: %v", stale), "ask for an address: the shares then prove themselves")
		default:
			add(name, "ok", "ready", "")
		}
		if o.d.Presign.Wants(v) {
			o.checkPresignatures(add, v)
		}
	}
}

// checkPresignatures is about a vault of which this node holds presignatures. An empty pool fails nothing: three rounds sign.
func (o *operator) checkPresignatures(add func(name, state, what, next string), v ceremony.View) {
	name := "presigned " + v.Title()
	if n := o.d.Presign.Held(v.Current.Record.Hash()); n > 0 {
		add(name, "ok", fmt.Sprintf("%d presignatures in memory", n), "")
		return
	}
	add(name, "warn", "no presignatures in memory: it signs in three rounds", "they are made while enough nodes are connected and nothing waits to be signed; peers may hold none by their settings")
}
