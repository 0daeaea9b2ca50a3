package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// A vault with its keys as the statements give them.
type vault struct {
	charter.Vault // as its own statement says
	plans         *charter.Succession
	keys          []*key
	accounts      map[string]string // "m/D/A" → department/account
	children      map[string]group.Point
	out           Vault
}

// A key is a root key with all records that were in force.
type key struct {
	suite   string
	id      [32]byte
	chain   *epoch.Chain
	records map[epoch.Hash]*epoch.Record
	since   map[epoch.Hash]time.Time
	proved  map[string]Holder // by operator

	set      *guard.Set        // of the epoch in force, once it was verified
	masks    map[string]Holder // of it, by operator
	coverage int               // where it stands in its vault's
}

func (k *key) current() *epoch.Record { return k.chain.Last().Record }

// rescued says whether an emergency made a committee like the present one. Whether it had grounds, and which, is judged apart.
func (k *key) rescued() bool {
	same := func(a, b *epoch.Record) bool {
		return a.Threshold == b.Threshold && slices.EqualFunc(a.Members, b.Members, func(m, n epoch.Member) bool { return m.Identity.Equal(n.Identity) })
	}
	return slices.ContainsFunc(k.chain.Links(), func(f *epoch.FinalCert) bool { return f.Record.Rescued() && same(f.Record, k.current()) })
}

// checkVaults finds the vaults whose statements their committees' officers signed, and follows their keys.
func (v *verifier) checkVaults() {
	for _, d := range v.statements(statement.Vault) {
		x, err := v.readVault(d)
		if err != nil {
			continue // waits for signatures, or gave way to another of its name
		}
		v.vaults = append(v.vaults, x)
	}
	slices.SortFunc(v.vaults, func(a, b *vault) int { return strings.Compare(a.Name, b.Name) })
	for _, x := range v.vaults {
		v.findKeys(x)
		v.followReshares(x)
		v.nameHolders(x)
		v.measure(x)
		v.vouched(x)
		v.readAccounts(x)
		v.readFreezes(x)
	}
	// A statement that never became a vault, beside another of its name that did.
	v.vaults = slices.DeleteFunc(v.vaults, func(x *vault) bool {
		return len(x.keys) == 0 && slices.ContainsFunc(v.vaults, func(o *vault) bool { return o.Name == x.Name && len(o.keys) > 0 })
	})
}

func (v *verifier) readVault(d *doc) (*vault, error) {
	spec, err := charter.VaultOf(d.statement)
	if err != nil {
		return nil, err
	}
	r, known := v.rosters.Version(spec.Roster)
	c, listed := v.history.Version(spec.Charter)
	if !known || !listed {
		return nil, fmt.Errorf("vault %s: its roster or charter is not known", spec.Name)
	}
	by, err := r.AcceptorsOf(spec)
	if err == nil {
		err = spec.CheckCharter(c)
	}
	if err == nil {
		err = v.accepted(d, by).Verify(by)
	}
	if err != nil {
		return nil, err
	}
	x := &vault{Vault: spec, plans: charter.NewSuccession(spec, v.rosters), accounts: map[string]string{}, children: map[string]group.Point{}}
	newest, _ := v.history.Newest()
	terms := newest.Terms(spec, v.Now, v.isRevoked)
	x.out = Vault{ID: spec.ID, Name: spec.Name, Tier: terms.Tier, Threshold: spec.Threshold, Committee: spec.Committee, Quorum: terms.Quorum, Published: terms.Publish}
	return x, nil
}

func (v *verifier) isRevoked(k signet.Key) bool { _, ok := v.revoked[k.String()]; return ok }

