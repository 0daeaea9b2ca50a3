package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// Ready is the state of a vault that gives out addresses and signs.
const Ready = "ready"

// Accepting is the state of a vault whose statement lacks signatures of officers.
const Accepting = "accepting"

// Damaged is the state of a vault, or key, at a node that cannot read its own rows of it: the others speak for it.
const Damaged = "damaged"

// Bare is the state of a key at a node that should hold a share of it and does not: its store is a copy from before the epoch in force.
const Bare = "no share"

// Left is the state of a key at a node that held a share of it once.
const Left = "left"

// A Vault is a vault as all answering nodes show it, checked here: its statement by its id, its
// keys by their final certificates, whose members must be the nodes of a committee that officers signed.
type Vault struct {
	charter.Vault                    // committee and threshold are those of its first key's epoch in force
	Founded       charter.Vault      // as its statement says
	Reshares      []charter.Accepted // complete or not, by number
	Rescued       [][]byte           // of each epoch that an emergency made: a chain of the certificate before it and its own
	plans         *charter.Succession
	nodes         map[string]string // operators by their nodes' identities, those that left too
	Roster        charter.Roster    // where its operators are looked up: charter.Chain.Reach
	Statement     statement.Statement
	State         string          // Ready, or what the least advanced root of the least advanced node waits for
	Waiting       []string        // operators
	LastError     string          // why the last attempt at a key failed
	Accepted      map[string]bool // operators whose officer signed; all once the keys are being made
	Roots         []Root          // by suite; none while officers have to sign
	Nodes         []string        // that know the vault
	Apart         bool            // the node that shows it has no part in its keys, and learns of none, or cannot read what it keeps of them
	rules         *Rules          // whose terms it has
	shownBy       string          // the operator whose node shows it; "" if that is not known
}

// A Root is a vault's key of one suite.
type Root struct {
	Suite     string
	State     string
	Waiting   []string
	LastError string
	Record    *epoch.Record // nil until the key is published
	Held      charter.Vault // committee and threshold of that record
	Bare      []string      // operators whose nodes say that they hold no share, and should
	Moving    string        // what new shares on their way wait for; empty: none are on their way
	Proved    map[string]time.Time
	LeftEpoch uint64 // the first epoch without the node that shows it, which held a share before; else 0
	LeftAt    string // when that came into force there; "" if it is not known
}

// Root finds a root by its suite; "" is the only one.
func (v Vault) Root(suite string) (Root, error) {
	if suite == "" && len(v.Suites) > 1 {
		return Root{}, fmt.Errorf("vault %s has keys of several suites: name one of %s", v.Name, strings.Join(v.Suites, ", "))
	}
	for _, r := range v.Roots {
		if suite == "" || r.Suite == suite {
			return r, nil
		}
	}
	if suite != "" && !slices.Contains(v.Suites, suite) {
		return Root{}, fmt.Errorf("vault %s has no key of suite %q; it has %s", v.Name, suite, strings.Join(v.Suites, ", "))
	}
	return Root{}, fmt.Errorf("vault %s has no key yet", v.Name)
}

// PublicKey is the root key's point, or nil.
func (r Root) PublicKey() []byte {
	if r.Record == nil {
		return nil
	}
	return r.Record.Public.Bytes()
}

// XPub is the root key with its chain code in BIP 32's form, or "": Ed25519 has no such form.
func (r Root) XPub() (string, error) {
	if r.Record == nil {
		return "", nil
	}
	x, ok := r.Record.Public.(*secp256k1.Point)
	if !ok {
		return "", nil
	}
	root, err := hd.Root(x, r.Record.ChainCode)
	if err != nil {
		return "", err
	}
	return root.XPub(hd.Mainnet), nil
}

// Address derives the address at a path below a root, by itself, in the form of a chain.
func (v Vault) Address(r Root, chainID string, path hd.Path) (address string, key group.Point, err error) {
	if r.Record == nil {
		return "", nil, fmt.Errorf("vault %s has no key of suite %s yet", v.Name, r.Suite)
	}
	if key, _, err = ceremony.Child(r.Record, path); err != nil {
		return "", nil, err
	}
	address, err = chain.Address(r.Suite, chainID, key, policy.Tree(v.Vault, r.Suite))
	return address, key, err
}

