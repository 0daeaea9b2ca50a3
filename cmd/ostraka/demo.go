package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
)

// Defaults of a demonstration without a chain: anvil's chain id and its second account.
const (
	demoSuite   = charter.SuiteECDSA
	demoChain   = 31337
	demoEntity  = "Three operators of a demonstration"
	demoText    = "first light: these three operators hold this key together"
	demoPayee   = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	demoAmount  = "0.1" // coins sent
	demoFunds   = "1"   // coins that a development chain gives the new address first
	demoTimeout = 10 * time.Minute
)

type demoDocument struct {
	Operators []demoOperator    `json:"operators"`
	Vault     vaultDocument     `json:"vault"`
	Account   string            `json:"account"`
	Path      string            `json:"path"`
	Address   string            `json:"address"`
	Intent    string            `json:"intent"`
	Tx        *demoTransaction  `json:"tx,omitempty"`    // of ecdsa-secp256k1
	Proof     *proofDocument    `json:"proof,omitempty"` // of the other suites
	Signature signatureDocument `json:"signature"`
	Sender    string            `json:"sender"`
	Verified  bool              `json:"verified"`
	Receipt   *receiptDocument  `json:"receipt,omitempty"`
	Outsider  *outsiderDocument `json:"outsider,omitempty"` // what anybody finds, from the logs alone
	Steps     []stepDocument    `json:"steps"`
	Kept      *keptDocument     `json:"kept,omitempty"`
}

type demoOperator struct {
	Name     string `json:"name"`
	Entity   string `json:"entity"`
	Identity string `json:"identity"`
	PID      int    `json:"pid"`
	Link     string `json:"link"`
	People   string `json:"people"`
	Dir      string `json:"dir"`
}

type demoTransaction struct {
	Raw     string `json:"raw"`
	Hash    string `json:"hash"`
	ChainID uint64 `json:"chain_id"`
	Nonce   uint64 `json:"nonce"`
	To      string `json:"to"`
	Value   string `json:"value"` // wei
}

// signatureDocument is r and s with the recovery id of ECDSA, x(R) and s of BIP 340, R and S of RFC 8032.
type signatureDocument struct {
	R string `json:"r"`
	S string `json:"s"`
	V uint8  `json:"v"`
}

type receiptDocument struct {
	Hash      string `json:"hash"`
	Block     uint64 `json:"block"`
	BlockHash string `json:"block_hash"`
	Status    int    `json:"status"` // 1: success
	GasUsed   uint64 `json:"gas_used"`
}

// outsiderDocument is what `ostraka verify` says of the nodes.
type outsiderDocument struct {
	Circle   string   `json:"circle"` // id
	Proved   int      `json:"proved"`
	Attested int      `json:"attested"`
	Declared int      `json:"declared"`
	Places   []string `json:"places"`
}

type stepDocument struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

type keptDocument struct {
	Dir      string   `json:"dir"`
	Binary   string   `json:"binary"`
	Contexts string   `json:"contexts"`
	Keys     []string `json:"keys"`
	Propose  string   `json:"propose"` // a command that proposes the next transfer
	Stop     []string `json:"stop"`
}

func (a *app) demoCommand() *cobra.Command {
	var ethRPC, suite string
	var keep bool
	c := &cobra.Command{
		Use: "demo", Short: "The whole story on this machine: three operators, one 3-of-3 vault, a signed transfer", Args: none,
		Long: "Starts three nodes as three processes, lets them form a circle, create a 3-of-3 vault, give out an address,\n" +
			"approve and sign a transfer, verifies it with go-ethereum, and stops everything.\n\n" +
			"With --eth-rpc it funds the address from the endpoint's first unlocked account (a development chain's) and\n" +
			"the nodes broadcast. With --dir D --keep everything stays in D, and the nodes go on running.\n\n" +
			"With --suite ed25519 or bip340-secp256k1 the vault's key is of that suite (FROST), and what is signed is a proof that\n" +
			"the vault controls its address on Solana or in Bitcoin's Taproot.",
		RunE: func(c *cobra.Command, _ []string) error {
			dir := ""
			if c.Flags().Changed("dir") {
				dir = a.dir
			}
			if keep != (dir != "") {
				return usage("--keep and --dir D go together: the nodes go on running with their data in D")
			}
			if _, ok := demoChains[suite]; !ok {
				return usage("--suite %q: want ecdsa-secp256k1, bip340-secp256k1 or ed25519", suite)
			}
			if ethRPC != "" && suite != demoSuite {
				return usage("--eth-rpc goes with suite %s alone", demoSuite)
			}
			ctx, cancel := a.within(c.Context(), demoTimeout)
			defer cancel()
			return a.demo(ctx, dir, ethRPC, suite)
		},
	}
	c.Flags().StringVar(&ethRPC, "eth-rpc", "", "endpoint of a development chain with an unlocked account")
	c.Flags().StringVar(&suite, "suite", demoSuite, "suite of the vault's key: ecdsa-secp256k1, bip340-secp256k1 or ed25519")
	c.Flags().BoolVar(&keep, "keep", false, "with --dir D: keep everything in D and leave the nodes running")
	return c
}