// followReshares takes the complete ones, in the order of their numbers. What officers signed after an emergency follows its activation (spec/node 12.11).
func (v *verifier) followReshares(x *vault) {
	type plan struct {
		r charter.Reshare
		d *doc
	}
	var all []plan
	for _, d := range v.statements(statement.Reshare) {
		if r, err := charter.ReshareOf(d.statement); err == nil && r.Vault == x.ID {
			all = append(all, plan{r, d})
		}
	}
	slices.SortFunc(all, func(a, b plan) int { return cmp.Compare(a.r.Number, b.r.Number) })
	v.followRescues(x)
	for _, p := range all {
		before, roster, err := x.plans.Before(p.r)
		if err != nil {
			continue
		}
		a := v.accepted(p.d, p.r.Concerned(before, roster))
		if err := x.plans.Add(a); err != nil {
			continue // not complete
		}
		v.followRescues(x)
	}
}

// followRescues takes the committees that emergencies made of those that are known so far: the certificate of each stands in the chain of a key.
func (v *verifier) followRescues(x *vault) {
	for _, k := range x.keys {
		links := k.chain.Links()
		for i, f := range links[1:] {
			if before, r := links[i].Record, f.Record; r.Rescued() {
				x.plans.Rescued(charter.Emergency{Activation: r.Rescue.Activation, Threshold: before.Threshold, Before: v.committee(before), To: r.Threshold, Members: v.committee(r)})
			}
		}
	}
}

// findKeys follows each suite's key from the choice that all of the committee signed, epoch by epoch.
func (v *verifier) findKeys(x *vault) {
	r, _ := v.rosters.Version(x.Roster)
	for _, suite := range x.Suites {
		k, err := v.followKey(x, r, suite)
		if err != nil {
			v.report.attend(fmt.Sprintf("vault %s has no key of suite %s that was made known: %v", x.Name, suite, err))
			continue
		}
		x.keys = append(x.keys, k)
	}
}

// nameHolders says who holds each key, and by whose word.
func (v *verifier) nameHolders(x *vault) {
	subject := "vault " + x.Name
	for _, k := range x.keys {
		rec := k.current()
		names := slices.Sorted(slices.Values(v.committee(rec)))
		plan, sanctioned := x.plans.HeldBy(rec.Threshold, names)
		rescued := plan.Rescued() || !sanctioned && k.rescued()
		if !sanctioned && !rescued {
			v.report.fail(subject, "its committee is one that officers signed", fmt.Sprintf("%d of %s hold its key, which no statement says", rec.Threshold, strings.Join(names, ", ")))
		}
		x.out.Committee, x.out.Threshold = names, rec.Threshold
		basis := "each of them signed a certificate that it holds its share, and proved it; officers of all signed for this committee"
		if rescued {
			basis = "each of them signed a certificate that it holds its share, and proved it; contributors and guardians made this committee in an emergency (SOS)"
		} else if plan.Number > 0 {
			basis += fmt.Sprintf(" by reshare %d", plan.Number)
		}
		v.report.claim(Proved, subject, fmt.Sprintf("%d of %s must sign together with its %s key %x", rec.Threshold, strings.Join(names, ", "), k.suite, rec.Public.Bytes()), basis)
		for _, at := range v.epochs[k.chain.Links()[0].Record.Hash()] { // the earliest: one honest log is enough
			x.out.keyed = first(x.out.keyed, at)
		}
		x.out.Keys = append(x.out.Keys, Key{
			Suite: k.suite, PublicKey: fmt.Sprintf("%x", rec.Public.Bytes()), Epoch: rec.Epoch, Since: k.since[rec.Hash()], Epochs: len(k.chain.Links()),
		})
	}
}

