package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/wallet"
)

const (
	null     = `"result":null`
	indexing = `"error":{"code":-32000,"message":"transaction indexing is in progress"}`
)

// endpoint is a chain's node as a test wants it: what it answers each method with.
type endpoint map[string]string

func (e endpoint) serve(t *testing.T) *rpc.Panel {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,%s}`, q.ID, e[q.Method])
	}))
	t.Cleanup(server.Close)
	c, err := rpc.NewPanel([]string{server.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (e endpoint) mined(hash string) {
	block := strings.Repeat("ab", 32)
	e["eth_getTransactionReceipt"] = fmt.Sprintf(`"result":{"transactionHash":%q,"blockNumber":"0x5","blockHash":"0x%s","status":"0x1","gasUsed":"0x5208"}`, hash, block)
}

// followed is a circle with one signed transaction, and who follows it at the first node.
type followed struct {
	setting
	chain endpoint
	who   *wallet.Follower
	id    statement.ID
	hash  string
}

func follow(t *testing.T, base setting, seed string) *followed {
	s := base.copy(t, seed)
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Run("signed", func() bool { return s.Signed(st) })
	e := endpoint{
		"eth_chainId": `"result":"0x1"`, "eth_blockNumber": `"result":"0x6"`, "eth_getTransactionCount": `"result":"0x0"`,
		"eth_getTransactionByHash": null, "eth_getTransactionReceipt": null,
		"eth_sendRawTransaction": `"error":{"code":-32000,"message":"no"}`,
	}
	return &followed{s, e, &wallet.Follower{
		Desk: s.Hosts[0].Desk, Endpoints: map[string]*rpc.Panel{"eip155:1": e.serve(t)}, Log: slog.New(slog.DiscardHandler),
	}, st.ID(), s.show(s.Hosts[0], st).Hash}
}

func (f *followed) look(times int, pause time.Duration) intent.State {
	for range times {
		f.who.Step(context.Background(), f.Now)
		f.Now = f.Now.Add(pause)
	}
	return f.State(f.Hosts[0], f.id)
}

// A transaction whose nonce another has used is replaced: told by the account's nonce, never
// by an endpoint's words, and not at the first look.
func TestFollowReplaced(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	const spent = `"result":"0x1"`
	t.Run("replaced", func(t *testing.T) {
		f := follow(t, base, t.Name())
		f.chain["eth_getTransactionCount"] = spent
		if got := f.look(10, time.Second); got != intent.Signed {
			t.Fatalf("given up after ten seconds: %s", got)
		}
		if got := f.look(10, time.Second); got != intent.Replaced {
			t.Fatalf("its nonce is spent for twenty seconds: %s", got)
		}
		f.chain.mined(f.hash) // a reorganisation threw the other one out
		if got := f.look(3, time.Second); got != intent.Confirmed {
			t.Fatalf("it stands in a block after all: %s", got)
		}
	})
	t.Run("in the pool", func(t *testing.T) {
		f := follow(t, base, t.Name())
		f.chain["eth_sendRawTransaction"] = fmt.Sprintf(`"result":%q`, f.hash)
		if got := f.look(3, time.Second); got != intent.Broadcast {
			t.Fatalf("%s", got)
		}
		f.chain["eth_getTransactionCount"] = spent
		if got := f.look(20, time.Second); got != intent.Replaced {
			t.Fatalf("its nonce is spent: %s", got)
		}
	})
	for name, change := range map[string]func(e endpoint, hash string, look int){
		"nonce free": func(e endpoint, _ string, _ int) {
			e["eth_sendRawTransaction"] = `"error":{"code":-32000,"message":"nonce too low"}`
		},
		"late receipt": func(e endpoint, hash string, n int) { e["eth_getTransactionCount"] = spent; late(e, hash, n) },
		"indexing": func(e endpoint, _ string, _ int) {
			e["eth_getTransactionCount"], e["eth_getTransactionReceipt"] = spent, indexing
		},
		"reorganised": func(e endpoint, _ string, n int) {
			e["eth_getTransactionCount"] = fmt.Sprintf(`"result":"0x%d"`, n/10%2)
		},
		"flickering": func(e endpoint, _ string, n int) { e["eth_getTransactionCount"] = fmt.Sprintf(`"result":"0x%d"`, n%2) },
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, base, t.Name())
			for n := range 60 {
				change(f.chain, f.hash, n)
				if got := f.look(1, time.Second); got == intent.Replaced {
					t.Fatalf("given up at look %d", n)
				}
			}
		})
	}
	t.Run("one look after a long sleep", func(t *testing.T) {
		f := follow(t, base, t.Name())
		f.chain["eth_getTransactionCount"] = spent
		if got := f.look(2, time.Hour); got == intent.Replaced {
			t.Fatal("given up at the second look")
		}
	})
}

func late(e endpoint, hash string, n int) {
	if n == 12 {
		e.mined(hash)
	}
}
