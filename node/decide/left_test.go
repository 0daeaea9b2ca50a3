package decide

import (
	"errors"
	"math/big"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/sos"
)

// moves is a payload of Bitcoin's kind with effects.
type moves struct {
	payload.Payload
	effects []effect.Effect
}

func (m moves) Effects() []effect.Effect { return m.effects }

// A memo is none of a plan's sweeps. What left beside one counts all the same: else whoever adds a memo leaves no trace in caps and tranches.
func TestLeftWithAMemo(t *testing.T) {
	const chain, to = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	doc := charter.Document{Assets: []charter.Asset{{Name: "btc", Chain: chain, Decimals: 8}}}
	plain := []effect.Effect{
		{Operation: effect.Transfer, Chain: chain, Amount: big.NewInt(700), Destination: to}, {Operation: effect.Fee, Chain: chain, Amount: big.NewInt(30)},
	}
	memo := append([]effect.Effect{{Operation: effect.Message, Chain: chain}}, plain...)
	for name, effects := range map[string][]effect.Effect{"plain": plain, "memo": memo} {
		p := moves{effects: effects}
		if _, err := sosFlows(doc, charter.Vault{}, p); errors.Is(err, errNoMove) != (name == "memo") {
			t.Errorf("%s: judged with %v", name, err)
		}
		flows, ok := leftFlows(doc, charter.Vault{}, p)
		if !ok || len(flows) != 2 || flows[0].What != sos.Transfer || flows[0].Amount != 700 || flows[0].To != to || flows[1].What != sos.Fee || flows[1].Amount != 30 {
			t.Errorf("%s: counts %+v, %v", name, flows, ok)
		}
	}
	if flows, ok := leftFlows(charter.Document{}, charter.Vault{}, moves{effects: plain}); ok {
		t.Errorf("of an asset that is not known it counts %+v", flows)
	}
}
