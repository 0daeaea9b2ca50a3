package api

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	built "github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/wallet"
)

// people serves what people reach over the network.
type people struct {
	*views
	tokens *tokens
}

func newPeople(v *views) *people { return &people{v, newTokens()} }

func (p *people) Hello(_ context.Context, _ *connect.Request[pb.HelloRequest]) (*connect.Response[pb.HelloResponse], error) {
	now := time.Now()
	c := p.tokens.challenge(now)
	out := &pb.HelloResponse{
		Operator: p.d.Operator().Name, Identity: p.d.Operator().Identity, Challenge: c[:], Time: stamp(now), Version: built.Version(),
	}
	if a, _, ok := p.d.Circle.Roster(); ok {
		out.Roster = idBytes(a.Statement.ID())
	}
	return connect.NewResponse(out), nil
}

// Token gives a read token to whoever the charter or a vault lists.
func (p *people) Token(_ context.Context, r *connect.Request[pb.TokenRequest]) (*connect.Response[pb.TokenResponse], error) {
	now := time.Now()
	a, _, ok := p.d.Circle.Roster()
	if !ok {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("there is no roster yet"))
	}
	s, err := statement.ParseKind(r.Msg.Statement, statement.Hello)
	if err != nil {
		return nil, fail(err)
	}
	challenge := s.Fields().ID("challenge")
	if err := p.tokens.check(now, challenge); err != nil {
		return nil, fail(err)
	}
	h, err := charter.VerifyHello(s, r.Msg.Signature, a.Statement.ID(), p.d.Operator().Identity, challenge, now)
	if err != nil {
		return nil, fail(err)
	}
	if err := p.known(h.Person); err != nil {
		return nil, err
	}
	if err := p.tokens.spend(now, challenge); err != nil {
		return nil, fail(err)
	}
	token, until := p.tokens.issue(now, h.Person)
	return connect.NewResponse(&pb.TokenResponse{Token: token, Expires: stamp(until)}), nil
}

// known refuses a key that is nobody's: of no person of the charter in force whose keys count today, and no officer's in the newest roster or
// at this node, which may have left. One that was revoked is nobody's, whoever had it.
func (p *people) known(k signet.Key) error {
	if p.d.Charters.RevokedKey(k) {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("key %s was revoked: use another of yours", k.Fingerprint()))
	}
	if x, ok := p.d.Charters.Document(); ok {
		if _, ok := x.Owner(k); ok {
			return nil
		}
	}
	if p.officer(k) {
		return nil
	}
	return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("key %s belongs to nobody in this circle", k.Fingerprint()))
}

func (p *people) officer(k signet.Key) bool {
	_, r, _ := p.d.Circle.Roster()
	return slices.ContainsFunc(slices.Concat(r.Operators, []charter.Operator{p.d.Operator()}), func(o charter.Operator) bool {
		return slices.ContainsFunc(o.Officers, k.Equal)
	})
}

// mayRead says whether a key may see a vault: one of its people, or an officer of an operator of its
// committee who is in the newest roster, or at this node. Of one that left, the others show nothing.
func (p *people) mayRead(k signet.Key, v charter.Vault) bool {
	if _, err := v.Who(k); err == nil {
		return true
	}
	_, r, _ := p.d.Circle.Roster()
	for _, o := range slices.Concat(r.Operators, []charter.Operator{p.d.Operator()}) {
		if slices.Contains(v.Committee, o.Name) && slices.ContainsFunc(o.Officers, k.Equal) {
			return true
		}
	}
	return false
}

// reader is what the bearer of a request's token may see. Whose key it is is asked anew: a token must not outlive its person's part in the circle.
func (p *people) reader(h http.Header) (func(statement.ID) bool, func(charter.Vault) bool, error) {
	k, err := p.tokens.who(time.Now(), h.Get("Authorization"))
	if err != nil {
		return nil, nil, connect.NewError(connect.CodeUnauthenticated, err)
	}
	if err := p.known(k); err != nil {
		return nil, nil, err
	}
	may := func(v charter.Vault) bool { return p.mayRead(k, v) }
	return func(id statement.ID) bool {
		roots := p.d.Keeper.Vault(id)
		return len(roots) > 0 && may(roots[0].Vault)
	}, may, nil
}

