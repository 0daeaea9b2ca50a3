package solana

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/effect"
)

// Suite is the suite of Solana's keys.
const Suite = "ed25519"

// A Context is what a node knows by itself when it decodes.
type Context struct {
	Chain string // CAIP-2: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	// Own says whether an address is one of the vault's, and its path below the vault's root of suite ed25519.
	Own   func(Key) (path [3]uint32, own bool)
	World World
}

// A Transaction is one that Decode understood in full. It is immutable.
type Transaction struct {
	chain    string
	message  *message
	envelope *envelope
	accounts []account
	paths    [][3]uint32 // of the signers
	actions  []action    // one for each instruction
	durable  *Key        // nonce account; nil: the message names a block
	priority uint64      // lamports at most
	fee      uint64      // lamports at most, with priority
}

// An account is one of a message's, from its own list or from a lookup table, with what the message lets instructions do to it.
type account struct {
	key              Key
	signer, writable bool
}

// An action is what one instruction does.
type action struct {
	text    string
	effects []effect.Effect
}

// Decode reads an unsigned form strictly, as spec/chain-solana 3 to 6 say: what is enclosed in it of accounts and lookup
// tables must be what the context's World says, or it is refused. Every error is a *Refused.
func Decode(unsigned []byte, c Context) (*Transaction, error) {
	e, err := parseEnvelope(unsigned)
	if err != nil {
		return nil, err
	}
	t, err := interpret(e, c, false)
	if err != nil {
		return nil, err
	}
	// display versus bytes: what we understood is all there is
	if !bytes.Equal(t.envelope.encode(), unsigned) {
		return nil, refuse("unsigned form", "is not equal to its own encoding")
	}
	return t, nil
}

// Wrap makes the unsigned form of a message, with what the context's World says of the accounts that it needs. Where that
// was not read, the error's Read says what to read; then Wrap is asked again. It refuses what Decode would refuse.
func Wrap(message []byte, c Context) (unsigned []byte, err error) {
	t, err := interpret(&envelope{message: bytes.Clone(message)}, c, true)
	if err != nil {
		return nil, err
	}
	unsigned = t.envelope.encode()
	if _, err := Decode(unsigned, c); err != nil {
		return nil, err
	}
	return unsigned, nil
}

// interpret says what a message does. With gather it fills the envelope's readings, else it compares them.
func interpret(e *envelope, c Context, gather bool) (*Transaction, error) {
	if reference, ok := strings.CutPrefix(c.Chain, "solana:"); !ok || reference == "" || len(reference) > 32 || len(base58.Decode(reference)) == 0 {
		return nil, refuse("chain", "%.50q is no chain of Solana (CAIP-2)", c.Chain)
	}
	if c.Own == nil || c.World == nil {
		return nil, refuse("context", "it lacks the vault's addresses, or what was read from the chain")
	}
	m, err := parseMessage(e.message)
	if err != nil {
		return nil, err
	}
	d := &decoder{Context: c, message: m, envelope: e, gather: gather, payee: map[Key]Account{}}
	d.resolve()
	d.checkAccounts()
	d.lifetime()
	actions := make([]action, len(m.instructions))
	for i := range m.instructions {
		d.at = i
		actions[i] = d.instruction()
	}
	d.finish()
	t := &Transaction{chain: c.Chain, message: m, envelope: e, accounts: d.accounts, paths: d.paths, actions: actions, durable: d.durable}
	t.priority, t.fee = d.fees()
	d.checkSum(actions, t.fee)
	if d.err != nil {
		return nil, d.err
	}
	return t, nil
}

// A decoder reads one message and keeps the first error.
type decoder struct {
	Context
	message  *message
	envelope *envelope
	gather   bool
	err      error

	accounts []account
	paths    [][3]uint32
	used     []account // what the instructions need of each account
	compared int       // of the readings enclosed
	known    map[Key]Account
	payee    map[Key]Account // token accounts that this message makes sure of
	closed   []Key
	sound    []Key // destinations that were judged
	created  *Key  // the nonce account that the last instruction created
	durable  *Key
	at       int // the instruction that is read

	limit      *uint32
	price      *uint64
	memos      int
	remembered bool // the last instruction was a memo
}

func (d *decoder) failAt(field, format string, args ...any) {
	if d.err == nil {
		d.err = refuse(field, format, args...)
	}
}

func (d *decoder) fail(format string, args ...any) { d.failAt(position(d.at), format, args...) }

