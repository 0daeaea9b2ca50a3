package api

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	chainread "github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/delayed"
	"github.com/ostraka/ostraka/node/rpc"
)

// A Safe's row says whether the chain has it as the charter says, and what waits; an empty queue that nobody read is not called well.
func TestCheckDelayed(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	good := delayed.Safe{Vault: "treasury", Delayed: charter.Delayed{Chain: "eip155:1", Safe: "0x1"}, At: at, Head: rpc.Header{Height: 12, Time: at}}
	call := chainread.Call{To: evm.Address{1}, Value: new(big.Int)}
	item := chainread.Item{Nonce: 4, Hash: call.Hash(), Queued: at, Ready: at.Add(72 * time.Hour), Ends: at.Add(96 * time.Hour)}
	for name, c := range map[string]struct {
		change     func(*delayed.Safe)
		state, has string
	}{
		"well":            {func(*delayed.Safe) {}, "ok", "nothing waits (after block 12)"},
		"queued":          {func(s *delayed.Safe) { s.State.Queue, s.State.Next, s.State.End = []chainread.Item{item}, 4, 5 }, "fail", "number 4 can be carried out from 2023-11-17T22:13:20Z"},
		"expired":         {func(s *delayed.Safe) { s.State.Queue, s.Head.Time = []chainread.Item{item}, at.Add(97*time.Hour) }, "ok", "nothing waits"},
		"another Safe":    {func(s *delayed.Safe) { s.Unlike = []string{"the cooldown is 1s"} }, "fail", "the cooldown is 1s"},
		"never read":      {func(s *delayed.Safe) { s.At = time.Time{} }, "warn", "not read yet"},
		"unreadable":      {func(s *delayed.Safe) { s.Err = errors.New("nobody answers") }, "warn", "nobody answers"},
		"without a chain": {func(s *delayed.Safe) { s.Unread = true }, "warn", "no endpoint"},
	} {
		s := good
		c.change(&s)
		got := checkDelayed([]delayed.Safe{s})
		if len(got) != 1 || got[0].Name != "delayed Safe of treasury" || got[0].State != c.state || !strings.Contains(got[0].What, c.has) || (got[0].Next == "") != (c.state == "ok") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