// demoChains are what the vault signs for where the chain is not asked: Ethereum's development chain, Bitcoin's regtest,
// Solana's devnet.
var demoChains = map[string]string{
	charter.SuiteECDSA:   fmt.Sprintf("eip155:%d", demoChain),
	charter.SuiteBIP340:  "bip122:0f9188f13cb7b2c71f2a335e3a4fc328",
	charter.SuiteEd25519: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
}

// story is one demonstration under way.
type story struct {
	a      *app
	w      io.Writer // where the story is told
	doc    demoDocument
	suite  string
	circle *local.Circle
	chain  *rpc.EVM // nil: no chain
	payee  evm.Address
	faucet evm.Address
	number uint64 // chain id
	begun  time.Time

	vault   client.Vault
	root    client.Root
	account client.Account
	address client.Address
	initial *client.Circle // the initiator's
	signed  *client.Case
}

func (a *app) demo(ctx context.Context, keep, ethRPC, suite string) (err error) {
	s := &story{a: a, w: a.out, number: demoChain, suite: suite}
	if a.json {
		s.w = a.err
	}
	if s.payee, err = evm.ParseAddress(demoPayee); err != nil {
		return err
	}
	cfg, cleanup, err := s.place(ctx, keep, ethRPC)
	if err != nil {
		return err
	}
	defer cleanup()
	s.begun = time.Now()
	s.tell("Three operators, none of which can sign alone. Together they sign a %s.\n", s.what())
	s.circle, err = local.Start(ctx, cfg)
	defer func() {
		if err != nil || keep == "" {
			s.circle.Stop()
		}
	}()
	if err != nil {
		return err
	}
	s.tellOperators()
	for _, step := range []func(context.Context) error{s.found, s.vaulted, s.give, s.fund, s.propose, s.approve, s.verify, s.receipt, s.disclosed} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if keep != "" {
		s.kept(cfg.Binary)
	}
	s.tell("\nDone.")
	if !a.json {
		return nil
	}
	return a.show(s.doc, nil)
}

// place finds the binary, the folder and the chain.
func (s *story) place(ctx context.Context, keep, ethRPC string) (local.Config, func(), error) {
	cfg := local.Config{Suite: s.suite, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2, Detach: keep != "", Dir: keep}
	nothing := func() {}
	var err error
	if cfg.Binary, err = os.Executable(); err != nil {
		return cfg, nothing, fmt.Errorf("find this program: %w", err)
	}
	if ethRPC != "" {
		if err := s.reach(ctx, ethRPC); err != nil {
			return cfg, nothing, err
		}
	}
	cfg.Chain = demoChains[s.suite]
	if ethRPC != "" {
		cfg.Chain = fmt.Sprintf("eip155:%d", s.number)
		cfg.RPC = map[string]string{cfg.Chain: ethRPC}
	}
	if keep == "" {
		if cfg.Dir, err = os.MkdirTemp("", "ostraka-"); err != nil {
			return cfg, nothing, err
		}
		return cfg, func() { os.RemoveAll(cfg.Dir) }, nil
	}
	if cfg.Dir, err = filepath.Abs(keep); err != nil {
		return cfg, nothing, err
	}
	if left, err := os.ReadDir(cfg.Dir); err == nil && len(left) > 0 {
		return cfg, nothing, fail(codeError, fmt.Errorf("%s is not empty", cfg.Dir), "name a new folder")
	}
	if cfg.Binary, err = copyProgram(cfg.Binary, filepath.Join(cfg.Dir, "bin", "ostraka")); err != nil {
		return cfg, nothing, fmt.Errorf("copy this program: %w", err)
	}
	return cfg, nothing, nil
}