// unread refuses because this node did not read something.
func (d *decoder) unread(r Read, field, reason string) {
	if d.err == nil {
		d.err = &Refused{field, reason, &r}
	}
}

// resolve puts the accounts of lookup tables behind the message's own: all writable ones, then all read-only ones.
func (d *decoder) resolve() {
	m := d.message
	for i, k := range m.keys {
		signer := i < int(m.signers)
		writable := i < int(m.signers)-int(m.readonlySigned) || !signer && i < len(m.keys)-int(m.readonlyUnsigned)
		d.accounts = append(d.accounts, account{k, signer, writable})
	}
	if !d.gather && len(d.envelope.tables) != len(m.lookups) {
		d.failAt("lookup tables", "are %d in the message, %d beside it", len(m.lookups), len(d.envelope.tables))
		return
	}
	var writable, readonly []account
	for i, l := range m.lookups {
		resolved := d.lookup(i, l)
		if d.err != nil {
			return
		}
		for j, k := range resolved {
			if j < len(l.writable) {
				writable = append(writable, account{k, false, true})
			} else {
				readonly = append(readonly, account{k, false, false})
			}
		}
	}
	d.accounts = slices.Concat(d.accounts, writable, readonly)
}

// lookup returns the addresses at a table's places, as this node read them.
func (d *decoder) lookup(i int, l lookup) []Key {
	field := "lookup table " + l.table.String()
	all, ok := d.World.Table(l.table)
	if !ok { // fail closed: who cannot read a table does not know where the money goes
		d.unread(Read{l.table, true}, field, "this node's endpoint did not show it")
		return nil
	}
	var keys []Key
	for _, place := range slices.Concat(l.writable, l.readonly) {
		if int(place) >= len(all) {
			d.failAt(field, "has %d addresses, and the message asks for number %d", len(all), place)
			return nil
		}
		keys = append(keys, all[place])
	}
	if d.gather {
		d.envelope.tables = append(d.envelope.tables, table{l.table, keys})
		return keys
	}
	enclosed := d.envelope.tables[i]
	if enclosed.address != l.table || len(enclosed.addresses) != len(keys) {
		d.failAt(field, "the unsigned form speaks of %d places of %s instead of %d", len(enclosed.addresses), enclosed.address, len(keys))
		return nil
	}
	for j, k := range keys {
		if enclosed.addresses[j] != k { // substitution: shown one account, paid another
			d.failAt(field, "holds %s where the unsigned form encloses %s", k, enclosed.addresses[j])
		}
	}
	return keys
}

// checkAccounts refuses doubles, and signers that are not the vault's.
func (d *decoder) checkAccounts() {
	if d.err != nil {
		return
	}
	seen := map[Key]bool{}
	for _, a := range d.accounts {
		if seen[a.key] { // two entries of one account: two sets of permissions
			d.failAt("accounts", "%s stands twice", a.key)
			return
		}
		seen[a.key] = true
		d.used = append(d.used, account{key: a.key})
	}
	for i := range int(d.message.signers) {
		k := d.accounts[i].key
		path, own := d.Own(k)
		if !own {
			what := "signer"
			if i == 0 {
				what = "fee payer"
			}
			d.failAt("signers", "%s %s is none of this vault's addresses", what, k)
			return
		}
		if !honest(k) || !onCurve(k) {
			d.failAt("signers", "%s is no public key", k)
			return
		}
		d.paths = append(d.paths, path)
	}
	d.used[0].signer, d.used[0].writable = true, true
}

// lifetime finds what the message's blockhash is: that of a block, or the value of a durable nonce.
func (d *decoder) lifetime() {
	if d.err != nil {
		return
	}
	first := d.message.instructions[0]
	if d.accounts[first.program].key == System && len(first.data) == 4 && first.data[0] == sysAdvanceNonce && len(first.accounts) > 0 {
		d.durable = &d.accounts[first.accounts[0]].key
		return
	}
	if d.message.blockhash == (Key{}) || !d.World.Recent(d.message.blockhash) { // also: a block of another cluster, where the same key pays
		d.failAt("blockhash", "%s is no recent block of %s that this node knows; make the transaction anew, or with a durable nonce", d.message.blockhash, d.Chain)
	}
}