// readVault checks a request that names one vault.
func (p *people) readVault(h http.Header, raw []byte) (statement.ID, error) {
	may, _, err := p.reader(h)
	if err != nil {
		return statement.ID{}, err
	}
	id, err := idOf(raw, "vault id")
	if err == nil && !may(id) {
		err = connect.NewError(connect.CodeNotFound, errors.New("no such vault is known to this node, or it is not yours to see"))
	}
	return id, err
}

func (p *people) Submit(ctx context.Context, r *connect.Request[pb.SubmitRequest]) (*connect.Response[pb.SubmitResponse], error) {
	n, id, err := noteOf(r.Msg)
	if err != nil {
		return nil, fail(err)
	}
	known, err := p.d.Submit(ctx, time.Now(), n)
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.SubmitResponse{Id: id, Known: known}), nil
}

// noteOf makes the note of what a person submits.
func noteOf(r *pb.SubmitRequest) (n outbox.Note, id []byte, err error) {
	if v := r.GetVote(); v != nil {
		return outbox.Note{Kind: decide.NoteVote, Fields: [][]byte{v.Intent, []byte(v.Verb), v.Signature}}, v.Intent, nil
	}
	if c := r.GetContribution(); c != nil {
		// Whoever carries it: the node holds it to the activation that it knows before it keeps it.
		if len(c.Activation) != len(statement.ID{}) || len(c.Contribution) > guard.MaxContribution {
			return n, nil, fmt.Errorf("the contribution names an activation of %d bytes, and has %d; 32, and at most %d, are allowed", len(c.Activation), len(c.Contribution), guard.MaxContribution)
		}
		return outbox.Note{Kind: rescue.NoteContribution, Fields: [][]byte{c.Activation, c.Contribution}}, c.Activation, nil
	}
	s := r.GetSigned()
	if s == nil {
		return n, nil, errors.New("the request holds neither a statement, nor a vote, nor a contribution")
	}
	parsed, err := statement.Parse(s.Statement)
	if err != nil {
		return n, nil, err
	}
	kinds := map[statement.Kind]outbox.Kind{
		statement.Intent: decide.NoteProposal, statement.Cancel: decide.NoteCancel, statement.Account: wallet.NoteAccount, statement.Revoke: charters.NoteRevoke,
		statement.SOSRequest: rescue.NoteSaid, statement.SOSSupport: rescue.NoteSaid, statement.SOSVeto: rescue.NoteSaid, statement.SOSChallenge: rescue.NoteSaid,
		statement.SOSAlive: rescue.NoteSaid, statement.SOSClose: rescue.NoteSaid, statement.SOSEarlyRelease: rescue.NoteSaid,
		statement.BackupDrill: backup.NoteDrill,
	}
	k, ok := kinds[parsed.Kind()]
	if !ok {
		return n, nil, fmt.Errorf("people do not submit statements of kind %q here", parsed.Kind())
	}
	if k == backup.NoteDrill { // it counts by its own proof: a signature beside it would be words that nobody checked
		return outbox.Note{Kind: k, Fields: [][]byte{s.Statement}}, idBytes(parsed.ID()), nil
	}
	return outbox.Note{Kind: k, Fields: [][]byte{s.Statement, s.Signature}}, idBytes(parsed.ID()), nil
}

func (p *people) Roster(_ context.Context, _ *connect.Request[pb.RosterRequest]) (*connect.Response[pb.RosterResponse], error) {
	all := p.d.Circle.Versions()
	if len(all) == 0 {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("there is no roster yet"))
	}
	out := &pb.RosterResponse{}
	for _, a := range all {
		out.Earlier = append(out.Earlier, &pb.Roster{Statement: a.Statement.Bytes(), Acceptances: acceptances(a)})
	}
	newest := out.Earlier[len(all)-1]
	out.Earlier = out.Earlier[:len(all)-1]
	out.Statement, out.Acceptances = newest.Statement, newest.Acceptances
	return connect.NewResponse(out), nil
}

