package evm_test

import (
	"bytes"
	"math/big"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
)

// A call is decoded where it is named, and only then: the same bytes to the same contract, without value.
func TestNamedCalls(t *testing.T) {
	pause := []byte{0x84, 0x56, 0xcb, 0x59}
	to := evm.Address{19: 7}
	named := func(id uint64, at evm.Address, data []byte) bool {
		return id == 1 && at == to && bytes.Equal(data, pause)
	}
	good := evm.CallRequest{ChainID: 1, Nonce: 3, Gas: 60000, FeeCap: big.NewInt(9), TipCap: big.NewInt(1), To: to, Data: pause}
	raw, err := evm.BuildCall(good)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.DecodeCall(raw, named)
	if err != nil {
		t.Fatal(err)
	}
	f := tx.Facts()
	if f.Operation != evm.ContractCall || f.Destination != to || f.Amount.Sign() != 0 || !bytes.Equal(f.Calldata, pause) || f.Token != nil {
		t.Errorf("decoded as %+v", f)
	}
	if !bytes.Equal(tx.Unsigned(), raw) {
		t.Error("the bytes changed")
	}
	if i := slices.IndexFunc(f.Lines(), func(l evm.Line) bool { return l.Name == "calldata-keccak" }); i < 0 {
		t.Error("no fact tells of the calldata")
	}
	for what, edit := range map[string]func(*evm.CallRequest){
		"another contract": func(r *evm.CallRequest) { r.To[0] = 1 },
		"another chain":    func(r *evm.CallRequest) { r.ChainID = 10 },
		"other bytes":      func(r *evm.CallRequest) { r.Data = append(bytes.Clone(pause), 0) },
	} {
		r := good
		edit(&r)
		raw, err := evm.BuildCall(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evm.DecodeCall(raw, named); err == nil {
			t.Errorf("%s: decoded", what)
		}
	}
	if _, err := evm.Decode(raw); err == nil {
		t.Error("decoded without a name")
	}
	for what, edit := range map[string]func(*evm.CallRequest){
		"a token's transfer": func(r *evm.CallRequest) { r.Data = append([]byte{0xa9, 0x05, 0x9c, 0xbb}, make([]byte, 3)...) },
		"three bytes":        func(r *evm.CallRequest) { r.Data = pause[:3] },
		"to nobody":          func(r *evm.CallRequest) { r.To = evm.Address{} },
	} {
		r := good
		edit(&r)
		if _, err := evm.BuildCall(r); err == nil {
			t.Errorf("%s: built", what)
		}
	}
}
