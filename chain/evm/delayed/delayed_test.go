package delayed_test

import (
	"bytes"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
)

var that = evm.Delay{ChainID: 1, Safe: evm.Address{0xd1}, Module: evm.Address{0xd2}, Key: evm.Address{0xd3}}

// words are so many 32-byte words, of numbers.
func words(all ...int64) (out []byte) {
	for _, n := range all {
		out = append(out, new(big.Int).SetInt64(n).FillBytes(make([]byte, 32))...)
	}
	return out
}

func word(a evm.Address) []byte { return append(make([]byte, 12), a[:]...) }

// fake answers by contract and function.
type fake map[string][]byte

func key(at evm.Address, signature string) string {
	return string(at[:]) + string(crypto.Keccak256([]byte(signature))[:4])
}

func (f fake) Call(to evm.Address, data []byte) ([]byte, error) {
	out, ok := f[string(to[:])+string(data[:4])]
	if !ok {
		return nil, errors.New("execution reverted")
	}
	return out, nil
}

func (f fake) Code(at evm.Address) ([]byte, error) { return f["code"+string(at[:])], nil }

const pages = "getModulesPaginated(address,uint256)"

// good is a chain as a charter wants it, with one call in the queue.
func good(c delayed.Call) fake {
	hash := c.Hash()
	one := evm.Address{19: 1}
	module, mods := append(words(64), word(one)...), append(words(1), word(that.Module)...)
	keys := append(words(1), word(that.Key)...)
	return fake{
		key(that.Safe, "getOwners()"): append(words(32, 1), word(evm.Address{0xee})...), key(that.Safe, "getThreshold()"): words(1), key(that.Safe, "nonce()"): words(4),
		key(that.Safe, pages): append(bytes.Clone(module), mods...), key(that.Module, pages): append(bytes.Clone(module), keys...),
		key(that.Module, "owner()"): word(that.Safe), key(that.Module, "avatar()"): word(that.Safe), key(that.Module, "target()"): word(that.Safe),
		key(that.Module, "txCooldown()"): words(3600), key(that.Module, "txExpiration()"): words(7200), key(that.Module, "txNonce()"): words(8), key(that.Module, "queueNonce()"): words(9),
		key(that.Module, "getTxHash(uint256)"): hash[:], key(that.Module, "getTxCreatedAt(uint256)"): words(1_700_000_000),
	}
}

func sample() delayed.Call {
	return delayed.Call{To: evm.Address{7}, Value: big.NewInt(5), Data: []byte("hello"), Operation: 1}
}

