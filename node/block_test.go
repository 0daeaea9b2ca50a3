package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rpc"
)

// asOf asks for a proof that speaks of a block.
func (s setting) asOf(b intent.Block) intent.Intent {
	it := s.asks(s.addr, "reserves")
	it.AsOf = &b
	return it
}

// verdict is what a host itself decided of an intent: its verdict, rule and reason.
func (s setting) verdict(h *nodetest.Host, st statement.Statement) (intent.Verdict, string, string) {
	s.T.Helper()
	for _, d := range s.show(h, st).Decisions {
		if d.Operator == h.Own.Name {
			return d.Verdict, d.Rule, d.Reason
		}
	}
	return intent.Wait, "", ""
}

// Each node compares the block that a proof speaks of with its own endpoint: a node whose chain has another hash denies, whatever the others say;
// one whose endpoint is in trouble waits; one without endpoint goes by the others, as with transactions.
func TestProofSpeaksOfABlock(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	asked := intent.Block{Height: 24_000_000, Hash: [32]byte{9}}
	no := func(h *nodetest.Host) (bool, string, error) { return false, "", nil }
	yes := func(*nodetest.Host) (bool, string, error) { return true, "", nil }
	differs := func(*nodetest.Host) (bool, string, error) { return true, "block: expected 0x08, found 0x09", nil }
	for name, c := range map[string]struct {
		says   [3]func(*nodetest.Host) (bool, string, error)
		state  intent.State
		denies int // how many of the nodes
	}{
		"no endpoint":     {[3]func(*nodetest.Host) (bool, string, error){no, no, no}, intent.Signed, 0},
		"one endpoint":    {[3]func(*nodetest.Host) (bool, string, error){yes, no, no}, intent.Signed, 0},
		"all agree":       {[3]func(*nodetest.Host) (bool, string, error){yes, yes, yes}, intent.Signed, 0},
		"one differs":     {[3]func(*nodetest.Host) (bool, string, error){yes, yes, differs}, intent.Signed, 1},
		"two differ":      {[3]func(*nodetest.Host) (bool, string, error){yes, differs, differs}, intent.Denied, 2},
		"the one differs": {[3]func(*nodetest.Host) (bool, string, error){no, no, differs}, intent.Signed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			s.CheckBlock = func(h *nodetest.Host, chain string, b intent.Block) (bool, string, error) {
				if chain != "eip155:1" || b != asked {
					t.Errorf("asked for %+v of %s", b, chain)
				}
				for i, o := range s.Hosts {
					if o == h {
						return c.says[i](h)
					}
				}
				return false, "", nil
			}
			st, n := s.Proposal(s.asOf(asked))
			s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
			s.Deliver()
			if c.state == intent.Signed {
				s.Approve(st)
			}
			s.Run(fmt.Sprint(c.state), func() bool {
				return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == c.state })
			})
			denied := 0
			for _, h := range s.Hosts {
				v, rule, reason := s.verdict(h, st)
				if v != intent.Deny {
					continue
				}
				if denied++; rule != decide.RuleState || !strings.Contains(reason, "expected 0x08, found 0x09") {
					t.Errorf("%s denies by rule %s: %s", h.Own.Name, rule, reason)
				}
			}
			if denied != c.denies {
				t.Errorf("%d nodes deny, want %d", denied, c.denies)
			}
		})
	}
}

// A node whose endpoint is not at the block yet, or has trouble, decides nothing until it is.
func TestProofAwaitsItsBlock(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	err := error(&rpc.Behind{Height: 16, Head: 15})
	s.CheckBlock = func(h *nodetest.Host, _ string, _ intent.Block) (bool, string, error) {
		if h == s.Hosts[1] {
			return true, "", err
		}
		return true, "", nil
	}
	st, n := s.Proposal(s.asOf(intent.Block{Height: 16, Hash: [32]byte{1}}))
	s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
	s.Approve(st)
	s.Try(time.Minute, func() bool { return false })
	if v := s.show(s.Hosts[1], st); !strings.Contains(v.Waits, "awaits block 16: the chain is at 15") || v.State == intent.Denied {
		t.Fatalf("state %s, waits %q", v.State, v.Waits)
	}
	if v, _, _ := s.verdict(s.Hosts[1], st); v != intent.Wait {
		t.Errorf("it says %s", v)
	}
	err = nil
	s.Run("signed", func() bool { return s.Signed(st) })
}

// Where no node reads blocks a height would be nobody's: every node denies it, and without a height the same proof is signed.
func TestHeightThatNobodyChecks(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteBIP340, charter.SuiteEd25519} {
		s := ofSuite(t, suite, 2, 2)
		s.CheckBlock = func(*nodetest.Host, string, intent.Block) (bool, string, error) {
			return true, "", nil // no endpoint's word makes it checked
		}
		st, n := s.Proposal(s.asOf(intent.Block{Height: 900_000, Hash: [32]byte{1}}))
		s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
		s.Run("denied everywhere", func() bool {
			return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Denied })
		})
		for _, h := range s.Hosts {
			if v, rule, reason := s.verdict(h, st); v != intent.Deny || rule != decide.RuleState || !strings.Contains(reason, "nobody would have checked height 900000: ask for the proof without a height") {
				t.Errorf("%s, %s: %s by rule %s: %s", suite, h.Own.Name, v, rule, reason)
			}
		}
		s.prove(s.asks(s.addr, "control alone"))
	}
}

