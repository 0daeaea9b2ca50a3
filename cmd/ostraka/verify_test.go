package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

// A published circle signed one transfer, which its logs tell of.
type publishedCircle struct {
	*nodetest.World
	vault   statement.ID
	address wallet.Address
	signed  []byte // the transfer
	t       *testing.T
}

func publishes(t *testing.T, change ...func(*charter.Document)) *publishedCircle {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Now = time.Now().UTC().Truncate(time.Second).Add(-12 * time.Hour) // the command's clock is the machine's
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
		for _, f := range change {
			f(d)
		}
	}
	c := &publishedCircle{World: w, t: t}
	c.vault, c.address = nodetest.Ready(w, 3)
	s := w.Propose(c.vault, c.address, 0)
	w.Approve(s)
	w.Run("signed everywhere", func() bool { return w.Signed(s) })
	return c
}

// withholds keeps the vaults' bodies back.
func withholds(d *charter.Document) {
	for i := range d.Vaults {
		d.Vaults[i].Publish = false
	}
}

// folders writes what each node publishes into one, and gives the transfer that they signed.
func (c *publishedCircle) folders(withheld bool) (out []string) {
	c.t.Helper()
	for _, p := range c.PublishAll() {
		for i, l := range p.Leaves {
			if l.Kind == tlog.KindSigned {
				c.signed = l.Content
			}
			if withheld && l.Vault != [32]byte{} && !shownOfEveryVault(l) {
				p.Leaves[i].Body = tlog.Body{}
			}
		}
		dir := filepath.Join(c.t.TempDir(), p.Name)
		if err := p.Write(dir); err != nil {
			c.t.Fatal(err)
		}
		out = append(out, dir)
	}
	return out
}

// shownOfEveryVault says what nodes publish though the charter withholds what a vault does (spec/log 10).
func shownOfEveryVault(l tlog.Filed) bool {
	if l.Kind != tlog.KindStatement {
		return slices.Contains([]string{tlog.KindSignature, tlog.KindWord, tlog.KindRecord, tlog.KindCert, tlog.KindFinal, tlog.KindFinalCert, tlog.KindHeartbeat}, l.Kind)
	}
	return bytes.HasPrefix(l.Content, []byte("ostraka/1 vault\n")) || bytes.HasPrefix(l.Content, []byte("ostraka/1 key\n"))
}

// hours lets the logs go on.
func (c *publishedCircle) hours(n int) {
	c.t.Helper()
	for range n {
		before := map[string]int64{}
		for _, h := range c.Hosts {
			head, _ := h.Journal.Head(c.t.Context())
			before[h.Own.Name] = head.Size
		}
		c.Now = c.Now.Add(c.Document().Heartbeat)
		c.Run("heartbeats", func() bool {
			return c.All(func(h *nodetest.Host) bool {
				head, err := h.Journal.Head(c.t.Context())
				return err == nil && head.Size >= before[h.Own.Name]+3
			})
		})
	}
}

