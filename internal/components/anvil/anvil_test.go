package anvil_test

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/ostraka/ostraka/internal/components/anvil"
)

func TestToken(t *testing.T) {
	node := anvil.Start(t)
	accounts := node.Accounts(t)
	supply := big.NewInt(1_000_000)
	token := node.DeployToken(t, supply)
	node.GiveToken(t, token, accounts[1], big.NewInt(250))

	for account, want := range map[string]int64{accounts[0]: 999_750, accounts[1]: 250} {
		var balance string
		node.Call(t, &balance, "eth_call", map[string]string{
			"to": token, "data": fmt.Sprintf("0x70a08231%064s", account[2:]),
		}, "latest")
		if balance != fmt.Sprintf("0x%064x", want) {
			t.Errorf("balance of %s is %s, want %d", account, balance, want)
		}
	}
}