// followKey finds the one choice of a key that every member's node signed. Others mean nothing, whoever shows them.
func (v *verifier) followKey(x *vault, r charter.Roster, suite string) (*key, error) {
	var chosen []charter.KeyChoice
	err := errNone
	for _, d := range v.statements(statement.Key) {
		c, e := charter.KeyChoiceOf(d.statement)
		if e != nil || c.Vault != x.ID || c.Suite != suite {
			continue
		}
		sigs := map[string][]byte{}
		for _, name := range x.Committee {
			o, _ := r.Operator(name)
			for _, sig := range d.signatures {
				v.signatures++
				if signet.VerifyNode(o.Identity, d.statement, sig.bytes) == nil {
					sigs[name], sig.holds = sig.bytes, true
				}
			}
		}
		if e := charter.VerifyKeyChoice(d.statement, x.Vault, r, sigs); e != nil {
			err = e
			continue
		}
		chosen = append(chosen, c)
	}
	if len(chosen) == 0 {
		return nil, err
	}
	if len(chosen) > 1 {
		v.report.fail("vault "+x.Name, "it has one key of each suite", fmt.Sprintf("its whole committee signed two of suite %s", suite))
	}
	return v.followEpochs(x, suite, chosen[0])
}

// followEpochs builds the chain of records from the first, which the choice names.
func (v *verifier) followEpochs(x *vault, suite string, c charter.KeyChoice) (*key, error) {
	g, err := epoch.GroupOf(suite)
	if err != nil {
		return nil, err
	}
	public, err := g.DecodePoint(c.PublicKey)
	if err != nil {
		return nil, err
	}
	k := &key{suite: suite, id: c.Key, records: map[epoch.Hash]*epoch.Record{}, since: map[epoch.Hash]time.Time{}, proved: map[string]Holder{}, masks: map[string]Holder{}}
	certs := v.certificates(c.Key)
	i := slices.IndexFunc(certs, func(f *epoch.FinalCert) bool { return [32]byte(f.Record.Hash()) == c.Epoch })
	if i < 0 {
		return nil, fmt.Errorf("the final certificate of its first epoch is not shown")
	}
	if k.chain, err = epoch.NewChain(certs[i], epoch.Enrolment{KeyID: c.Key, Public: public, Anchor: epoch.Hash(c.Epoch)}); err != nil {
		return nil, err
	}
	next := map[epoch.Hash][]*epoch.FinalCert{}
	for _, f := range certs {
		next[f.Record.Prev] = append(next[f.Record.Prev], f)
	}
	for extended := true; extended; {
		extended = false
		for _, f := range next[k.current().Hash()] {
			if longer, err := k.chain.Extend(f); err == nil {
				k.chain, extended = longer, true
				v.signatures += 2 * len(f.Record.Members)
				break
			}
		}
	}
	for _, f := range k.chain.Links() {
		eh := f.Record.Hash()
		k.records[eh] = f.Record
		k.since[eh] = v.inForce(eh)
	}
	v.broken(x, k, certs)
	return k, nil
}

// certificates are the final certificates of a key, by epoch.
func (v *verifier) certificates(id [32]byte) (out []*epoch.FinalCert) {
	for _, d := range v.order {
		if !d.is(tlog.KindFinalCert) {
			continue
		}
		if f, err := epoch.DecodeFinalCert(d.content); err == nil && f.Record.KeyID == id {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *epoch.FinalCert) int { return cmp.Compare(a.Record.Epoch, b.Record.Epoch) })
	return out
}

// inForce is since when logs tell that a record is.
func (v *verifier) inForce(eh epoch.Hash) time.Time {
	if v.epochs == nil {
		v.epochs = map[[32]byte][]time.Time{}
		for _, h := range v.logs {
			told := map[[32]byte]bool{}
			for n, l := range h.leaves {
				if l.Kind == tlog.KindFinalCert && !told[l.About] {
					told[l.About] = true
					v.epochs[l.About] = append(v.epochs[l.About], h.times[n])
				}
			}
		}
	}
	return middle(v.epochs[eh])
}

