package client

import (
	"math/big"
	"testing"

	"google.golang.org/protobuf/proto"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/solana"
)

// What a node says that an account of Solana holds is read as what it can be, or refused.
func FuzzReadAccount(f *testing.F) {
	for _, m := range []*v1.Reading{
		{Owner: solana.System[:]}, {Owner: solana.SPLToken[:], Size: 82, Data: make([]byte, 82)}, {Owner: solana.Token2022[:], Size: 170, Data: make([]byte, 170)}, {Owner: solana.System[:], Size: 80, Data: make([]byte, 80)},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.Reading
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		a, err := readAccount(&m)
		if err == nil && (len(m.Owner) != 32 || uint64(len(m.Data)) > m.Size || a.Kind != solana.Wallet && a.Kind != solana.NonceAccount && a.Program != solana.Key(m.Owner)) {
			t.Errorf("%v is read as %+v", &m, a)
		}
	})
}

// What a node says that a transaction would do has addresses and amounts, and is bounded.
func FuzzReadSimulation(f *testing.F) {
	for _, m := range []*v1.SimulateResponse{
		{Fails: true, Why: "execution reverted"}, {Traced: true, Gas: 21000, Moves: []*v1.SimulatedMove{{From: "0x0000000000000000000000000000000000000001", To: "0x0000000000000000000000000000000000000002", Amount: "7"}}},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.SimulateResponse
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		s, err := readSimulation(&m)
		if err != nil {
			return
		}
		if len(s.Moves) != len(m.Moves) || len(s.Moves) > mostMoves {
			t.Errorf("%d moves of %d", len(s.Moves), len(m.Moves))
		}
		for _, x := range s.Moves {
			if x.Amount.Sign() < 0 || x.Amount.BitLen() > 256 || len(x.From) != 42 || len(x.To) != 42 {
				t.Errorf("%+v is no move", x)
			}
		}
	})
}

// What a node says that a transaction costs has numbers that the chain can have, or is refused.
func FuzzReadQuote(f *testing.F) {
	for _, m := range []*v1.QuoteResponse{{FeeCap: "1", TipCap: "1", Balance: "0"}, {FeeCap: "-1"}, {FeeCap: "1", TipCap: "1", Balance: "1", Decimals: 256}} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.QuoteResponse
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		q, err := readQuote("acme", &m)
		if err != nil {
			return
		}
		for _, n := range []*big.Int{q.FeeCap, q.TipCap, q.Balance} {
			if n.Sign() < 0 || n.BitLen() > 256 {
				t.Fatalf("%v is read as %+v", &m, q)
			}
		}
		if uint32(q.Decimals) != m.Decimals {
			t.Fatalf("%d decimals are read as %d", m.Decimals, q.Decimals)
		}
	})
}

// A coin that is named has one form.
func FuzzParseOutpoint(f *testing.F) {
	f.Add("0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9:0")
	f.Add("0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9:4294967295")
	f.Add(":1")
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := ParseOutpoint(text); err == nil && o.String() != text {
			t.Fatalf("%q is read as %s", text, o)
		}
	})
}
