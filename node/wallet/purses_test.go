package wallet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
	"github.com/ostraka/ostraka/node/store/memory"
)

const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

// A ledger is a chain that a test writes, at an endpoint. No signature of it is looked at: books do not either.
type ledger struct {
	ids  []psbt.ID
	raws map[string]string
}

// mine puts transactions into the next block.
func (l *ledger) mine(txs ...*psbt.Tx) {
	var h block.Header
	h.Version, h.Time, h.Bits = 4, 1_800_000_000+600*uint32(len(l.ids)), 0x207fffff
	if len(l.ids) > 0 {
		h.Previous = l.ids[len(l.ids)-1]
	}
	base := &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{Index: math.MaxUint32}, Script: binary.LittleEndian.AppendUint32(nil, uint32(len(l.ids)))}}, Outs: []psbt.Out{{Amount: 1, Script: []byte{0x51}}}}
	txs = append([]*psbt.Tx{base}, txs...)
	body, row := psbt.AppendCompact(nil, uint64(len(txs))), []psbt.ID{}
	for _, tx := range txs {
		body, row = append(body, tx.Bytes()...), append(row, tx.ID())
	}
	for ; len(row) > 1; row = row[:(len(row)+1)/2] {
		for i := 0; i < len(row); i += 2 {
			pair := append(row[i][:], row[min(i+1, len(row)-1)][:]...)
			once := sha256.Sum256(pair)
			row[i/2] = sha256.Sum256(once[:])
		}
	}
	h.Root = row[0]
	for id := h.ID(); id[31] > 0x7e; id = h.ID() {
		h.Nonce++
	}
	l.ids = append(l.ids, h.ID())
	l.raws[h.ID().String()] = hex.EncodeToString(append(h.Bytes(), body...))
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		ID     uint64
		Method string
		Params []any
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	var result any
	switch q.Method {
	case "getblockcount":
		result = len(l.ids) - 1
	case "getblockhash":
		result = l.ids[int(q.Params[0].(float64))].String()
	case "getblock":
		result = l.raws[q.Params[0].(string)]
	case "getmempoolinfo":
		result = map[string]float64{"mempoolminfee": 0.00001, "minrelaytxfee": 0.00001}
	case "estimatesmartfee":
		result = map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": q.ID, "result": result})
}

// A stand is a node's purses over a chain and a disk, with one vault and its only account.
type stand struct {
	*Purses
	t       *testing.T
	chain   *ledger
	account charter.Account
	vault   bitcoin.Vault
	journal *journal.Journal
	signer  ssh.Signer
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, chain: &ledger{raws: map[string]string{}}, account: charter.Account{Charter: statement.ID{1}, Vault: statement.ID{7}, Department: "ops", Name: "main", Path: [2]uint32{0, 1}, Created: time.Unix(1_790_000_000, 0).UTC()}}
	s.journal = must(journal.Open(t.Context(), memory.New()))(t)
	s.signer = must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, 32))))(t)
	s.start()
	for range 3 {
		s.chain.mine()
	}
	made := must(s.account.Statement(statement.Salt{1}))(t)
	note := outbox.Note{Kind: NoteAccount, Fields: [][]byte{made.Bytes(), must(signet.Sign(nil, s.signer, signet.Makes(statement.Account), made.Bytes()))(t)}}
	if err := s.Accounts.Take(t.Context(), time.Now(), note, func(e journal.Entry) error { return s.journal.Write(t.Context(), e) }); err != nil {
		t.Fatal(err)
	}
	return s
}

// start is a new process.
func (s *stand) start() {
	s.t.Helper()
	server := httptest.NewServer(s.chain)
	s.t.Cleanup(server.Close)
	record := &epoch.Record{Suite: charter.SuiteBIP340, Public: secp256k1.Group{}.Generator(), ChainCode: [32]byte{3}}
	view := ceremony.View{Suite: record.Suite, Current: &epoch.FinalCert{Record: record}}
	view.Vault = charter.Vault{ID: s.account.Vault, Charter: s.account.Charter, Created: s.account.Created}
	view.Vault.Initiators = []charter.Person{{Name: "alice", Keys: []signet.Key{must(signet.NewKey(s.signer.PublicKey()))(s.t)}}}
	view.Vault.Chains = []string{regtest}
	s.Purses = &Purses{
		Journal: s.journal, Panels: map[string]*coin.Panel{regtest: must(coin.NewPanel([]string{server.URL}, endpoint.Options{}))(s.t)},
		Accounts: &Accounts{Journal: s.journal, Vault: func(statement.ID) []ceremony.View { return []ceremony.View{view} }},
		Vaults:   func() []ceremony.View { return []ceremony.View{view} }, Desk: decide.New(decide.Config{}), Log: slog.New(slog.DiscardHandler),
	}
	var err error
	s.vault, err = payload.VaultOf(regtest, func(string) (payload.Root, error) {
		return payload.Root{Public: record.Public, ChainCode: record.ChainCode}, nil
	}, nil, bitcoin.PerVByte(100))
	if err != nil {
		s.t.Fatal(err)
	}
}