// measure finds the vault's control numbers as the charter in force and its present committee give them.
func (v *verifier) measure(x *vault) {
	c, _ := v.history.Newest()
	b, listed := c.Vault(x.Name)
	if !listed {
		v.report.attend(fmt.Sprintf("vault %s is not in the charter in force: nobody may ask for its signature", x.Name))
		return
	}
	b.Committee, b.Threshold = x.out.Committee, x.out.Threshold
	s, err := control.Of(c.Document, b)
	if err != nil {
		v.report.fail("vault "+x.Name, "where its shares lie stands in the charter", err.Error())
		return
	}
	x.out.Control = figures(s.Measure())
	var parts []string
	for _, f := range x.out.Control[:3] {
		parts = append(parts, fmt.Sprintf("%d %ss", f.Steal, f.Kind))
	}
	v.report.claim(Declared, "vault "+x.Name, "to steal its key, so many must collude: "+strings.Join(parts, ", "),
		"computed from where the charter says that every share lies and who has access; evidence raises it")
	v.measureAttested(x, s)
}

// vouched says which holders' logs are shown cosigned by fewer others than the charter wants before a signature. Each waited for them when it signed; the
// newest entries may be too new.
func (v *verifier) vouched(x *vault) {
	c, _ := v.history.Newest()
	need := c.Terms(x.Vault, v.Now, v.isRevoked).Witnesses
	for _, name := range x.out.Committee {
		h := v.log(name)
		if h == nil {
			continue
		}
		inside := slices.DeleteFunc(slices.Clone(v.cosigned[h]), func(c Cosigned) bool { return c.Outside })
		if len(inside) < need {
			v.report.attend(fmt.Sprintf("the log of %s is shown cosigned by %d of the %d operators that vault %s wants", name, len(inside), need, x.Name))
		}
	}
}

// readAccounts reads names of accounts, and addresses, each of which must follow from the key.
func (v *verifier) readAccounts(x *vault) {
	for _, d := range v.statements(statement.Account) {
		if a, err := charter.AccountOf(d.statement); err == nil && a.Vault == x.ID {
			x.accounts[statement.FormatPath(a.Path[:]...)] = a.Department + "/" + a.Name
		}
	}
	list, good, taproot := &addresses{at: map[string]int{}, forms: map[string][]int{}}, 0, false
	for _, h := range v.logs {
		for n, l := range h.leaves {
			d := v.docs[l.ID]
			if l.Kind != tlog.KindAddress || l.Vault != [32]byte(x.ID) || d == nil {
				continue
			}
			a, err := charter.DecodeAddress(d.content)
			if err == nil && list.again(a, h.times[n]) {
				continue
			}
			if err == nil {
				err = x.derives(a)
			}
			if err != nil {
				v.report.fail("operator "+h.operator, "each address that it gave out follows from its vault's key", fmt.Sprintf("one of vault %s does not: %v", x.Name, err))
				continue
			}
			good++
			taproot = taproot || a.Suite == charter.SuiteBIP340
			list.add(append([]charter.Address{a}, v.forms(x, a)...), x.accounts[a.Path[:2].String()], h.times[n])
		}
	}
	x.out.Addresses = append(x.out.Addresses, list.all...)
	if good > 0 {
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("its %s from its key", count(good, "address follows", "addresses follow")), "derived here")
	}
	v.protect(x, taproot)
	slices.SortFunc(x.out.Addresses, func(a, b Address) int { return strings.Compare(a.Path+a.Chain, b.Path+b.Chain) })
}

// addresses are those of one vault that logs tell of, each in every form of its key's.
type addresses struct {
	all   []Address
	at    map[string]int   // which of all, by chain and address
	forms map[string][]int // which of all are forms of one that was given out
}

// again takes an address that another leaf told before. The earliest time counts: whoever would hide what was paid there has to change all logs.
func (s *addresses) again(a charter.Address, told time.Time) bool {
	forms := s.forms[a.Chain+" "+a.Address]
	for _, i := range forms {
		s.all[i].Given = first(s.all[i].Given, told)
	}
	return len(forms) > 0
}

// add takes an address, the first, and its other forms.
func (s *addresses) add(forms []charter.Address, account string, told time.Time) {
	given := forms[0].Chain + " " + forms[0].Address
	for _, a := range forms {
		name := a.Chain + " " + a.Address
		i, known := s.at[name]
		if !known {
			i = len(s.all)
			s.at[name], s.all = i, append(s.all, Address{Address: a.Address, Chain: a.Chain, Path: a.Path.String(), Account: account, Given: told})
		}
		s.all[i].Given = first(s.all[i].Given, told)
		s.forms[given] = append(s.forms[given], i)
	}
}

