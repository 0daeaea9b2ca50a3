package delayed

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// Bounds of what is read.
const (
	MaxQueue = 32 // calls that are shown; of more the number is told
	maxList  = 16 // owners, modules, keys
	maxBytes = 16 << 10
)

// A Chain is asked as of one block.
type Chain interface {
	Call(to evm.Address, data []byte) ([]byte, error) // simulates it, and returns what it returns
	Code(at evm.Address) ([]byte, error)
}

// A State is a Safe with a delay as of one block.
type State struct {
	Owners    []evm.Address // the Safe's
	Threshold uint64
	Modules   []evm.Address // the Safe's
	Nonce     uint64        // of the Safe's next transaction

	Genuine               bool // the module runs the code of Delay 1.0.1
	Owner, Avatar, Target evm.Address
	Keys                  []evm.Address // who may queue
	Cooldown, Expiration  time.Duration // 0: what was queued never expires
	Next, End             uint64        // what waits: End − Next calls, the first of them Next
	Queue                 []Item        // at most MaxQueue of them, in order
}

// An Item is a call that waits in the queue.
type Item struct {
	Nonce  uint64
	Hash   [32]byte // of what is called: Call.Hash
	Queued time.Time
	Ready  time.Time // from then on anybody carries it out
	Ends   time.Time // and until then; zero: without end
	Call   *Call     // nil: no log told it
}

// A Call is what was queued.
type Call struct {
	To        evm.Address
	Value     *big.Int
	Data      []byte
	Operation uint8 // 1: code of To runs as the Safe
}

// reader asks, and keeps the first error.
type reader struct {
	chain Chain
	err   error
}

// ask calls a function and reads its answer, whose parts are declared like arguments.
func (r *reader) ask(at evm.Address, declared, answers string, arguments ...string) []abi.Value {
	if r.err != nil {
		return nil
	}
	list := "[]"
	if len(arguments) > 0 {
		list = `["` + strings.Join(arguments, `","`) + `"]`
	}
	data, err := evm.Calldata("function "+declared, []byte(list))
	var out []byte
	if err == nil {
		out, err = r.chain.Call(at, data)
	}
	if err == nil && len(out) > maxBytes {
		err = fmt.Errorf("answers with %d bytes, more than %d", len(out), maxBytes)
	}
	var f *abi.Function
	if err == nil {
		f, err = abi.ParseFunction("function answer(" + answers + ")")
	}
	var values []abi.Value
	if err == nil {
		values, err = f.Decode(out)
	}
	if err != nil {
		name, _, _ := strings.Cut(declared, "(")
		r.err = fmt.Errorf("%s of %s: %w", name, at, err)
		return nil
	}
	return values
}

func (r *reader) address(at evm.Address, declared string) (a evm.Address) {
	if v := r.ask(at, declared, "address a"); r.err == nil {
		a = evm.Address(v[0].Address())
	}
	return a
}

// number is one up to most.
func (r *reader) number(at evm.Address, most uint64, declared string, arguments ...string) uint64 {
	v := r.ask(at, declared, "uint256 n", arguments...)
	if r.err != nil {
		return 0
	}
	if n := v[0].Int; !n.IsUint64() || n.Uint64() > most {
		name, _, _ := strings.Cut(declared, "(")
		r.err = fmt.Errorf("%s of %s: %v is more than %d", name, at, n, most)
		return 0
	}
	return v[0].Int.Uint64()
}

// list is one of addresses, ascending.
func (r *reader) list(v []abi.Value) (out []evm.Address) {
	if r.err != nil {
		return nil
	}
	if n := len(v[0].List); n > maxList {
		r.err = fmt.Errorf("a list of %d addresses, more than %d", n, maxList)
		return nil
	}
	for _, x := range v[0].List {
		out = append(out, evm.Address(x.Address()))
	}
	slices.SortFunc(out, func(a, b evm.Address) int { return slices.Compare(a[:], b[:]) })
	return out
}

// modules are all of a Safe's, or of a module's own.
func (r *reader) modules(at evm.Address) []evm.Address {
	const first = "0x0000000000000000000000000000000000000001" // the list begins there
	v := r.ask(at, "getModulesPaginated(address start,uint256 pageSize)", "address[] modules,address next", first, fmt.Sprint(maxList))
	out := r.list(v)
	if next := (evm.Address{19: 1}); r.err == nil && evm.Address(v[1].Address()) != next && evm.Address(v[1].Address()) != (evm.Address{}) {
		r.err = fmt.Errorf("modules of %s: more than %d", at, maxList)
	}
	return out
}

