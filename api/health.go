package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/pulse"
)

const (
	lacksFor   = 10 * time.Minute // without a witness's cosignature, though its node is there, before it is told
	silentLong = 24 * time.Hour
)

type adder = func(name, state, what, next string)

const notByHand = "stop the node and keep its folder; do not repair it by hand: docs/operator.md says how to go on from a copy, or how the others replace this operator"

// checkLog looks at the log itself: can it be read, was it read through, and is there room to write.
func (o *operator) checkLog(s *pb.StatusResponse, headErr error, add adder) {
	var damage *journal.DamageError
	var unread *journal.UnreadError
	switch sound := o.d.Journal.Sound(); {
	case headErr != nil:
		add("log", "fail", headErr.Error(), notByHand)
	case errors.As(sound, &damage):
		add("log", "fail", fmt.Sprintf("damaged: %v: this node signs and writes nothing", damage.Err), notByHand)
	case errors.As(sound, &unread):
		add("log", "warn", sound.Error(), "wait: this takes a second for some ten thousand entries")
	default:
		add("log", "ok", fmt.Sprintf("%d entries", s.LogSize), "")
	}
	if o.d.Full() {
		add("disk", "fail", "full: this node takes no new intents and signs nothing; refusals, freezes and vetoes go on from a reserve",
			"make room on the disk of "+o.d.Dir+"; the node goes on by itself")
	}
}

// checkMemory looks at where the secrets of this process lie.
func (o *operator) checkMemory(add adder) {
	if o.d.Memory != nil { // tests have nodes without a folder
		state, what, next := node.MemoryState(o.d.Memory.Report(), o.d.Locked)
		add("memory", state, what, next)
	}
}

// checkTPM looks at what the machine's TPM does for this node. Why it fences a node stands there.
func (o *operator) checkTPM(s *pb.StatusResponse, add adder) {
	if value, ok := o.d.Fence.Counted(); ok && s.Fenced == "" {
		add("tpm", "ok", fmt.Sprintf("it counts this node's starts, and stands at %d: a store that was set back to before the last one is found without any peer", value), "")
	}
}

// checkCheckpoint looks at who witnesses our log, and at logs that forked.
func (o *operator) checkCheckpoint(s *pb.StatusResponse, now time.Time, add adder) {
	for _, f := range o.d.Witness.Forks() {
		origin := tlog.Request{Checkpoint: f.A}.Origin()
		add("fork", "fail", fmt.Sprintf("%s forked: its operator signed two histories (%s)", o.whose(origin), origin),
			"sign nothing with that operator, show the others the two checkpoints (`ostraka log list --kind alarm`, then `ostraka log show N --raw`), and replace it")
	}
	for _, x := range o.d.Witness.Suspicions() {
		add("history", "warn", fmt.Sprintf("%s did not show that it grew from what this node had cosigned (%s): its operator shows different histories, or its node was restored from an older copy, or its log is damaged; this proves nothing yet", o.whose(x.Origin()), stamp(x.At)),
			"ask its operator; the two checkpoints stand in this node's log (`ostraka log list --kind alarm`); `ostraka verify` on all logs finds which it is")
	}
	for _, said := range o.d.Pulse.Contradictions() {
		add("history", "warn", said, "show both operators the alarm (`ostraka log list --kind alarm`); `ostraka verify` on all logs finds which of them it is")
	}
	signed, at, by := o.d.Witness.Checkpoint()
	others := s.Peers
	var unsure *fence.UnsureError
	if errors.As(o.d.Fence.Sure(now), &unsure) {
		add("checkpoint", "warn", unsure.Error(), "bring that operator's node, or the link to it, back; if it is gone for good, and nobody restored this node's folder: `ostraka node confirm-restore --not-restored`")
		return
	}
	if signed == nil {
		if len(others) > 0 {
			add("checkpoint", "warn", "none yet", "the first follows once the roster is in force and a peer is connected")
		}
		return
	}
	made, lacks := o.d.Witness.Made()
	var late []string
	for _, p := range others {
		keys, _ := o.d.Pulse.Keys(p.Operator)
		since, lacking := lacks[keys.Name]
		if !lacking || !p.Connected || o.d.Circle.Departed(p.Identity) {
			continue
		}
		if up, err := time.Parse(time.RFC3339, p.Since); err == nil && up.After(since) {
			since = up
		}
		if now.Sub(since) >= lacksFor {
			late = append(late, p.Operator)
		}
	}
	what := fmt.Sprintf("of %d entries, %s old, cosigned by %d", at.Size, age(now, made), len(by))
	if len(late) > 0 {
		add("checkpoint", "warn", what+"; not by "+strings.Join(late, ", ")+", though connected", "ask their operators what their nodes' logs say: a node that knows another history of this log does not cosign it")
		return
	}
	add("checkpoint", "ok", what, "")
}

// whose says in words which log has an origin.
func (o *operator) whose(origin string) string {
	for _, k := range o.d.Pulse.AllKeys() {
		if k.Origin == origin {
			return "the log of " + k.Operator
		}
	}
	return "a log outside the circle"
}