// ReadVaults gives meaning to one node's answer and checks all that can be checked.
func ReadVaults(node string, chain charter.Chain, rules *Rules, list []*v1.Vault) ([]Vault, error) {
	var out []Vault
	for _, m := range list {
		v, err := readVault(chain, rules, m)
		if err != nil {
			return nil, &VerifyError{node, fmt.Errorf("vault %.64q: %w", m.Name, err)}
		}
		v.Nodes = []string{node}
		out = append(out, v)
	}
	return out, nil
}

func readVault(chain charter.Chain, rules *Rules, m *v1.Vault) (Vault, error) {
	s, err := statement.ParseKind(m.Statement, statement.Vault)
	if err != nil {
		return Vault{}, err
	}
	if id := s.ID(); !bytes.Equal(id[:], m.Id) {
		return Vault{}, fmt.Errorf("its statement's id is %s, not %x", id.Short(), m.Id)
	}
	spec, err := charter.VaultOf(s)
	if err != nil {
		return Vault{}, err
	}
	founding, _ := chain.Version(spec.Roster)
	if err := spec.CheckRoster(founding); err != nil {
		return Vault{}, err
	}
	listed, ok := rules.History.Version(spec.Charter)
	if !ok {
		return Vault{}, fmt.Errorf("it stands under charter %s, which no node shows", spec.Charter.Short())
	}
	if err := spec.CheckCharter(listed); err != nil {
		return Vault{}, err
	}
	spec = rules.Terms(spec)
	r, _ := chain.Reach(spec.Roster)
	v := Vault{
		Vault: spec, Founded: spec, plans: charter.NewSuccession(spec, chain), Roster: r, Statement: s, State: m.State, Waiting: m.Waiting, LastError: m.LastError,
		Accepted: map[string]bool{}, rules: rules, nodes: nodesOf(chain),
	}
	if err := v.readReshares(m.Reshares); err != nil {
		return Vault{}, err
	}
	if err := v.readRescued(m.Rescued); err != nil {
		return Vault{}, err
	}
	for _, x := range m.Members {
		v.Accepted[x.Operator] = x.Accepted
	}
	for _, x := range m.Roots {
		root, err := v.readRoot(x)
		if err != nil {
			return Vault{}, fmt.Errorf("suite %.32q: %w", x.Suite, err)
		}
		v.Roots = append(v.Roots, root)
	}
	if err := v.ownRescues(); err != nil {
		return Vault{}, err
	}
	if len(v.Roots) > 0 && v.Roots[0].Record != nil {
		v.Vault = v.Roots[0].Held
	}
	var suites []string
	for _, root := range v.Roots {
		suites = append(suites, root.Suite)
	}
	if len(suites) > 0 && !slices.Equal(suites, v.Suites) {
		return Vault{}, fmt.Errorf("keys of suites %v are shown, its statement has %v", suites, v.Suites)
	}
	if ready := !slices.ContainsFunc(v.Roots, func(r Root) bool { return r.State != Ready }); (v.State == Ready) != (ready && len(suites) > 0) {
		return Vault{}, fmt.Errorf("its state is %.32q, which is not that of its keys", v.State)
	}
	return v, nil
}

func (v Vault) readRoot(m *v1.Root) (Root, error) {
	r := Root{Suite: m.Suite, State: m.State, Waiting: m.Waiting, LastError: m.LastError, Held: v.Founded, Moving: m.Change, Proved: map[string]time.Time{}}
	if m.State == Left {
		r.LeftEpoch, r.LeftAt = m.LeftEpoch, m.LeftAt
	}
	for _, x := range m.Holders {
		if t, err := time.Parse(time.RFC3339, x.Proved); err == nil {
			r.Proved[x.Operator] = t
		}
	}
	var err error
	if len(m.FinalCertificate) > 0 {
		if r.Record, err = v.readKey(m); err == nil {
			r.Held, err = v.heldBy(r.Record)
		}
	} else if m.State == Ready {
		err = errors.New("it is said to be ready, and shows no final certificate")
	}
	return r, err
}

