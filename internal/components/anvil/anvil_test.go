package anvil_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

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

// What the package has of Delay is what stands on public chains: its address there follows from the code (EIP-2470, the package's salt of zeros), so no other
// code can be at it. A module is a proxy of that, and has the settings that it was made with.
func TestDelay(t *testing.T) {
	code := anvil.InitCode(t, components.Zodiac, "Delay")
	const public = "0xd54895B1121A2eE3f37b502F507631FA1331BED6"
	if at := crypto.CreateAddress2(common.HexToAddress("0xce0042B868300000d44A59004Da54A005ffdcf9f"), [32]byte{}, crypto.Keccak256(code)); at != common.HexToAddress(public) {
		t.Errorf("the code belongs at %s, not at %s", at, public)
	}
	node := anvil.Start(t)
	from, owner := node.Accounts(t)[0], common.HexToAddress(node.Accounts(t)[1])
	master, factory := node.Deploy(t, components.Zodiac, "Delay"), node.Deploy(t, components.Zodiac, "ModuleProxyFactory")
	var settings abi.Arguments
	for _, name := range []string{"address", "address", "address", "uint256", "uint256"} {
		kind, err := abi.NewType(name, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		settings = append(settings, abi.Argument{Type: kind})
	}
	given, err := settings.Pack(owner, owner, owner, big.NewInt(3600), big.NewInt(7200))
	if err != nil {
		t.Fatal(err)
	}
	setUp := master.Pack(t, "setUp", given)
	made := factory.Read(t, "deployModule", master.Address, setUp, new(big.Int))[0].(common.Address)
	factory.Send(t, from, "deployModule", master.Address, setUp, new(big.Int))
	module := master.At(made)
	if at, after := module.Read(t, "owner")[0], module.Read(t, "txCooldown")[0].(*big.Int); at != owner || after.Int64() != 3600 {
		t.Errorf("the module's owner is %v, its cooldown %v", at, after)
	}
	if why := module.Revert(t, from, "setTxNonce", big.NewInt(1)); !strings.Contains(why, "caller is not the owner") {
		t.Errorf("a stranger vetoes: reverts with %q", why)
	}
}