func (p *people) Charter(_ context.Context, r *connect.Request[pb.CharterRequest]) (*connect.Response[pb.CharterResponse], error) {
	if _, _, err := p.reader(r.Header()); err != nil {
		return nil, err
	}
	return connect.NewResponse(p.charter()), nil
}

func (p *people) Vaults(_ context.Context, r *connect.Request[pb.VaultsRequest]) (*connect.Response[pb.VaultsResponse], error) {
	_, may, err := p.reader(r.Header())
	if err != nil {
		return nil, err
	}
	out, err := p.vaults(may, false)
	if err != nil {
		return nil, internal("list vaults", err)
	}
	return connect.NewResponse(out), nil
}

func (p *people) Accounts(ctx context.Context, r *connect.Request[pb.AccountsRequest]) (*connect.Response[pb.AccountsResponse], error) {
	id, err := p.readVault(r.Header(), r.Msg.Vault)
	if err != nil {
		return nil, err
	}
	all, err := p.d.Accounts.List(ctx, id)
	if err != nil {
		return nil, internal("list accounts", err)
	}
	out := &pb.AccountsResponse{}
	for _, a := range all {
		out.Accounts = append(out.Accounts, &pb.Account{
			Vault: r.Msg.Vault, Department: a.Department, Name: a.Name, Path: statement.FormatPath(a.Path[:]...),
			Statement: a.Statement.Bytes(), Addresses: counts(a.Addresses),
		})
	}
	return connect.NewResponse(out), nil
}

// suite is the suite that a request asks for: the vault's first where it names none.
func (p *people) suite(vault statement.ID, asked string) string {
	if roots := p.d.Keeper.Vault(vault); asked == "" && len(roots) > 0 {
		return roots[0].Vault.Suites[0]
	}
	return asked
}

func (p *people) NewAddress(ctx context.Context, r *connect.Request[pb.NewAddressRequest]) (*connect.Response[pb.NewAddressResponse], error) {
	id, err := p.readVault(r.Header(), r.Msg.Vault)
	if err != nil {
		return nil, err
	}
	suite := p.suite(id, r.Msg.Suite)
	stale, err := p.proven(ctx, id, suite)
	if err != nil {
		return nil, fail(err)
	}
	if len(stale) > 0 {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf(
			"no address is given out: the shares of %s have not proved themselves within a day; bring their nodes back and try again", strings.Join(stale, ", ")))
	}
	if err := p.d.Backed(ctx, id, suite); err != nil {
		return nil, fail(fmt.Errorf("no address is given out: %w", err))
	}
	a, err := p.d.Accounts.New(ctx, time.Now(), id, suite, r.Msg.Department, r.Msg.Account)
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.NewAddressResponse{Address: address(a)}), nil
}

func (p *people) Addresses(ctx context.Context, r *connect.Request[pb.AddressesRequest]) (*connect.Response[pb.AddressesResponse], error) {
	id, err := p.readVault(r.Header(), r.Msg.Vault)
	if err != nil {
		return nil, err
	}
	all, err := p.d.Accounts.Addresses(ctx, id, p.suite(id, r.Msg.Suite), r.Msg.Department, r.Msg.Account)
	if err != nil {
		return nil, fail(err)
	}
	out := &pb.AddressesResponse{}
	for _, a := range all {
		out.Addresses = append(out.Addresses, address(a))
	}
	return connect.NewResponse(out), nil
}

func (p *people) Intents(_ context.Context, r *connect.Request[pb.IntentsRequest]) (*connect.Response[pb.IntentsResponse], error) {
	may, _, err := p.reader(r.Header())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(p.intents(r.Msg.Vault, may)), nil
}

func (p *people) Intent(_ context.Context, r *connect.Request[pb.IntentRequest]) (*connect.Response[pb.IntentResponse], error) {
	may, _, err := p.reader(r.Header())
	if err != nil {
		return nil, err
	}
	id, err := idOf(r.Msg.Id, "intent id")
	if err != nil {
		return nil, err
	}
	x, err := p.d.Desk.Show(id)
	if err == nil && !may(x.Intent.Vault) {
		err = fmt.Errorf("intent %s: %w", id.Short(), decide.ErrUnknown)
	}
	if err != nil {
		return nil, fail(err)
	}
	return connect.NewResponse(&pb.IntentResponse{Intent: p.intent(x)}), nil
}