// reading returns what this node read of an account, and holds what the unsigned form encloses to it.
func (d *decoder) reading(k Key) Account {
	if d.err != nil {
		return Account{}
	}
	if a, ok := d.known[k]; ok {
		return a
	}
	field := "account " + k.String()
	a, ok := d.World.Account(k)
	if !ok {
		d.unread(Read{k, false}, field, "this node's endpoint did not show it")
		return Account{}
	}
	if err := a.check(); err != nil {
		d.failAt(field, "was misread: %v", err)
		return Account{}
	}
	if d.gather {
		d.envelope.readings = append(d.envelope.readings, reading{k, a})
	} else if d.compared >= len(d.envelope.readings) || d.envelope.readings[d.compared].address != k {
		d.failAt(field, "the unsigned form says nothing of it where it should")
	} else if enclosed := d.envelope.readings[d.compared].account; !enclosed.equal(a) {
		d.failAt(field, "is %s as this node reads it; the unsigned form encloses: %s", a, enclosed)
	}
	d.compared++
	if d.known == nil {
		d.known = map[Key]Account{}
	}
	d.known[k] = a
	return a
}

// instruction reads one instruction.
func (d *decoder) instruction() (a action) {
	if d.err != nil {
		return a
	}
	in := d.message.instructions[d.at]
	program := d.accounts[in.program].key
	created, remembered := d.created, d.remembered
	d.created, d.remembered = nil, false
	switch program {
	case System:
		a = d.system(in, created)
	case SPLToken, Token2022:
		a = d.token(program, in, remembered)
	case AssociatedTokenAccount:
		a = d.associated(in)
	case ComputeBudget:
		a = d.budget(in)
	case Memo:
		a = d.memo(in)
	default:
		if name := otherPrograms[program]; name != "" {
			d.fail("calls %s (%s), which is not supported", program, name)
		} else {
			d.fail("calls the unknown program %s", program)
		}
	}
	if created != nil && !d.initialized(in, program) {
		d.fail("nonce account %s was just created, and is not made the vault's at once: anybody could make it theirs", *created)
	}
	return a
}

// finish holds the header to what the instructions need, and the readings enclosed to what was asked.
func (d *decoder) finish() {
	if d.err != nil {
		return
	}
	if d.created != nil {
		d.failAt("transaction", "creates nonce account %s and does not make it the vault's: anybody could make it theirs", *d.created)
	}
	programs := map[Key]bool{}
	for _, in := range d.message.instructions {
		programs[d.accounts[in.program].key] = true
	}
	for i, a := range d.accounts {
		u := d.used[i]
		field := "account " + a.key.String()
		switch {
		case a.signer && !u.signer:
			d.failAt(field, "signs, and no instruction needs its signature")
		case a.writable && !u.writable:
			d.failAt(field, "is writable, and no instruction writes it")
		case u.writable && !a.writable:
			d.failAt(field, "is read-only, though an instruction writes it")
		case !programs[a.key] && !d.named(i):
			d.failAt(field, "is used by no instruction")
		}
	}
	if !d.gather && d.compared != len(d.envelope.readings) {
		d.failAt("unsigned form", "encloses readings of %d accounts, and %d are needed", len(d.envelope.readings), d.compared)
	}
}

// named says whether an instruction, or the payer's place, names an account.
func (d *decoder) named(i int) bool {
	return i == 0 || slices.ContainsFunc(d.message.instructions, func(in instruction) bool { return slices.Contains(in.accounts, uint8(i)) })
}

// Prices of the chain.
const (
	signatureFee = 5000      // lamports for each signature
	maxUnits     = 1_400_000 // compute units of one transaction; also what is counted where none are asked for
)

// fees returns the priority fee and the whole fee, in lamports at most.
func (d *decoder) fees() (priority, all uint64) {
	units, price := uint64(maxUnits), uint64(0)
	if d.limit != nil {
		units = uint64(*d.limit)
	}
	if d.price != nil {
		price = *d.price
	}
	hi, lo := bits.Mul64(units, price)
	lo, carry := bits.Add64(lo, 999_999, 0) // micro-lamports, rounded up
	if hi += carry; hi >= 1_000_000 {
		d.failAt("fee", "%d units at %d millionths of a lamport exceed 2⁶⁴−1 lamports", units, price)
		return 0, 0
	}
	priority, _ = bits.Div64(hi, lo, 1_000_000)
	all, carry = bits.Add64(priority, signatureFee*uint64(d.message.signers), 0)
	if carry != 0 {
		d.failAt("fee", "exceeds 2⁶⁴−1 lamports")
	}
	return priority, all
}