// Read asks for all of a Safe with a delay. Calls of the queue have no content yet: Added reads it from logs.
func Read(d evm.Delay, chain Chain) (State, error) {
	const forever = 1 << 40 // seconds, and times: more is none
	r := &reader{chain: chain}
	var s State
	s.Owners = r.list(r.ask(d.Safe, "getOwners()", "address[] owners"))
	s.Threshold, s.Nonce = r.number(d.Safe, maxList, "getThreshold()"), r.number(d.Safe, forever, "nonce()")
	s.Modules = r.modules(d.Safe)
	s.Owner, s.Avatar, s.Target = r.address(d.Module, "owner()"), r.address(d.Module, "avatar()"), r.address(d.Module, "target()")
	s.Keys = r.modules(d.Module)
	s.Cooldown = time.Duration(r.number(d.Module, forever>>8, "txCooldown()")) * time.Second
	s.Expiration = time.Duration(r.number(d.Module, forever>>8, "txExpiration()")) * time.Second
	s.Next, s.End = r.number(d.Module, forever, "txNonce()"), r.number(d.Module, forever, "queueNonce()")
	if r.err == nil && s.End < s.Next {
		r.err = errors.New("the queue ends before it begins")
	}
	for n := s.Next; r.err == nil && n < s.End && n < s.Next+MaxQueue; n++ {
		hash := r.ask(d.Module, "getTxHash(uint256 nonce)", "bytes32 hash", fmt.Sprint(n))
		queued := r.number(d.Module, forever, "getTxCreatedAt(uint256 nonce)", fmt.Sprint(n))
		if r.err == nil {
			s.Queue = append(s.Queue, s.item(n, [32]byte(hash[0].Bytes), queued))
		}
	}
	if r.err == nil {
		s.Genuine, r.err = genuine(d.Module, chain)
	}
	if r.err != nil {
		return State{}, fmt.Errorf("read the Safe %s with its delay: %w", d.Safe, r.err)
	}
	return s, nil
}

func (s State) item(nonce uint64, hash [32]byte, queued uint64) Item {
	i := Item{Nonce: nonce, Hash: hash, Queued: time.Unix(int64(queued), 0).UTC()}
	i.Ready = i.Queued.Add(s.Cooldown)
	if s.Expiration > 0 {
		i.Ends = i.Ready.Add(s.Expiration)
	}
	return i
}

// Expired says that it can no longer be carried out.
func (i Item) Expired(now time.Time) bool { return !i.Ends.IsZero() && now.After(i.Ends) }

// Waiting are those that can still be carried out, now or later.
func (s State) Waiting(now time.Time) (out []Item) {
	return slices.DeleteFunc(slices.Clone(s.Queue), func(i Item) bool { return i.Expired(now) })
}

// Words are a State in one short line, by which answers of two endpoints are compared: what differs most often, and a digest of all.
func (s State) Words() string {
	s.Queue = slices.Clone(s.Queue)
	for i := range s.Queue {
		s.Queue[i].Call = nil // endpoints keep logs for different times
	}
	all := crypto.Keccak256(fmt.Appendf(nil, "%+v", s))
	return fmt.Sprintf("cooldown %s, expiration %s, queue %d to %d, all of it %x", s.Cooldown, s.Expiration, s.Next, s.End, all[:8])
}

// Terms are what a charter says that a Safe with a delay is like.
type Terms struct {
	evm.Delay
	Cooldown, Expiration time.Duration
}

// Unlike lists what is not as the charter has it; owners are the vault's accounts on that chain. Empty: the chain enforces what the charter says.
func (s State) Unlike(t Terms, owners []evm.Address) (all []string) {
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	say(len(s.Owners) != 1 || !slices.Contains(owners, s.Owners[0]), "the Safe's owners are %s, and not one account of the vault's alone", names(s.Owners))
	say(s.Threshold != 1, "the Safe's threshold is %d, not 1", s.Threshold)
	say(!slices.Equal(s.Modules, []evm.Address{t.Module}), "the Safe's modules are %s, and not the delay module alone: whoever is one acts for the Safe at once", names(s.Modules))
	say(!s.Genuine, "the module does not run the code of Zodiac's Delay 1.0.1")
	for _, x := range []struct {
		name string
		is   evm.Address
	}{{"owner", s.Owner}, {"avatar", s.Avatar}, {"target", s.Target}} {
		say(x.is != t.Safe, "the module's %s is %s, not the Safe", x.name, x.is)
	}
	say(!slices.Equal(s.Keys, []evm.Address{t.Key}), "those who may queue are %s, and not the key %s alone", names(s.Keys), t.Key)
	say(s.Cooldown != t.Cooldown, "the cooldown is %s, not %s", s.Cooldown, t.Cooldown)
	say(s.Expiration != t.Expiration, "the expiration is %s, not %s", s.Expiration, t.Expiration)
	return all
}

func names(all []evm.Address) string {
	if len(all) == 0 {
		return "none"
	}
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}
