package litesvm_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/components/litesvm"
)

type raw = map[string]any

var (
	payee   = litesvm.Address(litesvm.Private("payee"))
	alice   = litesvm.Private("alice")
	base64d = raw{"encoding": "base64"}
)

// transfer is a payment of SOL by alice, and what else there is in it.
func transfer(hash solana.Key, lamports uint64, more ...litesvm.Instruction) []byte {
	data := binary.LittleEndian.AppendUint64([]byte{2, 0, 0, 0}, lamports)
	pay := litesvm.Instruction{Program: solana.System, Accounts: []litesvm.Meta{{litesvm.Address(alice), true, true}, {payee, false, true}}, Data: data}
	return litesvm.Sign(hash, []ed25519.PrivateKey{alice}, append(more, pay)...)
}

func text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// What the runtime refuses of a payment, and what it takes.
func TestSend(t *testing.T) {
	n := litesvm.Start(t)
	n.Airdrop(t, litesvm.Address(alice), 5_000_000_000)
	hash := n.Blockhash(t)
	price := litesvm.Instruction{Program: solana.ComputeBudget, Data: binary.LittleEndian.AppendUint64([]byte{3}, 2_000_000)}
	limit := litesvm.Instruction{Program: solana.ComputeBudget, Data: binary.LittleEndian.AppendUint32([]byte{2}, 1_000)}
	good := transfer(hash, 1_000_000_000, limit, price)
	forged := append([]byte{}, good...)
	forged[10] ^= 1
	late := transfer(solana.Key{7}, 1_000_000_000)
	for name, c := range map[string]struct {
		raw  []byte
		code int
		says string
	}{
		"a forged signature": {forged, -32003, "verification failure"}, "another blockhash": {late, -32002, "BlockhashNotFound"},
		"more than there is": {transfer(hash, 6_000_000_000), -32002, `{"InstructionError":[0,{"Custom":1}]}`}, "nothing": {nil, -32602, "base64"},
		"half of it": {good[:len(good)/2], -32602, "ends early"}, "a byte more": {append(append([]byte{}, good...), 0), -32602, "bytes follow"},
		"a packet and more": {make([]byte, 1233), -32602, "too large"},
	} {
		var id string
		if r := n.Try(t, &id, "sendTransaction", text(c.raw), base64d); r == nil || r.Code != c.code || !strings.Contains(r.Message, c.says) {
			t.Errorf("%s: %+v", name, r)
		}
	}

	var simulated struct {
		Value struct {
			Err  any
			Logs []string
		}
	}
	if n.Call(t, &simulated, "simulateTransaction", text(good), base64d); simulated.Value.Err != nil || len(simulated.Value.Logs) == 0 || n.Balance(t, payee) != 0 {
		t.Errorf("simulated: %+v; the payee has %d", simulated, n.Balance(t, payee))
	}
	var fee struct{ Value *uint64 }
	if n.Call(t, &fee, "getFeeForMessage", text(good[65:])); fee.Value == nil || *fee.Value != 5_000+2_000 {
		t.Errorf("fee %v", fee.Value)
	}
	id := n.Send(t, good)
	if has, left := n.Balance(t, payee), n.Balance(t, litesvm.Address(alice)); has != 1_000_000_000 || left != 4_000_000_000-*fee.Value {
		t.Errorf("the payee has %d, and %d is left", has, left)
	}
	if r := n.Try(t, nil, "sendTransaction", text(good), base64d); r == nil || !strings.Contains(r.Message, "AlreadyProcessed") {
		t.Errorf("sent twice: %+v", r)
	}
	var status struct {
		Value []*struct {
			Slot               uint64
			Err                any
			ConfirmationStatus string
		}
	}
	n.Call(t, &status, "getSignatureStatuses", []string{id, strings.Repeat("1", 63) + "2"})
	if s := status.Value; len(s) != 2 || s[0] == nil || s[0].Err != nil || s[0].ConfirmationStatus != "finalized" || s[1] != nil {
		t.Errorf("statuses %+v", s)
	}
	failed := transfer(hash, 6_000_000_000)
	var failedID string
	n.Call(t, &failedID, "sendTransaction", text(failed), raw{"encoding": "base64", "skipPreflight": true})
	if n.Call(t, &status, "getSignatureStatuses", []string{failedID}); status.Value[0] == nil || status.Value[0].Err == nil {
		t.Errorf("what fails on the chain has status %+v", status.Value[0])
	}
}