// reach asks the endpoint for its chain and its first unlocked account.
func (s *story) reach(ctx context.Context, ethRPC string) (err error) {
	if s.chain, err = rpc.NewEVM(ethRPC, rpc.Options{}); err != nil {
		return usage("--eth-rpc: %w", err)
	}
	next := "start a development chain, for instance anvil or `geth --dev --http`"
	if s.number, err = s.chain.ChainID(ctx); err != nil {
		return notReady(next, "%w", err)
	}
	accounts, err := s.chain.Accounts(ctx)
	if err != nil {
		return notReady(next, "%w", err)
	}
	if len(accounts) == 0 {
		return notReady(next, "the endpoint %s has no unlocked account to fund the new address from", s.chain.Endpoint())
	}
	s.faucet, s.payee = accounts[0], accounts[0]
	return nil
}

func copyProgram(from, to string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return to, errors.Join(err, out.Close())
}

func (s *story) tell(format string, args ...any) { fmt.Fprintf(s.w, format+"\n", args...) }

// step ends a step of the story with its time.
func (s *story) step(name, format string, args ...any) {
	took := time.Since(s.begun)
	s.begun = time.Now()
	s.doc.Steps = append(s.doc.Steps, stepDocument{name, took.Seconds()})
	s.tell("%d. %s  [%.1f s]", len(s.doc.Steps), fmt.Sprintf(format, args...), took.Seconds())
}

func (s *story) tellOperators() {
	s.step("nodes", "Each operator runs a node: its own process, data folder, passphrase and identity.")
	for _, o := range s.circle.Operators {
		s.doc.Operators = append(s.doc.Operators, demoOperator{o.Name, o.Entity, client.FormatIdentity(o.Identity), o.PID(), o.Link, o.People, o.Dir})
		s.tell("     %-5s process %-8d %s", o.Name, o.PID(), client.FormatIdentity(o.Identity))
	}
}

func (s *story) found(ctx context.Context) error {
	if err := s.circle.Found(ctx); err != nil {
		return err
	}
	s.step("circle", "acme invites bolt and cora; they join; an officer of each signs the roster, then the charter: who may do what, and where the shares lie.")
	return nil
}

func (s *story) vaulted(ctx context.Context) error {
	if err := s.circle.CreateVault(ctx); err != nil {
		return err
	}
	if err := s.circle.AwaitVault(ctx); err != nil {
		return err
	}
	var err error
	if s.initial, err = s.circle.As(s.circle.Initiator); err != nil {
		return err
	}
	if s.vault, _, err = s.initial.Vault(ctx, local.VaultName); err != nil {
		return err
	}
	if s.root, err = s.vault.Root(s.suite); err != nil {
		return err
	}
	if s.doc.Vault, err = vaultOf(s.vault); err != nil {
		return err
	}
	s.step("vault", "Each officer signs the vault; the nodes make its key together, %d-of-%d: no place ever holds it.", s.vault.Threshold, len(s.vault.Committee))
	s.tell("     public key %x (%s)", s.root.PublicKey(), s.suite)
	return nil
}

func (s *story) give(ctx context.Context) error {
	var err error
	if s.account, _, err = client.CreateAccount(ctx, s.initial, s.vault, "ops", "main"); err != nil {
		return err
	}
	if s.address, _, err = s.initial.NewAddress(ctx, s.vault, s.root, s.account, len(s.circle.Operators)); err != nil {
		return err
	}
	s.account.Addresses[s.circle.Operators[0].Name] = map[string]int{s.suite: 1}
	s.doc.Account, s.doc.Path, s.doc.Address = "ops/main", s.address.Path.String(), s.address.Address
	s.step("address", "alice makes the account ops/main and asks all three nodes for its address; they agree, and so does her own derivation.")
	s.tell("     %s at %s", s.address.Address, s.address.Path)
	return nil
}