// What a contract answers is bounded and in its one form, or it is refused with what was asked.
func TestReadRefuses(t *testing.T) {
	s, err := delayed.Read(that, good(sample()))
	if err != nil {
		t.Fatal(err)
	}
	if s.Nonce != 4 || s.Cooldown != time.Hour || len(s.Queue) != 1 || s.Queue[0].Nonce != 8 || s.Genuine {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]struct {
		at     evm.Address
		asked  string
		answer []byte
		want   string
	}{
		"nobody is there":           {that.Safe, "getThreshold()", nil, "getThreshold"},
		"half a word":               {that.Module, "owner()", make([]byte, 16), "owner"},
		"bytes after the answer":    {that.Module, "owner()", append(word(that.Safe), 0), "owner"},
		"dirty padding":             {that.Module, "avatar()", append([]byte{1}, word(that.Safe)[1:]...), "avatar"},
		"a cooldown of ages":        {that.Module, "txCooldown()", bytes.Repeat([]byte{0xff}, 32), "txCooldown"},
		"a number beyond time":      {that.Module, "getTxCreatedAt(uint256)", words(1 << 50), "getTxCreatedAt"},
		"an end before the start":   {that.Module, "queueNonce()", words(7), "ends before it begins"},
		"more owners than are read": {that.Safe, "getOwners()", append(words(32, 17), make([]byte, 17*32)...), "17 addresses"},
		"more modules than shown":   {that.Safe, pages, append(append(words(64), word(evm.Address{0xab})...), append(words(1), word(that.Module)...)...), "modules of"},
		"an answer without end":     {that.Safe, "getOwners()", make([]byte, 1<<20), "bytes, more than"},
	} {
		chain := good(sample())
		if chain[key(c.at, c.asked)] = c.answer; c.answer == nil {
			delete(chain, key(c.at, c.asked))
		}
		if _, err := delayed.Read(that, chain); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A queue without end is read as far as it is shown.
func TestReadLongQueue(t *testing.T) {
	chain := good(sample())
	chain[key(that.Module, "queueNonce()")] = words(1 << 39)
	if s, err := delayed.Read(that, chain); err != nil || len(s.Queue) != delayed.MaxQueue || s.End != 1<<39 {
		t.Errorf("%d are shown of %d, %v", len(s.Queue), s.End, err)
	}
}

func added(c delayed.Call) []byte {
	out := append(word(c.To), words(c.Value.Int64(), 128, int64(c.Operation), int64(len(c.Data)))...)
	return append(out, append(c.Data, make([]byte, (32-len(c.Data)%32)%32)...)...)
}

// A log counts as the queue's only if the module keeps its hash.
func TestAddedIsHeldToTheHash(t *testing.T) {
	other := sample()
	other.To[0]++
	for name, c := range map[string]struct {
		nonce uint64
		data  []byte
		want  string
	}{
		"as it is":       {8, added(sample()), ""},
		"another number": {9, added(sample()), "not what the module keeps"},
		"another call":   {8, added(other), "not what the module keeps"},
		"cut":            {8, added(sample())[:100], "log of a queued call"},
		"too long":       {8, make([]byte, evm.MaxLen+1), "more than"},
	} {
		s, err := delayed.Read(that, good(sample()))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Added(c.nonce, c.data)
		if c.want == "" && (err != nil || s.Queue[0].Call == nil || s.Queue[0].Call.Hash() != s.Queue[0].Hash) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || s.Queue[0].Call != nil) {
			t.Errorf("%s: %v, %+v", name, err, s.Queue[0])
		}
	}
}

// Each way in which a chain is not as the charter has it is told.
func TestUnlike(t *testing.T) {
	terms := delayed.Terms{Delay: that, Cooldown: time.Hour, Expiration: 2 * time.Hour}
	owners := []evm.Address{{0xee}}
	whole := func() delayed.State {
		s, err := delayed.Read(that, good(sample()))
		if err != nil {
			t.Fatal(err)
		}
		s.Genuine = true
		return s
	}
	if all := whole().Unlike(terms, owners); len(all) != 0 {
		t.Errorf("as the charter has it: %q", all)
	}
	for want, change := range map[string]func(*delayed.State){
		"owners":                func(s *delayed.State) { s.Owners = append(s.Owners, evm.Address{1}) },
		"not one account":       func(s *delayed.State) { s.Owners[0][5] = 1 },
		"threshold is 2":        func(s *delayed.State) { s.Threshold = 2 },
		"modules are":           func(s *delayed.State) { s.Modules = append(s.Modules, evm.Address{1}) },
		"does not run the code": func(s *delayed.State) { s.Genuine = false },
		"module's owner is":     func(s *delayed.State) { s.Owner[1] = 1 },
		"module's avatar is":    func(s *delayed.State) { s.Avatar[1] = 1 },
		"module's target is":    func(s *delayed.State) { s.Target[1] = 1 },
		"those who may queue":   func(s *delayed.State) { s.Keys = nil },
		"the cooldown is 1s":    func(s *delayed.State) { s.Cooldown = time.Second },
		"the expiration is 0s":  func(s *delayed.State) { s.Expiration = 0 },
	} {
		s := whole()
		change(&s)
		if all := s.Unlike(terms, owners); len(all) != 1 || !strings.Contains(all[0], want) {
			t.Errorf("%q, want one that says %q", all, want)
		}
	}
	if a, b := whole(), whole(); a.Words() != b.Words() {
		t.Error("two like answers have other words")
	} else if b.Queue[0].Hash[0]++; a.Words() == b.Words() {
		t.Error("two answers that differ have the same words")
	}
}

// Whatever an endpoint answers, reading ends without a panic and within its bounds.
func FuzzRead(f *testing.F) {
	for _, b := range good(sample()) {
		f.Add(b)
	}
	f.Add(added(sample()))
	f.Fuzz(func(t *testing.T, answer []byte) {
		chain := good(sample())
		for k := range chain {
			old := chain[k]
			chain[k] = answer
			if s, err := delayed.Read(that, chain); err == nil && (len(s.Queue) > delayed.MaxQueue || len(s.Owners) > 16) {
				t.Fatalf("%+v", s)
			}
			chain[k] = old
		}
		s, err := delayed.Read(that, chain)
		if err != nil {
			t.Fatal(err)
		}
		if s.Added(8, answer) == nil && s.Queue[0].Call.Hash() != s.Queue[0].Hash {
			t.Fatal("a log of another call is taken")
		}
	})
}