// Every field of what is said about a proof of reserves, damaged in every way, and each of the claim's own values changed, is taken by nobody.
func TestEveryFieldOfAProofOfReserves(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	story := base.copy(t, "story")
	var all []heard
	story.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); p.To == story.Hosts[2] && n.Kind != 0 && decide.Takes(n.Kind) {
			all = append(all, heard{story.Now, n})
		}
		return []nodetest.Parcel{p}
	}
	st := story.prove(story.asOf(intent.Block{Height: 24_000_000, Hash: [32]byte{9}}))
	s := base.copy(t, "table")
	s.Hosts[0].Hostile, s.Hosts[1].Hostile = true, true
	seen := map[outbox.Kind]bool{}
	for _, x := range all {
		if s.Now = x.at; seen[x.note.Kind] {
			s.tell(s.Hosts[0], s.Hosts[2], x.note)
			continue
		}
		seen[x.note.Kind] = true
		if x.note.Kind == decide.NoteProposal {
			s.refusesClaims(x.note)
		}
		if n := s.refusesDamaged(x.note); n < 10 {
			t.Errorf("kind %#x: %d ways were tried", uint8(x.note.Kind), n)
		}
	}
	for _, k := range []outbox.Kind{decide.NoteProposal, decide.NoteVote, decide.NoteDecision, decide.NoteSigned} {
		if !seen[k] {
			t.Errorf("kind %#x was not heard", uint8(k))
		}
	}
	if !s.Signed(st) && s.State(s.Hosts[2], st.ID()) != intent.Signed {
		t.Errorf("the true notes leave it %s", s.State(s.Hosts[2], st.ID()))
	}
}

// refusesClaims wants that the last host takes no proposal whose claim was changed after its initiator signed it.
func (s setting) refusesClaims(n outbox.Note) {
	s.T.Helper()
	text := string(n.Fields[0])
	for old, by := range map[string]string{
		"entity: Example Ltd\n": "entity: Example Ltd.\n", "height: 24000000\n": "height: 24000001\n", "block: 09": "block: 08", "text: reserves\n": "text: reserves \n",
		"fact: entity Example": "fact: entity Other", "fact: height 24": "fact: height 25", "fact: block 09": "fact: block 08", "fact: text reserves": "fact: text reserve",
	} {
		bad := strings.Replace(text, old, by, 1)
		if bad == text {
			s.T.Fatalf("no %q in the proposal", old)
		}
		if v, log := s.tell(s.Hosts[0], s.Hosts[2], outbox.Note{Kind: n.Kind, Fields: [][]byte{[]byte(bad), n.Fields[1]}}); v != outbox.Refused {
			s.T.Errorf("%q for %q: verdict %d; %s", by, old, v, log)
		}
	}
}

// The daemon's own questions: another hash is a reason that names both, a head below is an error, and a chain without endpoint is not checked.
func TestAskBlock(t *testing.T) {
	hash, other := evm.Hash{1}, evm.Hash{2}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
			Params []any
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		answer := `"0x1"` // the chain's id
		switch {
		case q.Method == "eth_blockNumber":
			answer = `"0x10"`
		case q.Method == "eth_getBlockByNumber" && q.Params[0] == "0x10":
			answer = fmt.Sprintf(`{"number":"0x10","hash":"%s"}`, hash)
		case q.Method == "eth_getBlockByNumber":
			answer = "null"
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,"result":%s}`, q.ID, answer)
	}))
	defer server.Close()
	endpoint, err := rpc.NewPanel([]string{server.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := node.AskBlock(map[string]*rpc.Panel{"eip155:1": endpoint})
	settled := func(chain string, b intent.Block) (checked bool, why string, err error) {
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			checked, why, err = ask(context.Background(), chain, b)
			if err == nil || !strings.Contains(err.Error(), "is asking") {
				return checked, why, err
			}
		}
		return checked, why, err
	}
	if checked, why, err := settled("eip155:1", intent.Block{Height: 16, Hash: hash}); !checked || why != "" || err != nil {
		t.Errorf("as it is: %v, %q, %v", checked, why, err)
	}
	if checked, why, err := settled("eip155:1", intent.Block{Height: 16, Hash: other}); !checked || !strings.Contains(why, hash.String()) || !strings.Contains(why, other.String()) || err != nil {
		t.Errorf("another fork: %v, %q, %v", checked, why, err)
	}
	var behind *rpc.Behind
	if checked, why, err := settled("eip155:1", intent.Block{Height: 17, Hash: hash}); !checked || why != "" || !errors.As(err, &behind) {
		t.Errorf("ahead: %v, %q, %v", checked, why, err)
	}
	for _, chain := range []string{"eip155:10", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"} {
		if checked, why, err := ask(context.Background(), chain, intent.Block{Height: 16, Hash: other}); checked || why != "" || err != nil {
			t.Errorf("%s: %v, %q, %v", chain, checked, why, err)
		}
	}
}