func (s *story) fund(ctx context.Context) error {
	if s.chain == nil {
		return nil
	}
	funds, err := evm.ParseUnits(demoFunds, evm.EtherDecimals)
	if err != nil {
		return err
	}
	to, err := evm.ParseAddress(s.address.Address)
	if err != nil {
		return err
	}
	hash, err := s.chain.SendTransaction(ctx, rpc.Message{From: s.faucet, To: to, Value: funds})
	if err != nil {
		return fmt.Errorf("fund the new address: %w", err)
	}
	if _, err := s.await(ctx, hash); err != nil {
		return fmt.Errorf("fund the new address: %w", err)
	}
	s.step("funds", "The development chain %d at %s sends it %s coin.", s.number, s.chain.Endpoint(), demoFunds)
	return nil
}

// await waits for a receipt.
func (s *story) await(ctx context.Context, hash evm.Hash) (rpc.Receipt, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	return s.chain.Wait(ctx, hash, 1, tick.C)
}

// what is signed: a transfer on Ethereum, a proof of control elsewhere.
func (s *story) what() string {
	if s.suite == demoSuite {
		return "transfer"
	}
	return "proof"
}

// ask makes the intent's statement.
func (s *story) ask(ctx context.Context) (statement.Statement, error) {
	sender := client.Sender{Vault: s.vault, Root: s.root, Account: s.account, Chain: s.circle.Chain}
	if s.suite != demoSuite {
		return s.initial.PrepareProof(sender, intent.Claim{Entity: demoEntity, Text: demoText}, "", 0)
	}
	amount, err := evm.ParseUnits(demoAmount, evm.EtherDecimals)
	if err != nil {
		return statement.Statement{}, err
	}
	t := client.Transfer{Sender: sender, To: s.payee, Amount: amount, Memo: "first light"}
	if s.chain == nil {
		t.Nonce, t.Gas, t.FeeCap, t.TipCap = new(uint64), new(uint64), big.NewInt(30e9), big.NewInt(1e9)
		*t.Gas = 21000
	}
	return s.initial.Prepare(ctx, t)
}

func (s *story) propose(ctx context.Context) error {
	stmt, err := s.ask(ctx)
	if err != nil {
		return err
	}
	taken, err := s.initial.SubmitStatement(ctx, stmt)
	if err != nil {
		return err
	}
	if _, err := taken.Need("propose", len(s.circle.Operators)); err != nil {
		return err
	}
	s.doc.Intent = stmt.ID().String()
	if s.signed, _, err = s.initial.Case(ctx, []client.Vault{s.vault}, stmt.ID()); err != nil {
		return err
	}
	if s.signed.Proof != nil {
		s.step("proposal", "alice proposes: the statement that the key shall sign, signed with her SSH key, goes to every node.")
		s.tell("     text    %s", s.signed.Proof.Text)
		return nil
	}
	s.step("proposal", "alice proposes: the full transaction, signed with her SSH key, goes to every node.")
	for _, l := range humane(s.signed.Tx.Facts(), nil) {
		s.tell("     %-7s %s", l.Name, l.Value)
	}
	return nil
}

func (s *story) approve(ctx context.Context) error {
	vaults := []client.Vault{s.vault}
	for i, person := range s.circle.Approvers {
		c, err := s.circle.As(person)
		if err != nil {
			return err
		}
		one, _, err := c.Case(ctx, vaults, s.signed.ID())
		if err != nil {
			return err
		}
		if err := (&app{err: io.Discard}).examine(c, one, signet.Approve); err != nil {
			return err
		}
		taken, err := c.Vote(ctx, one.Statement, signet.Approve)
		if err != nil {
			return err
		}
		if _, err := taken.Need(person+" approves", len(s.circle.Operators)); err != nil {
			return err
		}
		c.Close()
		left := len(s.circle.Approvers) - i - 1
		more := fmt.Sprintf("%d more needed", left)
		if left == 0 {
			more = "that is enough"
		}
		s.step("approval", "%s compares the copies of %d nodes, decodes the %s, approves: %s.", person, len(one.Views), s.what(), more)
	}
	var err error
	s.signed, err = s.initial.Follow(ctx, vaults, s.signed.ID(), 50*time.Millisecond,
		func(c *client.Case) bool { return c.Signed != nil && len(c.Decisions) == len(s.circle.Operators) },
		func(*client.Case, []client.Failure) {})
	if err != nil {
		return err
	}
	protocol := "FROST"
	if s.suite == demoSuite {
		protocol = "DKLs23"
	}
	s.step("signing", "Each node decodes it itself and decides; the three run %s and sign.", protocol)
	for _, d := range s.signed.Decisions {
		s.tell("     %-5s %s by rule %s", d.Operator, strings.ToUpper(string(d.Verdict)), d.Rule)
	}
	return nil
}