// Quote completes a request for a transfer at this node's own endpoint.
func (p *people) Quote(ctx context.Context, r *connect.Request[pb.QuoteRequest]) (*connect.Response[pb.QuoteResponse], error) {
	if _, _, err := p.reader(r.Header()); err != nil {
		return nil, err
	}
	c := p.d.Endpoints[r.Msg.Chain]
	if c == nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("this node has no endpoint for chain %q: give nonce, gas and fees yourself", r.Msg.Chain))
	}
	from, err1 := evm.ParseAddress(r.Msg.From)
	to, err2 := evm.ParseAddress(r.Msg.To)
	amount, ok := new(big.Int).SetString(r.Msg.Amount, 10)
	if err1 != nil || err2 != nil || !ok {
		return nil, fail(errors.Join(err1, err2, errors.New("from, to and amount are needed")))
	}
	req := evm.Request{To: to, Amount: amount}
	if n := len(r.Msg.Data); n > evm.MaxLen {
		return nil, fail(fmt.Errorf("data: %d bytes, more than %d", n, evm.MaxLen))
	} else if n > 0 {
		req.Data = r.Msg.Data
	}
	if r.Msg.Token != "" {
		token, err := evm.ParseAddress(r.Msg.Token)
		if err != nil {
			return nil, fail(err)
		}
		req.Token = &token
	}
	var out *pb.QuoteResponse
	err := c.Any(ctx, func(ctx context.Context, e *rpc.EVM) (err error) {
		out, err = quote(ctx, e, from, req)
		return err
	})
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(out), nil
}

// quote is what one endpoint offers for a transfer.
func quote(ctx context.Context, e *rpc.EVM, from evm.Address, req evm.Request) (*pb.QuoteResponse, error) {
	out := &pb.QuoteResponse{Endpoint: e.Endpoint()}
	if req.Token != nil {
		decimals, err := e.TokenDecimals(ctx, *req.Token)
		if err != nil {
			return nil, err
		}
		out.Decimals = uint32(decimals)
	}
	full, err := e.Complete(ctx, from, req)
	if err != nil {
		return nil, err
	}
	balance, err := e.Balance(ctx, from)
	if err != nil {
		return nil, err
	}
	out.Nonce, out.Gas, out.Balance = full.Nonce, full.Gas, balance.String()
	out.FeeCap, out.TipCap = full.FeeCap.String(), full.TipCap.String()
	return out, nil
}

// Block reads a block at this node's own endpoint.
func (p *people) Block(ctx context.Context, r *connect.Request[pb.BlockRequest]) (*connect.Response[pb.BlockResponse], error) {
	if _, _, err := p.reader(r.Header()); err != nil {
		return nil, err
	}
	c := p.d.Endpoints[r.Msg.Chain]
	if c == nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("this node has no endpoint for chain %q", r.Msg.Chain))
	}
	var out *pb.BlockResponse
	err := c.Any(ctx, func(ctx context.Context, e *rpc.EVM) error {
		b, found, err := e.Block(ctx, r.Msg.Height)
		if err == nil && !found {
			err = fmt.Errorf("the endpoint %s has no such block: it lies ahead, or it is so old that it is not kept", e.Endpoint())
		}
		out = &pb.BlockResponse{Height: b.Height, Hash: b.Hash[:], Endpoint: e.Endpoint()}
		return err
	})
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(out), nil
}

func (p *people) Sessions(_ context.Context, r *connect.Request[pb.SessionsRequest]) (*connect.Response[pb.SessionsResponse], error) {
	may, _, err := p.reader(r.Header())
	if err != nil {
		return nil, err
	}
	keys := map[[32]byte]bool{}
	for _, v := range p.d.Keeper.Roots() {
		if may(v.Vault.ID) {
			keys[v.KeyID] = true
		}
	}
	return connect.NewResponse(p.sessions(func(k [32]byte) bool { return keys[k] })), nil
}
