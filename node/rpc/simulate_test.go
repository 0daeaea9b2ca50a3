package rpc_test

import (
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
)

// A real chain tells what a transfer of coins and of tokens would move, and why one fails; where an endpoint lacks the method, whether it fails.
func TestSimulate(t *testing.T) {
	f := start(t)
	text := f.node.DeployToken(t, big.NewInt(1_000_000))
	token, err := evm.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	f.node.GiveToken(t, text, f.from.String(), big.NewInt(500))
	transfer := func(amount int64) rpc.Message {
		r := evm.Request{To: payee, Token: &token, Amount: big.NewInt(amount)}
		to, value, data, err := r.Message()
		if err != nil {
			t.Fatal(err)
		}
		return rpc.Message{From: f.from, To: to, Value: value, Data: data}
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a node that lacks the method
		body, _ := io.ReadAll(r.Body)
		var call struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(body, &call); call.Method == "eth_simulateV1" {
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + string(call.ID) + `,"error":{"code":-32601,"message":"the method does not exist"}}`))
			return
		}
		res, err := http.Post(f.node.URL, "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(old.Close)
	for name, c := range map[string]struct {
		message rpc.Message
		fails   bool
		asset   string // that moves
		amount  int64
	}{
		"coins":             {rpc.Message{From: f.from, To: payee, Value: big.NewInt(7)}, false, "", 7},
		"tokens":            {transfer(5), false, token.String(), 5},
		"too many tokens":   {transfer(501), true, "", 0},
		"what is not had":   {rpc.Message{From: payee, To: f.from, Value: big.NewInt(7)}, true, "", 0},
		"nothing to nobody": {rpc.Message{From: f.from, To: payee, Value: big.NewInt(0)}, false, "", 0},
	} {
		s, err := f.client.Simulate(t.Context(), c.message)
		moves := len(s.Moves) == 1 && s.Moves[0].Token == c.asset && s.Moves[0].Amount.Int64() == c.amount && s.Moves[0].From == c.message.From && s.Moves[0].To == payee
		if err != nil || s.Fails != c.fails || c.amount > 0 != moves || !c.fails && (!s.Traced || s.Gas < 21_000) || c.fails != (s.Why != "") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		s, err = dial(t, old.URL, rpc.Options{}).Simulate(t.Context(), c.message)
		if err != nil || s.Fails != c.fails || s.Traced || c.fails != (s.Why != "") {
			t.Errorf("%s, by an endpoint without the method: %+v, %v", name, s, err)
		}
	}
}
