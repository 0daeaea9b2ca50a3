package evm

import (
	"errors"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// A Delay is a Safe whose module lets a key outside the vault act for it after a cooldown (spec/delayed). The Safe may say the calls that set this up, take it
// back and veto, with these addresses and no others: who enables a module of their own has the Safe.
type Delay struct {
	ChainID uint64
	Safe    Address
	Module  Address // Zodiac's Delay
	Key     Address // that queues through it
}

// SafeTx is the type of a Safe's transactions, as it stands in typed data. A book with a Delay has it for that Safe.
const SafeTx = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"

// What a Safe with a Delay says to itself and to the module.
const (
	EnableModule  = "function enableModule(address module)"
	DisableModule = "function disableModule(address prevModule,address module)"
	SetTxNonce    = "function setTxNonce(uint256 nonce)" // strikes out what was queued before that number
)

// delayPart is one address of a Delay: the Safe's or the module's.
type delayPart struct {
	Delay
	module bool
}

// enables is the only module that this part may have: the Safe the Delay, the Delay the key.
func (d delayPart) enables() Address {
	if d.module {
		return d.Key
	}
	return d.Module
}

func (d delayPart) functions() []string {
	if d.module {
		return []string{EnableModule, DisableModule, SetTxNonce}
	}
	return []string{EnableModule, DisableModule}
}

func (d delayPart) name() string {
	if d.module {
		return "delay-module"
	}
	return "delayed-safe"
}

func (a *Allowed) addDelay(d Delay) error {
	safe, module := place{d.ChainID, d.Safe}, place{d.ChainID, d.Module}
	for _, p := range []place{safe, module} {
		if err := a.free(p, ""); err != nil {
			return err
		}
	}
	switch {
	case d.Key == (Address{}):
		return errors.New("the zero address has no key")
	case d.Safe == d.Module || d.Safe == d.Key || d.Module == d.Key:
		return errors.New("Safe, module and key are three addresses")
	}
	a.delays[safe], a.delays[module] = delayPart{d, false}, delayPart{d, true}
	if _, ok := a.documents[documentKey{safe, SafeTx}]; !ok {
		a.documents[documentKey{safe, SafeTx}] = Document{ChainID: d.ChainID, Contract: d.Safe, Type: SafeTx}
	}
	return nil
}

// readDelay reads what a Safe says to itself or to its module.
func (s scene) readDelay(d delayPart) (meaning, error) {
	if s.caller != d.Safe {
		return meaning{}, refuse("to", "is %s, the %s of the book: that Safe alone says something to it", s.to, d.name())
	}
	for _, declared := range d.functions() {
		f, err := abi.ParseFunction(declared)
		if err != nil {
			return meaning{}, err
		}
		if f.Selector() != [4]byte(s.data) {
			continue
		}
		m, err := s.readRegistered(contract{name: d.name()}, function{f, false})
		if err != nil {
			return meaning{}, err
		}
		if declared == SetTxNonce {
			return m, nil
		}
		values, err := f.Decode(s.data[4:])
		if err != nil {
			return meaning{}, refuse("data", "arguments of %s: %v", f.Signature(), err)
		}
		// a module of somebody else's would act for the Safe at once, or queue in the key's place
		if got := Address(values[len(values)-1].Address()); got != d.enables() {
			return meaning{}, refuse("data", "%s names %s, and the book has %s", f.Signature(), got, d.enables())
		}
		m.lines = append(m.lines, effect.Line{Name: "is", Value: map[bool]string{true: "the key that the charter lists", false: "the delay module that the charter lists"}[d.module]})
		return m, nil
	}
	return meaning{}, refuse("data", "calls selector 0x%x of the %s %s, which is none of what the book has for it", s.data[:4], d.name(), s.to)
}