// read reads all blocks.
func (s *stand) read() {
	s.t.Helper()
	for range 40 {
		s.Step(context.Background(), time.Now())
		if at := s.State(); len(at) == 1 && at[0].Err == nil && at[0].Behind == 0 {
			if _, again := s.books[regtest].book.Rescanning(); !again {
				return
			}
		}
	}
	s.t.Fatalf("blocks are not read: %+v", s.State())
}

func (s *stand) spot(index uint32) bitcoin.Spot {
	return bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{s.account.Path[0], s.account.Path[1], index}}
}

// pays is a transaction that pays to an address of the account, out of a coin of somebody's.
func (s *stand) pays(index uint32, from psbt.Outpoint) *psbt.Tx {
	s.t.Helper()
	return &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: from, Witness: [][]byte{{1}}}}, Outs: []psbt.Out{{Amount: 50_000, Script: must(s.vault.Script(s.spot(index)))(s.t)}}}
}

// indices are where the account's coins lie.
func (s *stand) indices() (out []uint32) {
	s.t.Helper()
	held, err := s.Purse(context.Background(), regtest, s.account)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range held.Coins {
		out = append(out, c.Spot.Path[2])
	}
	slices.Sort(out)
	return out
}

func (s *stand) want(what string, indices ...uint32) {
	s.t.Helper()
	s.read()
	if is := s.indices(); !slices.Equal(is, indices) {
		s.t.Fatalf("%s: coins at %d, want %d", what, is, indices)
	}
}

func stranger(n byte) psbt.Outpoint { return psbt.Outpoint{ID: psbt.ID{0xee, n}} }

// Addresses that other nodes gave out are looked for in the next process too, when nothing lies at those before them any more.
func TestPursesRemember(t *testing.T) {
	s := newStand(t)
	first := s.pays(30, stranger(1))
	s.chain.mine(first)
	second := s.pays(60, stranger(2))
	s.chain.mine(second)
	s.want("far addresses", 30, 60)
	gone := &psbt.Tx{Version: 2, Outs: []psbt.Out{{Amount: 1, Script: []byte{0x51}}}}
	for _, tx := range []*psbt.Tx{first, second} {
		gone.Ins = append(gone.Ins, psbt.In{Outpoint: psbt.Outpoint{ID: tx.ID()}, Witness: [][]byte{{1}}})
	}
	s.chain.mine(gone)
	for range 300 { // rows of spent coins are kept for 288
		s.chain.mine()
	}
	s.want("spent")
	s.start()
	s.read()
	s.chain.mine(s.pays(90, stranger(3)))
	s.want("after a restart", 90)
}

// What is paid and spent between two looks is used as well.
func TestPursesLookFurther(t *testing.T) {
	s := newStand(t)
	s.want("nothing")
	tx := s.pays(30, stranger(1))
	s.chain.mine(tx)
	s.chain.mine(&psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: tx.ID()}, Witness: [][]byte{{1}}}}, Outs: []psbt.Out{{Amount: 1, Script: []byte{0x51}}}})
	s.chain.mine(s.pays(60, stranger(2)))
	s.want("beyond what was spent at once", 60)
}

// sent is an unpublished transaction of the account's coins that brings all back to an index, at a rate.
func (s *stand) sent(from psbt.Outpoint, to uint32, rate bitcoin.Rate) decide.Sent {
	s.t.Helper()
	p := purse.Purse{Vault: s.vault, Coins: []purse.Coin{{Spot: s.spot(0), Outpoint: from, Amount: 50_000}, {Spot: s.spot(1), Outpoint: psbt.Outpoint{ID: from.ID, Index: 1}, Amount: 50_000}}}
	raw, _, err := p.Consolidate(s.spot(to), rate, 9)
	if err != nil {
		s.t.Fatal(err)
	}
	tx := must(bitcoin.Decode(raw, s.vault))(s.t)
	packet := must(psbt.Parse(raw))(s.t)
	return decide.Sent{Vault: s.account.Vault, Chain: regtest, Payload: &payload.Bitcoin{Transaction: tx}, Raw: packet.Tx.Bare(), State: intent.Seen}
}