// disclosed checks everything as anybody may, from what the nodes publish.
func (s *story) disclosed(ctx context.Context) error {
	v, d := &verification{}, &outsiderDocument{}
	for _, o := range s.circle.Operators {
		d.Places = append(d.Places, "https://"+o.People)
	}
	v.places = d.Places
	r, err := v.settled(ctx, s.a, len(s.circle.Operators))
	if err != nil {
		return err
	}
	if err := verdict(r); err != nil {
		return err
	}
	d.Circle = r.CircleID.String()
	for _, c := range r.Claims {
		switch c.Class {
		case verify.Proved:
			d.Proved++
		case verify.Attested:
			d.Attested++
		default:
			d.Declared++
		}
	}
	s.doc.Outsider = d
	s.step("disclosed", "An outsider, with no account, checks it from the three logs alone: %d claims proved, %d declared.", d.Proved, d.Declared)
	return nil
}

func (s *story) kept(binary string) {
	k := &keptDocument{Dir: s.circle.Dir, Binary: binary, Contexts: s.circle.ContextsFile()}
	for _, p := range append([]string{s.circle.Initiator}, s.circle.Approvers...) {
		k.Keys = append(k.Keys, s.circle.KeyFile(p))
	}
	for _, o := range s.circle.Operators {
		k.Stop = append(k.Stop, fmt.Sprintf("%s node stop --dir %s", binary, o.Dir))
	}
	// Without a chain the nodes cannot read these numbers; with one they are right as well.
	k.Propose = fmt.Sprintf("%s --key %s address prove %s ops/main --entity 'Three operators' --text 'still here' --no-wait", binary, s.circle.KeyFile(s.circle.Initiator), local.VaultName)
	if s.suite == demoSuite {
		k.Propose = s.nextTransfer(binary)
	}
	s.doc.Kept = k
	s.tellKept(k)
}

func (s *story) nextTransfer(binary string) string {
	return fmt.Sprintf("%s --key %s tx propose --vault %s --account ops/main --to %s --amount %s --nonce %d --gas 21000 --fee-cap 30000000000 --tip-cap 1000000000 --no-wait",
		binary, s.circle.KeyFile(s.circle.Initiator), local.VaultName, s.payee, demoAmount, s.signed.Tx.Facts().Nonce+1)
}

func (s *story) tellKept(k *keptDocument) {
	binary := k.Binary
	s.tell("\nThe nodes go on running. To talk to them:\n")
	s.tell("  export %s=%s", client.FileVariable, k.Contexts)
	s.tell("  %s --key %s tx list", binary, s.circle.KeyFile("alice"))
	s.tell("  %s --key %s address new %s ops/main", binary, s.circle.KeyFile("alice"), local.VaultName)
	s.tell("  %s", k.Propose)
	for _, p := range s.circle.Approvers {
		s.tell("  %s --key %s tx approve ID", binary, s.circle.KeyFile(p))
	}
	s.tell("  %s --dir %s doctor", binary, s.circle.Operators[0].Dir)
	s.tell("\nTo check it all as an outsider, with no account and no key, and to publish it:\n")
	s.tell("  %s verify %s", binary, strings.Join(s.doc.Outsider.Places, " "))
	s.tell("  %s disclose publish -o disclosure", binary)
	if _, err := wasm.Verifier(); err != nil {
		s.tell("  (in the source, after `make wasm`, add --wasm %s: then its page checks everything in the visitor's own browser)", wasmDist)
	}
	s.tell("\nTo stop them:\n")
	for _, line := range k.Stop {
		s.tell("  %s", line)
	}
	s.tell("\nTo start one again: %s node run --dir %s --passphrase-file %s", binary, s.circle.Operators[0].Dir, s.circle.Operators[0].Passphrase)
}