// steal sends a transfer that no node signed: with the key made up of stolen shares.
func (c *publishedCircle) steal(chain *anvil.Node, nonce uint64) string {
	c.t.Helper()
	key, err := crypto.ToECDSA(c.Steal(c.vault, hd.Path(c.address.Path)).Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	to := common.HexToAddress("0xbad")
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{
		ChainID: big.NewInt(1), Nonce: nonce, Gas: 21000, GasFeeCap: big.NewInt(30e9), GasTipCap: big.NewInt(1e9), To: &to, Value: big.NewInt(5),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		c.t.Fatal(err)
	}
	c.broadcast(chain, raw)
	return tx.Hash().Hex()
}

func (c *publishedCircle) broadcast(chain *anvil.Node, raw []byte) {
	c.t.Helper()
	var hash string
	chain.Call(c.t, &hash, "eth_sendRawTransaction", "0x"+hex.EncodeToString(raw))
	for range 1000 {
		var r *struct{ Status string }
		if chain.Call(c.t, &r, "eth_getTransactionReceipt", hash); r != nil {
			if r.Status != "0x1" {
				c.t.Fatalf("transaction %s was reverted", hash)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatalf("transaction %s is not mined", hash)
}

// chainFor is a chain of number 1 whose clock begins with the circle's.
func (c *publishedCircle) chainFor(args ...string) *anvil.Node {
	c.t.Helper()
	chain := anvil.Start(c.t, append([]string{"--chain-id", "1", "--timestamp", fmt.Sprint(c.Now.Unix())}, args...)...)
	chain.SetBalance(c.t, c.address.Address, "0x8ac7230489e80000") // 10 ether
	return chain
}

func verified(t *testing.T, args ...string) (int, *verify.Report, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(append([]string{"verify", "--json"}, args...), nil, &out, &errs)
	var r verify.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit code %d: %v: %s%s", code, err, &out, &errs)
	}
	return code, &r, errs.String()
}

func failedClaims(r *verify.Report) (out []string) {
	for _, c := range r.Claims {
		if c.Failed != "" {
			out = append(out, c.Subject+": "+c.Claim+": "+c.Failed)
		}
	}
	return out
}

// A transfer made from a vault's address that stands in no log is reported as unlogged, and that one alone.
func TestVerifyFindsTheUnloggedTransfer(t *testing.T) {
	c := publishes(t, withholds)                               // as far as they are not shown all the same
	c.hours(int(time.Since(c.Now)/c.Document().Heartbeat) - 4) // what logs do not tell of for a day has failed
	chain := c.chainFor()
	dirs := c.folders(false)
	c.broadcast(chain, c.signed)
	rpc := "eip155:1=" + chain.URL

	// What the logs tell of is all that left the address.
	c.hours(1)
	dirs = c.folders(false)
	code, r, errs := verified(t, append(dirs, "--rpc", rpc)...)
	if code != codeDone || r.Failed || r.Vaults[0].Addresses[0].Chained == nil || r.Vaults[0].Addresses[0].Chained.Outgoing != 1 {
		t.Fatalf("an honest circle: exit code %d: %q%s", code, failedClaims(r), errs)
	}

	// Newer than the logs that are shown: nothing is said of it yet.
	chain.Call(t, nil, "evm_setNextBlockTimestamp", c.Now.Unix())
	hash := c.steal(chain, 1)
	code, r, errs = verified(t, append(dirs, "--rpc", rpc)...)
	if on := r.Vaults[0].Addresses[0].Chained; code != codeDone || len(on.Newer) != 1 || on.Newer[0] != hash {
		t.Fatalf("newer than the logs: exit code %d: %q, %+v%s", code, failedClaims(r), on, errs)
	}

	c.hours(1)
	c.unlogged(append(c.folders(false), "--rpc", rpc), hash)

	// For people.
	var out, errOut bytes.Buffer
	if code := run(append([]string{"verify", "--rpc", rpc}, dirs...), nil, &out, &errOut); code != codeDone {
		t.Errorf("for people: exit code %d: %s%s", code, &out, &errOut)
	}
	out.Reset()
	dirs = c.folders(false)
	if code := run(append([]string{"verify", "--rpc", rpc}, dirs...), nil, &out, &errOut); code != codeUnverified || !strings.HasPrefix(out.String(), "FAILED ") || !strings.Contains(out.String(), hash) {
		t.Errorf("for people: exit code %d: %s%s", code, &out, &errOut)
	}
	t.Log(out.String())
}

// unlogged wants a transaction to be all that is wrong.
func (c *publishedCircle) unlogged(args []string, hash string) {
	c.t.Helper()
	code, r, errs := verified(c.t, args...)
	all := failedClaims(r)
	if code != codeUnverified || len(all) != 1 || !strings.Contains(all[0], "unlogged: transaction "+hash+" (nonce 1, block ") ||
		!strings.Contains(all[0], c.address.Address) || !strings.Contains(all[0], "signature, recovered here, is by the address's key") {
		c.t.Fatalf("exit code %d: %q%s", code, all, errs)
	}
	if on := r.Vaults[0].Addresses[0].Chained; on.Outgoing != 2 || len(on.Unlogged) != 1 || on.Unlogged[0] != hash || on.Nonce != 2 {
		c.t.Errorf("%+v", on)
	}
}

// So is it where the charter withholds what a vault does, once the reader names its address.
func TestVerifyFindsTheUnloggedTransferOfAPrivateVault(t *testing.T) {
	c := publishes(t, func(d *charter.Document) { d.Vaults[0].Publish = false })
	chain := c.chainFor()
	c.folders(false)
	c.broadcast(chain, c.signed)
	c.hours(1)
	chain.Call(t, nil, "evm_setNextBlockTimestamp", c.Now.Unix())
	hash := c.steal(chain, 1)
	c.hours(1)
	dirs, rpc := c.folders(true), "eip155:1="+chain.URL
	code, r, _ := verified(t, append(dirs, "--rpc", rpc)...)
	if code != codeDone || !slices.ContainsFunc(r.Attention, func(a string) bool { return strings.Contains(a, "the addresses of vault treasury are not shown") }) {
		t.Errorf("no address named: exit code %d: %q", code, r.Attention)
	}
	c.unlogged(append(dirs, "--address", "treasury=eip155:1:"+c.address.Address, "--rpc", rpc), hash)
}

const mainSolana = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

// Mistakes of usage, and what cannot be read.
func TestVerifyUsage(t *testing.T) {
	alone(t)
	dir := t.TempDir()
	zeros := strings.Repeat("0", 64)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"verify", codeUsage, "name what to verify"},
		{"verify x --circle y", codeUsage, "--circle"},
		{"verify x --circle " + zeros + " --circle " + zeros, codeUsage, "given 2 times"},
		{"verify x --rpc http://x", codeUsage, "--rpc: "},
		{"verify x --rpc cosmos:hub=http://x", codeUsage, "this release reads chains like Ethereum"},
		{"verify x --rpc solana:1=http://x", codeUsage, "the first 32 characters of its genesis hash"},
		{"verify x --at 5 --rpc " + mainSolana + "=http://x", codeUsage, "leave it out for " + mainSolana},
		{"verify x --at " + mainSolana + "=5 --rpc " + mainSolana + "=http://x", codeUsage, "leave it out for " + mainSolana},
		{"verify x --at 5", codeUsage, "of which chain?"},
		{"verify x --at x --rpc eip155:1=http://x", codeUsage, "neither HEIGHT nor CHAIN=HEIGHT"},
		{"verify x --at eip155:2=5 --rpc eip155:1=http://x", codeUsage, "no --rpc is given for eip155:2"},
		{"verify x --at 5 --at 6 --rpc eip155:1=http://x", codeUsage, "twice"},
		{"verify x --at eip155:1=5 --at eip155:1=6 --rpc eip155:1=http://x", codeUsage, "twice"},
		{"verify x --witness x", codeUsage, "--witness: "},
		{"verify x --operator acme", codeUsage, "is not NAME=IDENTITY"},
		{"verify x --operator acme=" + zeros, codeUsage, "is not NAME=IDENTITY"},
		{"verify x --address treasury", codeUsage, "is not VAULT=CHAIN:ADDRESS"},
		{"verify x --rpc bip122:00=http://x", codeUsage, "is no Bitcoin network that is known here"},
		{"verify x --from-block 5 --rpc eip155:1=http://x", codeUsage, "--from-block 5: of which chain?"},
		{"verify x --from-block eip155:1=5 --rpc eip155:1=http://x", codeUsage, "no --rpc is given for eip155:1"},
		{"verify x --from-block x --rpc bip122:0f9188f13cb7b2c71f2a335e3a4fc328=http://x", codeUsage, "--from-block \"x\" is neither HEIGHT nor CHAIN=HEIGHT"},
		{"verify x --from-block 5 --from-block 6 --rpc bip122:0f9188f13cb7b2c71f2a335e3a4fc328=http://x", codeUsage, "--from-block is given twice"},
		{"verify x --address treasury=bip122:0f9188f13cb7b2c71f2a335e3a4fc328:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", codeUsage, "--address of vault treasury"},
		{"verify x --address treasury=eip155:1:0x12", codeUsage, "--address of vault treasury"},
		{"verify x --address treasury=" + mainSolana + ":0x12", codeUsage, "--address of vault treasury: solana address"},
		{"verify x --maintainer a", codeUsage, "--maintainer needs a --release"},
		{"verify x --release " + dir + "/none", codeUsage, "the keys of 2 maintainers"},
		{"verify " + dir, codeError, "neither a disclosure"},
		{"verify " + dir + "/none", codeUsage, "there is no such folder; an address begins with https://"},
		{"verify 127.0.0.1:33715", codeUsage, "there is no such folder; a node is written https://127.0.0.1:33715"},
		{"watch /nonexistent", codeUsage, "there is no such folder"},
		{"verify x --circle " + zeros, codeUsage, "--circle: that id is nobody's; take the circle's id from its operators"},
		{"verify x --operator acme=ed25519:00", codeUsage, `IDENTITY is 64 hex digits, with or without "ed25519:"`},
		{"verify http://127.0.0.1:1 --timeout 1ms", codeError, "give it more time with --timeout"},
		{"verify x --max-entries 0", codeUsage, "--max-entries"},
		{"verify x --max-mb -1", codeUsage, "--max-mb"},
		{"watch x --max-time 0s", codeUsage, "--max-time"},
		{"watch " + dir + " --name A/B", codeUsage, "--name: "},
		{"notify run --watch x", codeUsage, "ostraka watch --name x"},
	} {
		if code, out, errs := try(strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d, not %d: %s%s", c.args, code, c.code, out, errs)
		}
	}
}

// A place among others that cannot be read, another circle, another identity, and an operator whose log is not shown are failures.
func TestVerifyFailures(t *testing.T) {
	c := publishes(t)
	dirs := c.folders(false)
	_, roster, _ := c.Hosts[0].Circle.Roster()
	identity := fmt.Sprintf("operator-1=%x", []byte(c.Hosts[1].Own.Identity))
	printed := strings.Replace(identity, "=", "=ed25519:", 1) // as every command prints it
	if code, r, _ := verified(t, append(dirs, "--circle", roster.ID.String(), "--operator", identity)...); code != codeDone {
		t.Fatalf("an honest circle: %q", failedClaims(r))
	}
	if code, r, _ := verified(t, append(dirs, "--operator", printed)...); code != codeDone {
		t.Fatalf("an identity as commands print it: %q", failedClaims(r))
	}
	key, _ := tlog.Derive(c.Hosts[0].Key, 7)
	outsider, err := tlog.NewWitness("witness.example", key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if code, r, _ := verified(t, append(dirs, "--witness", outsider.String(), "--witness", outsider.String())...); code != codeDone {
		t.Fatalf("a witness that is named twice: %q", failedClaims(r))
	}
	const against = "next: believe nothing of it"
	for name, x := range map[string]struct {
		args []string
		want string
		next string
	}{
		"a place that is none": {append(slices.Clone(dirs), t.TempDir()), "neither a disclosure", "could not be read: look at the address, and try again; nothing is known against it"},
		"another circle":       {append(slices.Clone(dirs), "--circle", strings.Repeat("1", 64)), "asked for is " + strings.Repeat("1", 64), against},
		"another identity":     {append(slices.Clone(dirs), "--operator", fmt.Sprintf("operator-1=%x", []byte(c.Hosts[2].Own.Identity))), "the roster has", against},
		"two of three logs":    {dirs[:2], "no log of it is among what was read", "next: name the node of operator-2 too"},
		"one of three logs":    {dirs[:1], "no log of it is among what was read", "next: name the nodes of operator-1 and operator-2 too"},
		"one is away":          {append(slices.Clone(dirs[:2]), "https://127.0.0.1:1"), "connection refused", "next: operator-2 did not answer: try again; nothing is known against it"},
		"no such chain":        {append(slices.Clone(dirs), "--rpc", "eip155:1=http://127.0.0.1:1"), "check that the chain's node runs there", "next: check --rpc: your endpoint did not answer"},
		"no such vault":        {append(slices.Clone(dirs), "--address", "none=eip155:1:"+c.address.Address), "no vault of this name", against},
	} {
		if code, r, errs := verified(t, x.args...); code != codeUnverified || len(failedClaims(r)) > 4 || !strings.Contains(strings.Join(failedClaims(r), "\n"), x.want) || !strings.Contains(errs, x.next) {
			t.Errorf("%s: exit code %d: %q%s", name, code, failedClaims(r), errs)
		}
	}
}

// What was published cannot write lines of the report.
func TestReportIsOneLineEach(t *testing.T) {
	r := &verify.Report{Circle: "x\nVERIFIED", Attention: []string{"a\nb\u202e\x1b[2J"}, Claims: []verify.Claim{{Subject: "circle\nz", Claim: "c\nd", Class: verify.Proved, Failed: "e\nf"}, {Subject: "y\nz", Claim: "c\nd", Class: verify.Declared, Basis: "g\nh"}}}
	var b strings.Builder
	printReport(&b, r)
	for _, bad := range []string{"\nVERIFIED", "\nb", "\u202e", "\x1b", "\nd", "\nf", "\nh", "\nz"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q is printed:\n%s", bad, b.String())
		}
	}
}

// Of an operator's program it is said which release it is, if two maintainers whom the reader trusts signed that.
func TestReleases(t *testing.T) {
	const folder = "../../evidence/release/testdata/"
	list, err := os.ReadFile(folder + "MAINTAINERS")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	find, err := releases([]string{folder + "release.note"}, keys)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(folder + "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for line := range strings.Lines(string(sums)) {
		var sum [32]byte
		if _, err := hex.Decode(sum[:], []byte(line[:64])); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(find(sum), "v") {
			known++
		}
		if sum[0] ^= 1; find(sum) != "" {
			t.Errorf("an unknown program is called %s", find(sum))
		}
	}
	if known == 0 {
		t.Error("no program of the release is known")
	}
	if _, err := releases([]string{folder + "release.note"}, keys[:1]); err == nil {
		t.Error("one maintainer is enough")
	}
}

// What operators opened to the reader is verified with what everybody is shown; what is not of their logs is not taken.
func TestVerifyOpened(t *testing.T) {
	alone(t)
	c := publishes(t, withholds)
	all := c.PublishAll()
	dirs := c.folders(true)
	var args []string
	hidden := 0
	opens := func(p *nodetest.Published, change func(*tlog.Opened)) string {
		t.Helper()
		o := tlog.Opened{Origin: p.Origin, Checkpoint: p.Signed}
		for i, l := range p.Leaves {
			if l.Vault != [32]byte{} && !shownOfEveryVault(l) && len(l.Content) > 0 {
				o.Leaves = append(o.Leaves, tlog.OpenedLeaf{Index: int64(i), Filed: l})
			}
		}
		hidden = len(o.Leaves)
		if change != nil {
			change(&o)
		}
		raw, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "opened")
		if err := writeOpened(dir, o, raw); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	sum := 0
	for _, p := range all {
		args = append(args, "--opened", opens(p, nil))
		sum += hidden
	}
	code, r, _ := verified(t, dirs...)
	if code != codeDone || r.Withheld == 0 || len(r.Vaults[0].Addresses) != 0 {
		t.Fatalf("withheld: exit code %d, %d withheld: %q", code, r.Withheld, failedClaims(r))
	}
	withheld := r.Withheld
	code, r, errs := verified(t, append(slices.Clone(dirs), args...)...)
	if code != codeDone || r.Withheld >= withheld || len(r.Vaults[0].Addresses) != 1 || len(r.Vaults[0].Requests) != 1 || r.Vaults[0].Requests[0].What == "" {
		t.Fatalf("opened: exit code %d, %d withheld: %q, %+v%s", code, r.Withheld, failedClaims(r), r.Vaults[0], errs)
	}
	want := fmt.Sprintf("%d bodies were opened to you", sum)
	if !slices.ContainsFunc(r.Claims, func(x verify.Claim) bool { return x.Claim == want && x.Class == verify.Proved }) {
		t.Errorf("no claim says %q: %+v", want, r.Claims)
	}
	for name, x := range map[string]struct{ dir, want, next string }{
		"of no log that was read": {opens(all[2], nil), "is not among what was read", "name the node of operator-2 too; name the node whose log was opened to you too"},
		"another leaf":            {opens(all[0], func(o *tlog.Opened) { o.Leaves[0].Index-- }), "is another than what was opened", "believe nothing of what fails then"},
	} {
		code, r, errs := verified(t, append(slices.Clone(dirs[:2]), "--opened", x.dir)...)
		if text := strings.Join(failedClaims(r), "\n"); code != codeUnverified || !strings.Contains(text, "what was opened in "+x.dir) || !strings.Contains(text, x.want) || !strings.Contains(errs, x.next) {
			t.Errorf("%s: exit code %d: %s%s", name, code, text, errs)
		}
	}
}

// What reads for itself, as the demo does, has the bounds that the flags have.
func TestCostsOfNone(t *testing.T) {
	if left := time.Until(costs{}.until(t.Context())); left < defaultTime-time.Minute || left > defaultTime {
		t.Errorf("fetching ends in %s", left)
	}
}
