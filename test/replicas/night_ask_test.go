//go:build nightly

package replicas

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/history"
)

// asked is an intent that somebody asked for.
type asked struct {
	stmt  statement.Statement
	proof bool
	raw   string // signed, as it was first shown
}

func (a *asked) id() string { return a.stmt.ID().String() }

// dial talks to all houses through their first or their second replicas.
func (n *night) dial(ctx context.Context, person string, through int) (*client.Circle, error) {
	var all client.Contexts
	var err error
	for _, h := range n.houses {
		if all, err = all.Add("night", client.Node{Name: h.o.Name, Address: h.people[through], Identity: h.o.Identity}, false); err != nil {
			return nil, err
		}
	}
	x, err := all.Get("night")
	if err != nil {
		return nil, err
	}
	signer, err := client.KeyFile(ctx, n.circle.KeyFile(person), nil)
	if err != nil {
		return nil, err
	}
	return client.Dial(x, signer, client.Cache{Dir: filepath.Join(n.circle.Dir, "tokens")}), nil
}

func (n *night) openNight(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, person := range append([]string{"alice"}, n.circle.Approvers...) {
		for through := range 2 {
			c, err := n.dial(ctx, person, through)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			n.circles[person] = append(n.circles[person], c)
		}
	}
	var err error
	if n.frost, err = n.vault.Root(charter.SuiteEd25519); err == nil {
		err = poll(ctx, "every node gives out the other address", func() error { return n.giveOther(ctx) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (n *night) giveOther(ctx context.Context) error {
	given, _, err := n.alice.Addresses(ctx, n.vault, n.frost, n.account)
	if err != nil {
		return err
	}
	if len(given) > 0 && len(given[0].Nodes) == len(n.houses) {
		n.address = given[0].Address
		all, _, err := n.alice.Accounts(ctx, n.vault)
		if err == nil {
			n.account = all[0] // with what was given out
		}
		return err
	}
	_, _, err = n.alice.NewAddress(ctx, n.vault, n.frost, n.account, len(n.houses))
	return errors.Join(errors.New("the address is given out"), err)
}

func (n *night) transfer(ctx context.Context) (*asked, error) {
	to, err := evm.ParseAddress(payee)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	nonce, gas := n.drawn, uint64(21000)
	n.drawn++
	n.mu.Unlock()
	stmt, err := n.circles["alice"][0].Prepare(ctx, client.Transfer{
		Sender: client.Sender{Vault: n.vault, Root: n.root, Account: n.account, Chain: chain}, To: to, Amount: big.NewInt(1), Nonce: &nonce, Gas: &gas,
		FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9),
	})
	return &asked{stmt: stmt}, err
}

func (n *night) proof(context.Context) (*asked, error) {
	stmt, err := n.circles["alice"][0].PrepareProof(client.Sender{Vault: n.vault, Root: n.frost, Account: n.account, Chain: frostChain},
		intent.Claim{Entity: "Acme Custody Ltd", Text: "it is ours"}, "", 0)
	return &asked{stmt: stmt, proof: true}, err
}

// patience is how long somebody waits for a signature before asking for another one; the intent lives on.
const patience = 45 * time.Second

// work asks for one signature after another until ctx ends.
func (n *night) work(ctx context.Context, w int, ask func(context.Context) (*asked, error)) {
	for ctx.Err() == nil {
		a, err := ask(ctx)
		if err == nil {
			n.mu.Lock()
			n.asked = append(n.asked, a)
			n.mu.Unlock()
			one, cancel := context.WithTimeout(ctx, patience)
			err = n.see(one, w, a)
			cancel()
		}
		if final := (*finalError)(nil); errors.As(err, &final) {
			n.mu.Lock()
			n.workers = append(n.workers, err)
			n.mu.Unlock()
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// see hands an intent in and looks at it until a node shows its signature.
func (n *night) see(ctx context.Context, w int, a *asked) error {
	err := n.hand(ctx, w, a, "alice", 0, func(c *client.Circle) (client.Answers[client.Taken], error) { return c.SubmitStatement(ctx, a.stmt) })
	for i, person := range n.circle.Approvers {
		if err == nil {
			err = n.hand(ctx, w, a, person, 1<<i, func(c *client.Circle) (client.Answers[client.Taken], error) {
				return c.Vote(ctx, a.stmt, signet.Approve)
			})
		}
	}
	if err != nil {
		return err
	}
	return poll(ctx, "intent "+a.stmt.ID().Short()+" is signed", func() error {
		now, err := n.look(ctx, w, a)
		if err != nil {
			return &finalError{err}
		}
		closed := 0
		for _, it := range now {
			if it == nil {
				continue
			}
			if len(it.Raw) > 0 {
				return nil
			}
			if slices.Contains([]string{"failed", "denied", "expired", "dropped"}, it.State) {
				closed++
			}
		}
		if closed == len(now) {
			return nil // its session died when it may have been signed: others take its place
		}
		time.Sleep(100 * time.Millisecond)
		return errors.New("not yet")
	})
}

// hand gives something to all nodes until one has acknowledged it, and records who did.
func (n *night) hand(ctx context.Context, w int, a *asked, person string, vote uint8, give func(*client.Circle) (client.Answers[client.Taken], error)) error {
	return poll(ctx, person+" is heard", func() error {
		call, heard := n.told.Now(), false
		answers, err := give(n.circles[person][rand.IntN(2)])
		end := n.told.Now()
		for _, x := range answers {
			if x.Err == nil {
				n.told.Add(w, call, end, history.Told{Intent: a.id(), Operator: n.operator(x.Node), Votes: vote}, "acknowledged")
				heard = true
			}
		}
		if !heard {
			return errors.Join(err, errors.New("nobody acknowledged it"))
		}
		return nil
	})
}

func (n *night) operator(name string) int {
	return slices.IndexFunc(n.houses, func(h *house) bool { return h.o.Name == name })
}

// look asks every replica of every house for the intent, at its socket or by its people's door, and records all answers. What a house shows is one of
// them; nil if none of its replicas answers. Its error says that a signature is not the vault's.
func (n *night) look(ctx context.Context, w int, a *asked) ([]*v1.Intent, error) {
	shown := make([]*v1.Intent, len(n.houses))
	var mu sync.Mutex
	var wrong error
	var all sync.WaitGroup
	for _, h := range n.houses {
		for through, r := range h.all {
			all.Go(func() {
				it, ok := n.ask(ctx, w, a, h, r, through)
				if !ok || it == nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				shown[h.n] = it
				if raw := string(it.Raw); raw != "" && wrong == nil {
					wrong = n.genuine(a, it.Raw)
					n.mu.Lock()
					if a.raw == "" {
						a.raw = raw
					}
					n.mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return shown, wrong
}

func (n *night) ask(ctx context.Context, w int, a *asked, h *house, r *replica, through int) (*v1.Intent, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	id := a.stmt.ID()
	request := connect.NewRequest(&v1.IntentRequest{Id: id[:]})
	call := n.told.Now()
	var res *connect.Response[v1.IntentResponse]
	var err error
	if rand.IntN(3) > 0 {
		res, err = client.Operator(r.dir).Intent(ctx, request)
	} else {
		c := n.circles["alice"][through]
		at := slices.IndexFunc(c.Members, func(m *client.Member) bool { return m.Name == h.o.Name })
		res, err = c.Members[at].Intent(ctx, request)
	}
	end := n.told.Now()
	if connect.CodeOf(err) == connect.CodeNotFound {
		n.told.Add(w, call, end, history.Seen{Intent: a.id(), Operator: h.n}, r.name)
		return nil, true
	}
	if err != nil {
		return nil, false // it stands by, sleeps or is gone
	}
	it := res.Msg.Intent
	var votes uint8
	for i, person := range n.circle.Approvers {
		if slices.ContainsFunc(it.Votes, func(b *v1.Ballot) bool { return b.Person == person }) {
			votes |= 1 << i
		}
	}
	n.told.Add(w, call, end, history.Seen{Intent: a.id(), Operator: h.n, Known: true, Votes: votes, Raw: fmt.Sprintf("%x", it.Raw)}, r.name)
	return it, true
}

// genuine wants a signature of what was asked for by the vault's key, as programs judge it that share nothing with those that signed.
func (n *night) genuine(a *asked, raw []byte) error {
	if a.proof {
		p, err := intent.ProofOf(a.stmt, charter.SuiteEd25519)
		if err != nil {
			return err
		}
		s, err := p.Statement()
		if err != nil {
			return err
		}
		key := base58.Decode(n.address)
		text, err := solana.ProofMessage(key, s.Bytes())
		if err == nil && !ed25519.Verify(key, text, raw) {
			err = fmt.Errorf("the proof of intent %s is not signed by %s", a.stmt.ID().Short(), n.address)
		}
		return err
	}
	it, err := intent.Of(a.stmt)
	if err != nil {
		return err
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return err
	}
	signer := types.LatestSignerForChainID(tx.ChainId())
	from, err := types.Sender(signer, &tx)
	if err != nil || !strings.EqualFold(from.Hex(), n.sender) || signer.Hash(&tx) != crypto.Keccak256Hash(it.Transaction) {
		return fmt.Errorf("the transaction of intent %s is signed by %s, not by %s, or is another one: %w", a.stmt.ID().Short(), from.Hex(), n.sender, err)
	}
	return nil
}

// nonceOf is what no two signatures of a key may share: r, or R.
func nonceOf(a *asked, raw []byte) (string, error) {
	if a.proof {
		return fmt.Sprintf("R %x", raw[:32]), nil
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return "", err
	}
	_, r, _ := tx.RawSignatureValues()
	return "r " + r.Text(16), nil
}