// readKey believes nothing but the final certificate: its members, who are all nodes of a committee that officers signed, have
// each proved a share of this key and confirmed this record.
func (v Vault) readKey(m *v1.Root) (*epoch.Record, error) {
	f, err := epoch.DecodeFinalCert(m.FinalCertificate)
	if err != nil {
		return nil, err
	}
	rec := f.Record
	eh := rec.Hash()
	switch {
	case !v.owns(m.Suite, rec.KeyID):
		return nil, errors.New("its key is another vault's")
	case rec.Suite != m.Suite:
		return nil, errors.New("its key has another suite than is said")
	case !bytes.Equal(m.PublicKey, rec.Public.Bytes()) || !bytes.Equal(m.Key, rec.KeyID[:]) || !bytes.Equal(m.Epoch, eh[:]):
		return nil, errors.New("public key, key id or epoch are not those of its final certificate")
	}
	return rec, nil
}

// under is the vault on the terms that it had under a version of the charter, when something of then was made.
func (v Vault) under(id statement.ID, at time.Time) (Vault, bool) {
	then, ok := v.rules.then(v.Founded, id, at)
	v.Founded.Terms, v.Terms = then.Terms, then.Terms
	v.Roots = slices.Clone(v.Roots)
	for i := range v.Roots {
		v.Roots[i].Held.Terms = then.Terms
	}
	return v, ok
}

// maxAttempts bounds how many key generations of one vault are looked for.
const maxAttempts = 4096

// owns says whether a key id is that of one of the vault's key generations of a suite, which are
// numbered from 1.
func (v Vault) owns(suite string, key [32]byte) bool {
	for attempt := uint64(1); attempt <= maxAttempts; attempt++ {
		if epoch.KeyID(v.ID, suite, attempt) == key {
			return true
		}
	}
	return false
}

// Vaults lists the person's vaults, compared over all nodes that answer.
func (c *Circle) Vaults(ctx context.Context) ([]Vault, []Failure, error) {
	chain, failed, err := c.Chain(ctx)
	if err != nil {
		return nil, nil, err
	}
	rules, _, err := c.rules(ctx, chain)
	if err != nil {
		return nil, nil, err
	}
	out, silent, err := c.vaults(ctx, chain, rules)
	lagging := slices.DeleteFunc(failed, func(f Failure) bool { return !errors.As(f.Err, new(*LagError)) })
	return out, append(silent, lagging...), err
}

// vaults lists the person's vaults under rosters and a charter that were read before.
func (c *Circle) vaults(ctx context.Context, chain charter.Chain, rules Rules) ([]Vault, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]Vault, error) {
		res, err := m.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
		if err != nil {
			return nil, err
		}
		list, err := ReadVaults(m.Name, chain, &rules, res.Msg.Vaults)
		for i, v := range list {
			list[i].Apart = v.apart(m.Identity)
			list[i].by(operatorOf(v.Roster, m.Identity))
		}
		return list, err
	})
	good, err := answers.Need("list vaults", 1)
	if err != nil {
		return nil, nil, err
	}
	out, err := MergeVaults(good)
	return out, answers.Failures(), err
}

// ErrUnknown says that no node that answered knows the thing.
var ErrUnknown = errors.New("no node that answered knows it")

// Vault finds one vault by its name, or by the beginning of its id.
func (c *Circle) Vault(ctx context.Context, name string) (Vault, []Failure, error) {
	all, down, err := c.Vaults(ctx)
	if err != nil {
		return Vault{}, down, err
	}
	v, err := FindVault(all, name)
	return v, down, err
}

// FindVault finds one vault by its name, or by 8 or more digits that its id begins with. Of several of one name, which hostile
// operators may show, the only one that has a key is meant.
func FindVault(all []Vault, name string) (Vault, error) {
	var named, keyed, begins []Vault
	var names, ids []string
	for _, v := range all {
		switch {
		case v.Name == name:
			named, ids = append(named, v), append(ids, v.ID.String())
			if slices.ContainsFunc(v.Roots, func(r Root) bool { return r.Record != nil }) {
				keyed = append(keyed, v)
			}
		case len(name) >= 8 && strings.HasPrefix(v.ID.String(), name):
			begins = append(begins, v)
		}
		names = append(names, v.Name)
	}
	for _, fit := range [][]Vault{named, keyed} {
		if len(fit) == 1 {
			return fit[0], nil
		}
	}
	if len(named) > 1 {
		return Vault{}, fmt.Errorf("%d vaults are named %q: give the id of the one that you mean: %s", len(named), name, strings.Join(ids, ", "))
	}
	if len(begins) == 1 {
		return begins[0], nil
	}
	return Vault{}, fmt.Errorf("vault %q: %w; yours are: %s", name, ErrUnknown, strings.Join(names, ", "))
}