// first is the earlier of two times; zero is none.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// forms are the other addresses of the key of one that was given out: those that the chains write otherwise for which the vault signs, or ever signed. A node gives out one form, that of
// the vault's first chain, and the key signs on all of them: left out, whoever stole it would take what lies on the others unseen.
func (v *verifier) forms(x *vault, a charter.Address) (out []charter.Address) {
	told := map[string]bool{a.Address: true}
	for i := len(v.history) - 1; i >= 0; i-- {
		b, _ := v.history[i].Vault(x.Name)
		for _, on := range b.Chains {
			if !chain.Serves(a.Suite, on) || on == a.Chain {
				continue
			}
			child, err := x.child(a.Suite, a.Path)
			if err != nil {
				return out
			}
			address, err := chain.Address(a.Suite, on, child, policy.Tree(x.Vault, a.Suite))
			if err == nil && !told[address] {
				told[address] = true
				out = append(out, charter.Address{Path: a.Path, Suite: a.Suite, Chain: on, Address: address, PublicKey: a.PublicKey})
			}
		}
	}
	return out
}

func (x *vault) derives(a charter.Address) error {
	child, err := x.child(a.Suite, a.Path)
	if err != nil {
		return err
	}
	address, err := chain.Address(a.Suite, a.Chain, child, policy.Tree(x.Vault, a.Suite))
	if err == nil && address != a.Address {
		err = fmt.Errorf("at %s it has %s, not %s", a.Path, address, a.Address)
	}
	return err
}

// child is the public key at a path below a suite's root.
func (x *vault) child(suite string, path hd.Path) (group.Point, error) {
	name := suite + path.String()
	if p, known := x.children[name]; known {
		return p, nil
	}
	for _, k := range x.keys {
		if k.suite == suite {
			p, _, err := hd.Derive(k.current().Public, k.current().ChainCode, path)
			if err == nil {
				x.children[name] = p
			}
			return p, err
		}
	}
	return nil, fmt.Errorf("it has no key of suite %s", suite)
}

// readFreezes lists the freezes that an officer of their operator signed.
func (v *verifier) readFreezes(x *vault) {
	ended := map[statement.ID]bool{}
	for _, d := range v.statements(statement.Unfreeze) {
		if d.statement.Fields().ID("vault") != x.ID {
			continue
		}
		u, err := charter.UnfreezeOf(d.statement)
		if by := v.acceptors(x.out.Committee); err == nil && v.accepted(d, by).Verify(by) == nil {
			for _, id := range u.Freezes {
				ended[id] = true
			}
		}
	}
	for _, d := range v.statements(statement.Freeze) {
		f, err := charter.FreezeOf(d.statement)
		if err != nil || f.Vault != x.ID || v.accepted(d, v.acceptors([]string{f.Operator})).Signatures[f.Operator] == nil {
			continue
		}
		x.out.Frozen = append(x.out.Frozen, Freeze{f.Operator, f.Created, f.Expires, f.Reason, ended[f.ID]})
		if v.Now.Before(f.Expires) && !ended[f.ID] {
			v.report.attend(fmt.Sprintf("vault %s is frozen by %s until %s", x.Name, f.Operator, statement.FormatTime(f.Expires)))
		}
	}
}

// acceptors are operators with all officers that they ever had: who signed once, signed.
func (v *verifier) acceptors(names []string) (out []charter.Acceptor) {
	for _, name := range names {
		a := charter.Acceptor{Operator: name}
		for _, r := range v.rosters {
			if o, ok := r.Operator(name); ok {
				for _, k := range o.Officers {
					if !slices.ContainsFunc(a.Officers, k.Equal) {
						a.Officers = append(a.Officers, k)
					}
				}
			}
		}
		out = append(out, a)
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