// Whoever composes a transaction puts its change where nobody looks: it is looked for there, and not at all that lies between.
func TestChangeFarAway(t *testing.T) {
	s := newStand(t)
	paid := s.pays(0, stranger(1))
	s.chain.mine(paid)
	s.want("paid", 0)
	const far = 1<<31 - 1
	sent := s.sent(psbt.Outpoint{ID: paid.ID()}, far, bitcoin.PerVByte(2))
	if err := s.books[regtest].tellChange([]decide.Sent{sent}, regtest); err != nil {
		t.Fatal(err)
	}
	s.chain.mine(must(psbt.ParseTx(sent.Raw))(t))
	s.want("change far away", far)
	s.start()
	s.want("after a restart", far)
}

// Of two transactions on their way that spend one coin, what comes back of neither is to be spent.
func TestRivalsChange(t *testing.T) {
	s := newStand(t)
	old, next, other := s.sent(stranger(1), 3, bitcoin.PerVByte(2)), s.sent(stranger(1), 3, bitcoin.PerVByte(9)), s.sent(stranger(2), 4, bitcoin.PerVByte(2))
	mined := next
	mined.State = intent.Confirmed
	for name, c := range map[string]struct {
		all   []decide.Sent
		spent int
		back  []uint32
	}{
		"one":               {[]decide.Sent{old}, 2, []uint32{3}},
		"two apart":         {[]decide.Sent{old, other}, 4, []uint32{3, 4}},
		"one in two forms":  {[]decide.Sent{old, next, other}, 4, []uint32{4}},
		"one of them mined": {[]decide.Sent{old, mined, other}, 4, []uint32{4}},
	} {
		spent, change := onTheWay(c.all, regtest, s.account.Vault)
		var back []uint32
		for _, x := range change {
			back = append(back, x.Spot.Path[2])
		}
		if len(spent) != c.spent || !slices.Equal(back, c.back) {
			t.Errorf("%s: %d coins spent, change at %s; want %d, %d", name, len(spent), fmt.Sprint(back), c.spent, c.back)
		}
	}
}

// A transaction that somebody kept back is found in the block that holds it, with its signatures, and no other is taken for it.
func TestKeptBack(t *testing.T) {
	s := newStand(t)
	kept, waits, elsewhere := s.sent(stranger(1), 3, bitcoin.PerVByte(2)), s.sent(stranger(2), 4, bitcoin.PerVByte(2)), s.sent(stranger(3), 5, bitcoin.PerVByte(2))
	kept.ID, waits.ID, elsewhere.ID, elsewhere.Chain = statement.ID{1}, statement.ID{2}, statement.ID{3}, "bip122:000000000019d6689c085ae165831e93"
	spent := func(x decide.Sent) *psbt.Tx {
		tx := must(psbt.ParseTx(slices.Clone(x.Raw)))(t)
		for i := range tx.Ins {
			tx.Ins[i].Witness = [][]byte{bytes.Repeat([]byte{7}, 64)}
		}
		return tx
	}
	seek := func() (out map[statement.ID][]byte) {
		s.read()
		out = map[statement.ID][]byte{}
		err := s.books[regtest].seekAmong(t.Context(), regtest, s.Panels[regtest], []decide.Sent{kept, waits, elsewhere}, func(id statement.ID, raw []byte) error { out[id] = raw; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if found := seek(); len(found) > 0 {
		t.Fatalf("%d are found in blocks that hold none", len(found))
	}
	s.chain.mine(s.pays(1, stranger(9)), spent(kept), spent(elsewhere))
	s.chain.mine()
	found := seek()
	if len(found) != 1 || !bytes.Equal(found[kept.ID], spent(kept).Bytes()) {
		t.Fatalf("%d are found: %x", len(found), found[kept.ID])
	}
	s.start() // the next process looks for itself
	if found = seek(); len(found) != 1 {
		t.Errorf("after a start %d are found", len(found))
	}
}
