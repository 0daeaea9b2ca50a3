package anvil_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/internal/components"
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

// Contracts from packages are deployed, called and read, and say why they refuse.
func TestContract(t *testing.T) {
	node := anvil.Start(t)
	from, to := node.Accounts(t)[0], common.HexToAddress(node.Accounts(t)[1])
	token := node.Deploy(t, components.PermitToken, "ERC20", big.NewInt(1000))
	token.Send(t, from, "transfer", to, big.NewInt(250))
	if got := token.Read(t, "balanceOf", to)[0].(*big.Int); got.Int64() != 250 {
		t.Errorf("balance is %v, not 250", got)
	}
	if why := token.Revert(t, from, "transfer", to, big.NewInt(751)); !strings.Contains(why, "ds-math-sub-underflow") {
		t.Errorf("more than there is: reverts with %q", why)
	}
	if why := token.Revert(t, from, "transfer", to, big.NewInt(750)); why != "" {
		t.Errorf("all that there is: reverts with %q", why)
	}
}