// A blockhash dies, the clock moves with the slots, and heights stay behind them.
func TestTime(t *testing.T) {
	n := litesvm.Start(t)
	valid := func(hash solana.Key) (is bool) {
		t.Helper()
		var r struct{ Value bool }
		n.Call(t, &r, "isBlockhashValid", litesvm.Text(hash))
		return r.Value
	}
	first := n.Blockhash(t)
	second := n.ExpireBlockhash(t)
	if first == second || n.Blockhash(t) != second || valid(first) || !valid(second) {
		t.Errorf("hashes %x and %x", first, second)
	}
	var slot, height uint64
	was := n.Time(t)
	n.Call(t, &slot, "getSlot")
	if at := n.Warp(t, 10); at != slot+10 || n.Time(t) != was+10 || valid(second) {
		t.Errorf("slot %d after %d, at %d s after %d s", at, slot, n.Time(t), was)
	}
	if n.Call(t, &height, "getBlockHeight"); height != slot+10-litesvm.Empty {
		t.Errorf("height %d at slot %d", height, slot+10)
	}
	var latest struct {
		Value struct{ LastValidBlockHeight uint64 }
	}
	if n.Call(t, &latest, "getLatestBlockhash"); latest.Value.LastValidBlockHeight != height+150 {
		t.Errorf("the hash is said to live until %d", latest.Value.LastValidBlockHeight)
	}
	if r := n.Try(t, nil, "getSlot", raw{"commitment": "soon"}); r == nil || r.Code != -32602 {
		t.Errorf("another commitment: %+v", r)
	}
	if r := n.Try(t, nil, "getNothing"); r == nil || r.Code != -32601 {
		t.Errorf("another method: %+v", r)
	}
	n.Stop()
	n.Stop()
}

// Tokens are those of the real programs, as the room reads them.
func TestTokens(t *testing.T) {
	n := litesvm.Start(t)
	plain, taxed := n.Mint(t, 6), n.MintWithFee(t, 2, 100, 5_000)
	for _, c := range []struct {
		at   solana.Key
		want string
	}{
		{plain.Mint, "a mint of spl-token with 6 decimals"}, {taxed.Mint, "a mint of token-2022 with 2 decimals and transfer-fee"},
		{n.Give(t, plain, payee, 7), "a token account of spl-token for mint " + litesvm.Text(plain.Mint) + ", owned by " + litesvm.Text(payee)},
		{n.Give(t, plain, payee, 7), "a token account of spl-token for mint " + litesvm.Text(plain.Mint) + ", owned by " + litesvm.Text(payee)},
		{n.Give(t, taxed, payee, 7), "a token account of token-2022 for mint " + litesvm.Text(taxed.Mint) + ", owned by " + litesvm.Text(payee)},
		{payee, "a wallet"}, {solana.Token2022, "an account of another kind, owned by BPFLoaderUpgradeab1e11111111111111111111111"},
	} {
		var r struct {
			Value *struct {
				Owner      string
				Data       []string
				Executable bool
				Space      int
			}
		}
		n.Call(t, &r, "getAccountInfo", litesvm.Text(c.at), base64d)
		owner, data, executable := solana.System, []byte(nil), false
		if r.Value != nil {
			k, err := solana.ParseKey(r.Value.Owner)
			if err != nil {
				t.Fatal(err)
			}
			owner, executable = k, r.Value.Executable
			if data, err = base64.StdEncoding.DecodeString(r.Value.Data[0]); err != nil || len(data) != r.Value.Space {
				t.Errorf("%x: %d bytes of %d, %v", c.at, len(data), r.Value.Space, err)
			}
		}
		if a, err := solana.ReadAccount(owner, data, executable); err != nil || a.String() != c.want {
			t.Errorf("%s is %s, %v; want %s", litesvm.Text(c.at), a, err, c.want)
		}
	}
}