// An Account is one of a vault's accounts, as the nodes show it.
type Account struct {
	charter.Account
	ID        statement.ID
	Addresses map[string]map[string]int // node → suite → given out so far
}

// Given is the most addresses of a suite that any node has given out.
func (a Account) Given(suite string) (most int) {
	for _, given := range a.Addresses {
		most = max(most, given[suite])
	}
	return most
}

// ahead is how many addresses beyond those that it gave out itself each node looks for in blocks of Bitcoin.
const ahead = 40

// Looked is below which index an address of a suite was given out as some node says, and is one at which two nodes look for coins. One node's word alone is not enough: change that goes
// to an address far beyond would be found by none of them.
func (a Account) Looked(suite string) int {
	most, second := 0, 0
	for _, given := range a.Addresses {
		n := given[suite]
		most, second = max(most, n), max(second, min(most, n))
	}
	return min(most, second+ahead)
}

// Accounts lists a vault's accounts. The nodes must agree on what a name means.
func (c *Circle) Accounts(ctx context.Context, v Vault) ([]Account, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]Account, error) {
		res, err := m.Accounts(ctx, connect.NewRequest(&v1.AccountsRequest{Vault: v.ID[:]}))
		if err != nil {
			return nil, err
		}
		return readAccounts(m.Name, v, res.Msg.Accounts)
	})
	good, err := answers.Need("list accounts of vault "+v.Name, 1)
	if err != nil {
		return nil, nil, err
	}
	names := map[string][]Copy{}
	all := map[statement.ID]*Account{}
	for _, a := range good {
		for _, x := range a.Value {
			name := x.Department + "/" + x.Name
			names[name] = append(names[name], Copy{a.Node, []byte(statement.FormatPath(x.Path[:]...) + " by statement " + x.ID.Short())})
			if all[x.ID] == nil {
				all[x.ID] = &x
			}
			all[x.ID].Addresses[a.Node] = x.Addresses[a.Node]
		}
	}
	for name, copies := range names {
		if err := Compare("account "+name, copies); err != nil {
			return nil, nil, err
		}
	}
	var out []Account
	for _, x := range all {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Account) int { return slices.Compare(a.Path[:], b.Path[:]) })
	return out, answers.Failures(), nil
}

func readAccounts(node string, v Vault, list []*v1.Account) ([]Account, error) {
	var out []Account
	for _, m := range list {
		s, err := statement.ParseKind(m.Statement, statement.Account)
		if err != nil {
			return nil, &VerifyError{node, err}
		}
		a, err := charter.AccountOf(s)
		if err == nil && (a.Vault != v.ID || a.Department != m.Department || a.Name != m.Name) {
			err = fmt.Errorf("account %s is shown as %s/%s of vault %s", s.ID().Short(), m.Department, m.Name, v.Name)
		}
		if err != nil {
			return nil, &VerifyError{node, err}
		}
		given := map[string]int{}
		for suite, n := range m.Addresses {
			given[suite] = int(n)
		}
		out = append(out, Account{a, s.ID(), map[string]map[string]int{node: given}})
	}
	return out, nil
}

// An Address is one that nodes gave out and that was derived here from the vault's key.
type Address struct {
	Path      hd.Path
	Suite     string
	Chain     string // whose form it has
	Address   string
	PublicKey []byte   // the derived key's point
	Nodes     []string // that have given it out
}

// checkAddress compares what a node says with what follows from the key.
func checkAddress(node string, v Vault, r Root, a Account, index uint32, m *v1.Address) (Address, error) {
	path := hd.Path{a.Path[0], a.Path[1], index}
	on := chain.First(r.Suite, v.Chains)
	own, key, err := v.Address(r, on, path)
	if err != nil {
		return Address{}, err
	}
	if m.Path != path.String() || m.Address != own || m.Suite != r.Suite || m.Chain != on || !bytes.Equal(m.PublicKey, key.Bytes()) {
		what := fmt.Sprintf("the address at %s", path)
		return Address{}, Compare(what, []Copy{{node, []byte(m.Path + " " + m.Address)}, {"the vault's key", []byte(path.String() + " " + own)}})
	}
	return Address{path, r.Suite, on, own, key.Bytes(), []string{node}}, nil
}