// checkSum refuses sums that no account can pay: what is shown together must be what is meant.
func (d *decoder) checkSum(actions []action, fee uint64) {
	sums := map[string]*big.Int{"": new(big.Int).SetUint64(fee)}
	for _, a := range actions {
		for _, e := range a.effects {
			if e.Amount == nil || !e.Operation.Moves() {
				continue
			}
			if sums[e.Contract] == nil {
				sums[e.Contract] = new(big.Int)
			}
			if sums[e.Contract].Add(sums[e.Contract], e.Amount); !sums[e.Contract].IsUint64() {
				d.failAt("transaction", "amounts and fees together exceed 2⁶⁴−1")
				return
			}
		}
	}
}

// Unsigned returns the unsigned form, byte for byte what was decoded.
func (t *Transaction) Unsigned() []byte { return t.envelope.encode() }

// Message returns the bytes that are signed.
func (t *Transaction) Message() []byte { return t.message.encode() }

// Durable is the nonce account that gives the transaction its life and must be advanced by it, and the nonce's value; false: it
// lives for about 150 blocks after the block that it names.
func (t *Transaction) Durable() (account, value Key, ok bool) {
	if t.durable == nil {
		return Key{}, t.message.blockhash, false
	}
	return *t.durable, t.message.blockhash, true
}

// Effects are what the transaction does to what the vault holds, its fee at most as the last. Amounts are lamports, or of a
// token's smallest unit.
func (t *Transaction) Effects() []effect.Effect {
	var all []effect.Effect
	for _, a := range t.actions {
		for _, e := range a.effects {
			e.Amount = new(big.Int).Set(e.Amount)
			all = append(all, e)
		}
	}
	return append(all, effect.Effect{Operation: effect.Fee, Chain: t.chain, Amount: new(big.Int).SetUint64(t.fee)})
}

// Lines are what it does, in the order of spec/chain-solana 7, at most 64. The last is a hash of the unsigned form.
func (t *Transaction) Lines() []effect.Line {
	version := "legacy"
	if t.message.v0 {
		version = "0"
	}
	lines := []effect.Line{{Name: "chain", Value: t.chain}, {Name: "transaction-version", Value: version}}
	add := func(name, format string, args ...any) {
		lines = append(lines, effect.Line{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	for i := range int(t.message.signers) {
		name := "fee-payer"
		if i > 0 {
			name = fmt.Sprintf("signer-%d", i+1)
		}
		add(name, "%s", t.accounts[i].key)
	}
	if t.durable != nil {
		add("nonce-account", "%s", *t.durable)
		add("nonce", "%s", t.message.blockhash)
	} else {
		add("blockhash", "%s", t.message.blockhash)
	}
	for i, a := range t.actions {
		add(fmt.Sprintf("instruction-%d", i+1), "%s", a.text)
	}
	for i, l := range t.message.lookups {
		add(fmt.Sprintf("lookup-table-%d", i+1), "%s, %d accounts", l.table, len(l.writable)+len(l.readonly))
	}
	add("fee-signatures", "%d", t.fee-t.priority)
	add("fee-priority", "%d", t.priority)
	add("max-fee", "%d", t.fee)
	add("unsigned-sha256", "%x", sha256.Sum256(t.envelope.encode()))
	return lines
}

// Spends names what the chain gives once. Two transactions with the same durable nonce exclude each other; without one, only
// the same message excludes itself: any other message, of whatever block, can land beside it.
func (t *Transaction) Spends() []string {
	if t.durable != nil {
		return []string{fmt.Sprintf("%s nonce %s %s", t.chain, *t.durable, t.message.blockhash)}
	}
	return []string{fmt.Sprintf("%s message %x", t.chain, sha256.Sum256(t.message.encode()))}
}

// Uses are the signatures that the transaction needs, in the order of its signers; the first pays the fee.
func (t *Transaction) Uses() []effect.Use {
	var all []effect.Use
	for i, path := range t.paths {
		all = append(all, effect.Use{Suite: Suite, Path: path, Address: t.accounts[i].key.String(), Message: t.message.encode()})
	}
	return all
}

// IsUnread says what must be read from the chain before a transaction can be judged, if an error says so.
func IsUnread(err error) (Read, bool) {
	var r *Refused
	if errors.As(err, &r) && r.Read != nil {
		return *r.Read, true
	}
	return Read{}, false
}
