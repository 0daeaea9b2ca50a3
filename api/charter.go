package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
)

func (o *operator) Charter(context.Context, *connect.Request[pb.CharterRequest]) (*connect.Response[pb.CharterResponse], error) {
	return connect.NewResponse(o.charter()), nil
}

func (o *operator) PrepareCharter(_ context.Context, r *connect.Request[pb.PrepareCharterRequest]) (*connect.Response[pb.PrepareResponse], error) {
	var a charter.Accepted
	var fresh bool
	var err error
	if r.Msg.Id != "" {
		if len(r.Msg.File)+len(r.Msg.Policy) > 0 {
			return nil, fail(errors.New("id excludes file and policy: the statement says them"))
		}
		a, err = o.d.Charters.PrepareChosen(r.Msg.Id)
	} else {
		var d charter.Document
		if d, err = charter.ReadDocument(r.Msg.File, r.Msg.Policy); err == nil {
			a, fresh, err = o.d.Charters.Prepare(time.Now(), d)
		}
	}
	if err != nil {
		return nil, fail(err)
	}
	x, err := charter.Of(a.Statement)
	if err != nil {
		return nil, internal("read the charter", err)
	}
	wait, changes, err := o.d.Charters.Weigh(x)
	if err != nil {
		return nil, internal("compare the charter with the one in force", err)
	}
	out := prepared(a, fresh)
	out.Msg.Wait = uint64(wait / time.Second)
	for _, c := range changes {
		out.Msg.Changes = append(out.Msg.Changes, &pb.CharterChange{What: c.What, Was: c.Was, Is: c.Is, Looser: c.Looser})
	}
	return out, nil
}

// preparedOne is a statement that a single officer makes.
func preparedOne(s statement.Statement, err error) (*connect.Response[pb.PrepareResponse], error) {
	if err != nil {
		return nil, fail(err)
	}
	return prepared(charter.Accepted{Statement: s}, true), nil
}

func (o *operator) PrepareVeto(_ context.Context, r *connect.Request[pb.PrepareVetoRequest]) (*connect.Response[pb.PrepareResponse], error) {
	return preparedOne(o.d.Charters.PrepareVeto(time.Now(), r.Msg.Id, r.Msg.Reason))
}

func (o *operator) PrepareRevocation(_ context.Context, r *connect.Request[pb.PrepareRevocationRequest]) (*connect.Response[pb.PrepareResponse], error) {
	return preparedOne(o.d.Charters.PrepareRevocation(time.Now(), r.Msg.Person, r.Msg.Key, r.Msg.Reason))
}

func (o *operator) PrepareFreeze(_ context.Context, r *connect.Request[pb.PrepareFreezeRequest]) (*connect.Response[pb.PrepareResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	return preparedOne(o.d.Charters.PrepareFreeze(time.Now(), id, time.Duration(r.Msg.Seconds)*time.Second, r.Msg.Reason))
}

func (o *operator) PrepareUnfreeze(_ context.Context, r *connect.Request[pb.PrepareUnfreezeRequest]) (*connect.Response[pb.PrepareResponse], error) {
	id, err := idOf(r.Msg.Vault, "vault id")
	if err != nil {
		return nil, err
	}
	a, fresh, err := o.d.Charters.PrepareUnfreeze(time.Now(), id)
	if err != nil {
		return nil, fail(err)
	}
	return prepared(a, fresh), nil
}

// checkCharter looks at the charter, and at what waits beside it.
func (o *operator) checkCharter(s *pb.StatusResponse, add func(name, state, what, next string)) {
	what := fmt.Sprintf("version %d", s.CharterVersion)
	switch {
	case len(s.Charter) == 0 && circle.Standing(s.Standing) == circle.Invited:
		add("charter", "ok", "not known here: the circle's nodes tell it once this operator is in the roster", "")
	case len(s.Charter) == 0 && len(s.Roster) > 0:
		add("charter", "warn", "no charter is in force", "write one with `ostraka charter init`; then every operator runs `ostraka charter sign FOLDER`")
	case s.Drill:
		add("charter", "warn", what+": it is a DRILL: its delays may be seconds; hold nothing of value under it", "")
	case len(s.Charter) > 0:
		add("charter", "ok", what, "")
	}
	for _, p := range o.d.Charters.Pending() {
		name, id := fmt.Sprintf("charter %d", p.Version), p.ID.Short()
		switch {
		case len(p.Vetoes) > 0:
			add(name, "warn", fmt.Sprintf("%s was vetoed by %s", id, p.Vetoes[0].Statement.Get("operator")), "it will not come into force; propose another")
		case len(p.Missing) > 0:
			add(name, "warn", fmt.Sprintf("%s waits for the officers of %s", id, strings.Join(p.Missing, ", ")), fmt.Sprintf("`ostraka charter show --pending` shows what it changes; they run `ostraka charter sign --id %s`", id))
		case time.Now().Before(p.Due):
			add(name, "warn", fmt.Sprintf("%s is signed by all and comes into force here after %s", id, stamp(p.Due)), fmt.Sprintf("`ostraka charter show --pending` shows what it changes; `ostraka charter veto %s` stops it", id))
		default:
			add(name, "warn", fmt.Sprintf("%s waits for the nodes of %s", id, strings.Join(p.Awaited, ", ")), "all nodes must be up; each enacts it when its own clock has counted the delay")
		}
	}
	seen := map[statement.ID]bool{}
	x, chartered := o.d.Charters.Charter()
	for _, v := range o.d.Keeper.Roots() {
		if b, listed := x.Vault(v.Vault.Name); chartered && listed && v.Current != nil && !v.Outside && !slices.Equal(b.Committee, v.Vault.Committee) {
			add("vault "+v.Vault.Name, "warn", fmt.Sprintf("it is held by %s, the charter says %s", strings.Join(v.Vault.Committee, ", "), strings.Join(b.Committee, ", ")), "amend the charter so that it says who holds it, or reshare the vault as it says")
		}
		if by := o.d.Charters.Frozen(v.Vault.ID, time.Now()); by != "" && !seen[v.Vault.ID] {
			seen[v.Vault.ID] = true
			add("vault "+v.Vault.Name, "warn", "it is frozen by "+by, "it signs nothing until then, or until every operator that holds it runs `ostraka charter unfreeze "+v.Vault.Name+"`")
		}
	}
}