// Addresses lists what nodes gave out of an account, each derived here too.
func (c *Circle) Addresses(ctx context.Context, v Vault, r Root, a Account) ([]Address, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]Address, error) {
		res, err := m.Addresses(ctx, connect.NewRequest(&v1.AddressesRequest{Vault: v.ID[:], Department: a.Department, Account: a.Name, Suite: r.Suite}))
		if err != nil {
			return nil, err
		}
		var out []Address
		for i, x := range res.Msg.Addresses {
			one, err := checkAddress(m.Name, v, r, a, uint32(i), x)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	})
	good, err := answers.Need("list addresses of "+a.Department+"/"+a.Name, 1)
	if err != nil {
		return nil, nil, err
	}
	var out []Address
	for _, x := range good {
		for i, one := range x.Value {
			if i == len(out) {
				out = append(out, one)
				continue
			}
			out[i].Nodes = append(out[i].Nodes, x.Node)
		}
	}
	return out, answers.Failures(), nil
}

// addressTimeout leaves nodes the time to prove their shares first.
const addressTimeout = 25 * time.Second

// maxCatchUp bounds how many addresses a node is asked for that others gave out already.
const maxCatchUp = 1000

// NewAddress asks every node for the address after the last one that any node gave out; a node
// that was away gives out first what it missed. least answers are needed.
func (c *Circle) NewAddress(ctx context.Context, v Vault, r Root, a Account, least int) (Address, []Failure, error) {
	index := uint32(a.Given(r.Suite))
	answers := AskFor(ctx, c, addressTimeout, func(ctx context.Context, m *Member) (Address, error) {
		from := uint32(a.Addresses[m.Name][r.Suite])
		if index-from > maxCatchUp {
			return Address{}, fmt.Errorf("it is %d addresses behind the others: ask again to let it catch up", index-from)
		}
		for at := from; ; at++ {
			res, err := m.NewAddress(ctx, connect.NewRequest(&v1.NewAddressRequest{Vault: v.ID[:], Department: a.Department, Account: a.Name, Suite: r.Suite}))
			if err != nil {
				return Address{}, err
			}
			if res.Msg.Address == nil {
				return Address{}, &VerifyError{m.Name, errors.New("its answer holds no address")}
			}
			if got := pathOf(a, res.Msg.Address.Path); got > int64(at) {
				return Address{}, connect.NewError(connect.CodeUnavailable, fmt.Errorf("somebody else was given address %d at the same moment: ask again", at))
			}
			one, err := checkAddress(m.Name, v, r, a, at, res.Msg.Address)
			if err != nil || at == index {
				return one, err
			}
		}
	})
	good, err := answers.Need(fmt.Sprintf("give out address %d of %s/%s", index, a.Department, a.Name), least)
	if err != nil {
		return Address{}, nil, err
	}
	out := good[0].Value
	for _, x := range good[1:] {
		out.Nodes = append(out.Nodes, x.Node)
	}
	return out, answers.Failures(), nil
}

// pathOf is the index of an address below its account, or -1 if the path is another's.
func pathOf(a Account, path string) int64 {
	p, err := hd.ParsePath(path)
	if err != nil || len(p) != 3 || p[0] != a.Path[0] || p[1] != a.Path[1] {
		return -1
	}
	return int64(p[2])
}

// FindAccount finds "department/name".
func FindAccount(all []Account, name string) (Account, error) {
	var names []string
	for _, a := range all {
		if a.Department+"/"+a.Name == name {
			return a, nil
		}
		names = append(names, a.Department+"/"+a.Name)
	}
	if len(names) == 0 {
		return Account{}, fmt.Errorf("account %q: %w: the vault has no account yet", name, ErrUnknown)
	}
	return Account{}, fmt.Errorf("account %q: %w; there are: %s", name, ErrUnknown, strings.Join(names, ", "))
}
