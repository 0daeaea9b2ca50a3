package evm_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
)

var delay = evm.Delay{ChainID: 1, Safe: evm.Address{0xd1}, Module: evm.Address{0xd2}, Key: evm.Address{0xd3}}

// delayContext has a book with a Safe whose module acts after a delay.
func delayContext(t testing.TB) evm.Context {
	t.Helper()
	b := testBook()
	b.Delays = []evm.Delay{delay}
	allowed, err := evm.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	c := testContext(t)
	c.Allowed = allowed
	return c
}

func orderOf(t testing.TB, safe, to evm.Address, data []byte) ([]byte, error) {
	t.Helper()
	return evm.BuildDocument(1, safe, evm.SafeTx, messageJSON(safeMessage(to, "0", data)), delayContext(t))
}

// What sets a Safe with a delay up, takes it back and vetoes is understood, with the book's addresses.
func TestDelayCalls(t *testing.T) {
	one := evm.Address{19: 1}
	for name, x := range map[string]struct {
		to   evm.Address
		data []byte
		line string
	}{
		"the module is enabled":  {delay.Safe, functionData(t, evm.EnableModule, delay.Module), "safe.is: the delay module that the charter lists"},
		"the module is disabled": {delay.Safe, functionData(t, evm.DisableModule, one, delay.Module), "safe.function: disableModule(address,address)"},
		"the key is enabled":     {delay.Module, functionData(t, evm.EnableModule, delay.Key), "safe.is: the key that the charter lists"},
		"the key is disabled":    {delay.Module, functionData(t, evm.DisableModule, one, delay.Key), "safe.known-as: delay-module"},
		"a veto":                 {delay.Module, functionData(t, evm.SetTxNonce, 7), "safe.arg.nonce: uint256 7"},
	} {
		document, err := orderOf(t, delay.Safe, x.to, x.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := evm.DecodeIn(document, delayContext(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var lines []string
		for _, l := range p.Lines() {
			lines = append(lines, l.Name+": "+l.Value)
		}
		e := p.Effects()
		if !slices.Contains(lines, x.line) || len(e) != 1 || e[0].Operation != "call" || e[0].Destination != x.to.String() {
			t.Errorf("%s: %+v, %q", name, e, lines)
		}
	}
}

// With other addresses the same calls would hand the Safe over: nobody signs them, nor whatever else the Safe could say to itself or the module.
func TestHostileDelay(t *testing.T) {
	for name, x := range map[string]struct {
		safe, to evm.Address
		data     []byte
		want     string
	}{
		"a stranger's module":          {delay.Safe, delay.Safe, functionData(t, evm.EnableModule, spender), "and the book has " + delay.Module.String()},
		"the key as the Safe's module": {delay.Safe, delay.Safe, functionData(t, evm.EnableModule, delay.Key), "and the book has " + delay.Module.String()},
		"a stranger's key":             {delay.Safe, delay.Module, functionData(t, evm.EnableModule, spender), "and the book has " + delay.Key.String()},
		"another module disabled":      {delay.Safe, delay.Safe, functionData(t, evm.DisableModule, delay.Module, spender), "and the book has"},
		"another Safe's word":          {safe, delay.Module, functionData(t, evm.SetTxNonce, 7), "that Safe alone says something to it"},
		"the Safe's own nonce":         {delay.Safe, delay.Safe, functionData(t, evm.SetTxNonce, 7), "none of what the book has for it"},
		"no cooldown":                  {delay.Safe, delay.Module, functionData(t, "function setTxCooldown(uint256 cooldown)", 0), "none of what the book has for it"},
		"another owner":                {delay.Safe, delay.Module, functionData(t, "function transferOwnership(address to)", spender), "none of what the book has for it"},
		"another threshold":            {delay.Safe, delay.Safe, functionData(t, "function changeThreshold(uint256 threshold)", 2), "none of what the book has for it"},
		"more than the arguments":      {delay.Safe, delay.Module, append(functionData(t, evm.SetTxNonce, 7), 0), "arguments of setTxNonce(uint256)"},
	} {
		_, err := orderOf(t, x.safe, x.to, x.data)
		var refused *evm.Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
	if _, err := evm.DecodeIn(callTo(t, delay.Module, 0, functionData(t, evm.SetTxNonce, 7)), delayContext(t)); err == nil || !strings.Contains(err.Error(), "that Safe alone says something to it") {
		t.Errorf("the account itself calls the module: %v", err)
	}
}

func TestDelayRefused(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*evm.Book)
		want string
	}{
		"no such chain":     {func(b *evm.Book) { b.Delays[0].ChainID = 5 }, "no chain 5"},
		"one address twice": {func(b *evm.Book) { b.Delays[0].Key = delay.Module }, "three addresses"},
		"no key":            {func(b *evm.Book) { b.Delays[0].Key = evm.Address{} }, "the zero address has no key"},
		"no module":         {func(b *evm.Book) { b.Delays[0].Module = evm.Address{} }, "the zero address is no contract"},
		"a token":           {func(b *evm.Book) { b.Delays[0].Safe = coinToken }, "another part"},
		"a called contract": {func(b *evm.Book) { b.Delays[0].Module = router }, "another part"},
		"two with one Safe": {func(b *evm.Book) {
			b.Delays = append(b.Delays, evm.Delay{ChainID: 1, Safe: delay.Safe, Module: evm.Address{1}, Key: evm.Address{2}})
		}, "another part"},
		"a module of itself": {func(b *evm.Book) { b.Delays[0].Module = delay.Safe }, "three addresses"},
	} {
		b := testBook()
		b.Delays = []evm.Delay{delay}
		c.edit(&b)
		if _, err := evm.Compile(b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