// checkBeats looks at when each operator's node last showed that it lives, and whether ours does.
func (o *operator) checkBeats(now time.Time, add adder) {
	_, r, ok := o.d.Circle.Roster()
	own := o.d.Operator().Name
	if _, in := r.Operator(own); !ok || !in || len(r.Operators) < 2 {
		return
	}
	beats, every := o.beats(), o.d.HeartbeatEvery()
	for _, x := range r.Operators {
		name := "heartbeat of " + x.Name
		next := "ask its operator whether the node runs and reaches the others; its own `ostraka doctor` says what it lacks"
		if x.Name == own {
			name, next = "heartbeat", "it needs one peer that is connected: check the peers above"
		}
		if v, older := o.d.Older(session.IDOf(x.Identity)); older {
			add(name, "warn", fmt.Sprintf("its node speaks wire version %d, this one %d: it sends no heartbeats and cosigns no log, and is not sent charters and proofs in words that it does not know", v, node.WireLogs),
				"ask its operator to upgrade")
			continue
		}
		last, heard := beats[x.Name]
		since, what := o.since(last, heard), "last at "+stamp(last.Taken)
		if !heard {
			what = "none yet"
		}
		switch silent := now.Sub(since); {
		case silent >= max(silentLong, 2*every):
			add(name, "fail", "silent since "+stamp(since), next)
		case silent >= 2*every:
			add(name, "warn", "silent since "+stamp(since), next)
		default:
			add(name, "ok", what, "")
		}
	}
}

// since is from when on an operator's silence counts: a node that was down heard nobody.
func (o *operator) since(last pulse.Beat, heard bool) time.Time {
	if heard {
		return last.Taken
	}
	return o.d.Started
}

// beats are the last heartbeats, by operator.
func (v *views) beats() map[string]pulse.Beat {
	out := map[string]pulse.Beat{}
	for _, b := range v.d.Pulse.Beats() {
		out[b.Operator] = b
	}
	return out
}

// beat tells of a peer what its last heartbeat says.
func beat(p *pb.Peer, b pulse.Beat, known bool, in charter.Roster) {
	if _, listed := in.Operator(p.Operator); !known || !listed {
		return
	}
	p.LastHeartbeat, p.Version, p.Binary = stamp(b.Taken), b.Version, b.Binary[:]
}

func age(now, then time.Time) time.Duration { return max(0, now.Sub(then)).Round(time.Second) }

// checkReady looks at every vault with an SOS plan: one that could not be rescued fails, one where something is overdue does too, for the plan says that nobody counts on it then.
func (o *operator) checkReady(ctx context.Context, now time.Time, add adder) {
	for _, id := range o.d.Rescue.Vaults() {
		name := "SOS of " + o.d.Keeper.Vault(id)[0].Vault.Name
		r, err := o.d.Ready(ctx, now, id)
		if err != nil {
			add(name, "fail", err.Error(), "`ostraka sos status` shows it at every node")
			continue
		}
		if len(r.Missing) == 0 {
			add(name, "ok", strings.ToUpper(r.State.String()), "")
		}
		for _, m := range r.Missing[:min(len(r.Missing), maxNeeds)] {
			kind := "NOT READY, overdue: "
			if m.Stops {
				kind = "NOT READY: "
			}
			add(name, "fail", kind+m.What, m.Do)
		}
	}
}

// checkPrepared looks at what a vault of which this node holds a share does without: an SOS plan, places for backups, backups of the epoch in force. A charter may do without; nobody
// shall without having been told. Of a vault with a plan, checkReady says what is not backed up.
func (o *operator) checkPrepared(add adder) {
	x, ok := o.d.Charters.Charter()
	if !ok {
		return
	}
	said := map[string]bool{}
	for _, v := range o.d.Keeper.Roots() {
		if v.Current == nil || v.Outside || v.Left.Epoch > 0 || v.Damage != nil {
			continue
		}
		name := v.Vault.Name
		if b, known := x.Document.Vault(name); known && !said[name] {
			if l, planned := x.Document.Unplanned(b); !planned {
				add("SOS of "+name, "warn", l.What, l.Do)
			}
		}
		bare := x.Document.Unbacked(v.Vault.Committee)
		if len(bare) > 0 && !said[name] {
			l := charter.PlaceWanted(bare)
			add("backups of "+name, "warn", l.What, l.Do)
		}
		if said[name] = true; v.Vault.SOS != nil {
			continue
		}
		switch who := o.d.Backups.Lacking(v); {
		case len(who) > 0:
			add("backups of "+v.Title(), "warn", fmt.Sprintf("no backup of epoch %d, which is in force, is noted of %s", v.Current.Record.Epoch, strings.Join(who, ", ")),
				"each runs `ostraka backup cut --level export --place PLACE --recipient age1pq1… --to FOLDER`; until all have, no address of it is given out")
		case len(bare) == 0:
			add("backups of "+v.Title(), "ok", fmt.Sprintf("of epoch %d, of each operator", v.Current.Record.Epoch), "")
		}
	}
}