// The programs that the room knows are where it thinks that they are. One letter of an address once was wrong, and nothing else knew.
func TestPrograms(t *testing.T) {
	n := litesvm.Start(t)
	for _, p := range []solana.Key{solana.System, solana.SPLToken, solana.Token2022, solana.AssociatedTokenAccount, solana.ComputeBudget, solana.Memo} {
		var r struct{ Value *struct{ Executable bool } }
		if n.Call(t, &r, "getAccountInfo", p.String(), base64d); r.Value == nil || !r.Value.Executable {
			t.Errorf("%s is no program", p)
		}
	}
}

// What landed is listed for each account that it names, the last first, in pages; and shown byte for byte, also what failed.
func TestHistory(t *testing.T) {
	n := litesvm.Start(t)
	n.Airdrop(t, litesvm.Address(alice), 5_000_000_000)
	first := transfer(n.Blockhash(t), 1_000_000)
	ids := []string{n.Send(t, first)}
	slot := n.Warp(t, 10)
	failed := transfer(n.Blockhash(t), 6_000_000_000)
	var id string
	n.Call(t, &id, "sendTransaction", text(failed), raw{"encoding": "base64", "skipPreflight": true})
	ids = append(ids, id, n.Send(t, transfer(n.Blockhash(t), 2_000_000)))
	type listed struct {
		Signature string
		Slot      uint64
		BlockTime int64
		Err       any
	}
	list := func(of solana.Key, options raw) (out []listed) {
		t.Helper()
		n.Call(t, &out, "getSignaturesForAddress", litesvm.Text(of), options)
		return out
	}
	for _, who := range []solana.Key{litesvm.Address(alice), payee, solana.System} {
		all := list(who, raw{"commitment": "finalized", "minContextSlot": slot})
		if len(all) != 3 || all[0].Signature != ids[2] || all[1].Signature != ids[1] || all[2].Signature != ids[0] || all[0].Slot != slot || all[1].Err == nil || all[2].Err != nil || all[2].Slot != slot-10 || all[0].BlockTime != n.Time(t) {
			t.Errorf("%s is named in %+v; want %v", litesvm.Text(who), all, ids)
		}
	}
	if page := list(payee, raw{"limit": 1, "before": ids[2]}); len(page) != 1 || page[0].Signature != ids[1] {
		t.Errorf("the second: %+v", page)
	}
	if page := list(payee, raw{"before": ids[0]}); len(page) != 0 {
		t.Errorf("behind the last: %+v", page)
	}
	if r := n.Try(t, nil, "getSignaturesForAddress", litesvm.Text(payee), raw{"minContextSlot": slot + 1}); r == nil || r.Code != -32016 {
		t.Errorf("as of a slot to come: %+v", r)
	}
	for i, want := range [][]byte{first, failed} {
		var got struct {
			Slot        uint64
			Transaction [2]string
			Meta        struct{ Err any }
		}
		n.Call(t, &got, "getTransaction", ids[i], base64d)
		if got.Transaction[0] != text(want) || (got.Meta.Err != nil) != (i == 1) || got.Slot != slot-10+uint64(10*i) {
			t.Errorf("transaction %d: %+v", i, got)
		}
	}
	var none *struct{}
	if n.Call(t, &none, "getTransaction", strings.Repeat("1", 64), base64d); none != nil {
		t.Errorf("one that nobody sent: %+v", none)
	}
	var genesis string
	n.Pose(t, litesvm.Text(payee))
	if n.Call(t, &genesis, "getGenesisHash"); genesis != litesvm.Text(payee) {
		t.Errorf("it poses as %s", genesis)
	}
	n.SetTime(t, 1_700_000_000)
	if all := list(payee, raw{}); n.Time(t) != 1_700_000_000 || all[0].BlockTime < 1_800_000_000 {
		t.Errorf("at %d: %+v", n.Time(t), all)
	}
	var block struct {
		Blockhash string
		BlockTime int64
	}
	details := raw{"transactionDetails": "none"}
	if n.Call(t, &block, "getBlock", slot, details); block.Blockhash != litesvm.Text(n.Blockhash(t)) || block.BlockTime != 1_700_000_000 {
		t.Errorf("block %+v", block)
	}
	for at, code := range map[uint64]int{slot + 1: -32004, slot - 1: -32007} {
		if r := n.Try(t, nil, "getBlock", at, details); r == nil || r.Code != code {
			t.Errorf("block of slot %d: %+v", at, r)
		}
	}
}
