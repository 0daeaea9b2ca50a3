package node_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
	"github.com/ostraka/ostraka/node/wallet"
)

// told is what an endpoint says of one transaction, and of what gives it life.
type told struct {
	mu        sync.Mutex
	status    string     // of it, as JSON
	valid     bool       // its block
	value     solana.Key // of its nonce account
	forgetful bool       // it keeps no history
	refusal   string     // the chain's word for not taking it; empty: it takes it
}

func (e *told) says(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

const unknown = "null"

func stands(level, err string) string {
	return fmt.Sprintf(`{"slot":9,"confirmations":null,"err":%s,"confirmationStatus":%q}`, err, level)
}

func (e *told) panel(t *testing.T, authority solana.Key) *sol.Panel {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
			Params json.RawMessage
		}
		if json.NewDecoder(r.Body).Decode(&q) != nil {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		value := func(json string) string { return `"result":{"context":{"slot":100},"value":` + json + `}` }
		answer := `"error":{"code":-32601,"message":"Method not found"}`
		switch q.Method {
		case "isBlockhashValid":
			answer = value(fmt.Sprint(e.valid))
		case "getMultipleAccounts":
			data := make([]byte, 80)
			data[0], data[4] = 1, 1
			copy(data[8:], authority[:])
			copy(data[40:], e.value[:])
			answer = value(fmt.Sprintf(`[{"lamports":1447680,"owner":"11111111111111111111111111111111","data":[%q,"base64"],"executable":false,"space":80}]`, base64.StdEncoding.EncodeToString(data)))
		case "getSignatureStatuses":
			if answer = value("[" + e.status + "]"); e.forgetful && strings.Contains(string(q.Params), `"searchTransactionHistory":true`) {
				answer = `"error":{"code":-32011,"message":"Transaction history is not available from this node"}`
			}
		case "sendTransaction":
			if answer = fmt.Sprintf(`"error":{"code":-32002,"message":"no","data":{"err":%q}}`, e.refusal); e.refusal == "" {
				var params []json.RawMessage
				var text string
				_ = json.Unmarshal(q.Params, &params)
				_ = json.Unmarshal(params[0], &text)
				raw, _ := base64.StdEncoding.DecodeString(text)
				answer = fmt.Sprintf(`"result":%q`, sol.Signature(raw[1:65]))
			}
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,%s}`, q.ID, answer)
	}))
	t.Cleanup(server.Close)
	p, err := sol.NewPanel([]string{server.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A landing is one signed transaction, followed by a process that began just now.
type landing struct {
	*lamps
	told
	id     statement.ID
	follow *wallet.Landings
	now    time.Time
}

func (l *lamps) landing(r solana.Request) *landing {
	l.T.Helper()
	st, n := l.Proposal(l.asks(l.builds(r, l.read)))
	l.hand(n)
	l.Approve(st)
	l.Run("it is signed", func() bool { return l.Signed(st) })
	x := &landing{lamps: l, id: st.ID(), now: l.Clock(l.Hosts[0])}
	x.status, x.value = unknown, l.read.Accounts[l.nonce].Nonce
	x.restart()
	return x
}

func (x *landing) restart() {
	x.follow = &wallet.Landings{Desk: x.Hosts[0].Desk, Panels: map[string]*sol.Panel{mainnet: x.panel(x.T.(*testing.T), x.key)}, Log: slog.New(slog.DiscardHandler)}
}

// looks lets it look each second for so long.
func (x *landing) looks(d time.Duration) {
	for range d / time.Second {
		x.now = x.now.Add(time.Second)
		x.follow.Step(x.T.Context(), x.now)
	}
}

func (x *landing) is(when string, want intent.State) decide.View {
	x.T.Helper()
	v, err := x.Hosts[0].Desk.Show(x.id)
	if err != nil {
		x.T.Fatal(err)
	}
	if v.State != want {
		x.T.Errorf("%s: it is %s, want %s", when, v.State, want)
	}
	return v
}

// A payment is given up only by who can know that it did not land: not by a node whose endpoint is behind, or that was away while it may have landed. Who reads that it is given up pays again.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	l := lighting(t, 2)
	pays := func(memo string) solana.Request {
		return solana.Request{Memo: memo, Steps: []solana.Step{solana.Transfer(l.key, l.payee, 5)}}
	}
	l.read.Accounts[l.payee] = solana.Account{}

	x := l.landing(pays("behind"))
	x.looks(2 * time.Minute)
	x.is("an endpoint that does not know its block yet", intent.Signed)
	x.says(func() { x.valid = true })
	x.looks(2 * time.Second)
	x.is("it lives", intent.Broadcast)
	x.says(func() { x.valid = false })
	x.looks(10 * time.Second)
	x.is("it just died", intent.Broadcast)
	x.looks(10 * time.Second)
	x.is("it died before our eyes", intent.Failed)

	x = l.landing(pays("away"))
	x.looks(9 * time.Minute)
	x.is("a node that was away", intent.Signed)
	x.looks(2 * time.Minute)
	x.is("nobody has it for ten minutes, however old", intent.Failed)

	x = l.landing(pays("without history"))
	x.forgetful = true
	x.looks(30 * time.Minute)
	x.is("it may have landed while nobody looked", intent.Signed)
	x.says(func() { x.valid = true })
	x.looks(2 * time.Second)
	x.says(func() { x.valid = false })
	x.looks(20 * time.Second)
	x.is("it died before our eyes, without history", intent.Failed)

	x = l.landing(pays("another signature"))
	x.valid, x.refusal = true, "AlreadyProcessed"
	x.looks(2 * time.Second)
	x.says(func() { x.valid = false })
	x.looks(30 * time.Minute)
	x.is("its message landed under another signature", intent.Signed)

	runs := wallet.Landings{Desk: l.Hosts[0].Desk, Panels: x.follow.Panels, Log: slog.New(slog.DiscardHandler)}
	runs.Step(t.Context(), x.now)
	x.says(func() { x.refusal = "" })
	panels := x.follow.Panels
	x = l.landing(pays("signed too late"))
	x.follow = &runs
	x.follow.Panels = panels
	x.looks(20 * time.Second)
	x.is("it was dead when it was signed, by this node among others", intent.Failed)

	with := pays("nonce")
	with.Nonce = &l.nonce
	x = l.landing(with)
	value := x.value
	x.says(func() { x.value = keyFor("the one before") })
	x.looks(2 * time.Minute)
	x.is("an endpoint that has the nonce before", intent.Signed)
	x.says(func() { x.value = value })
	x.looks(2 * time.Second)
	x.says(func() { x.value = keyFor("the next") })
	x.looks(20 * time.Second)
	x.is("another used the nonce", intent.Replaced)
}

// Whether it failed is what is final, whatever was said before of another fork.
func TestFailedInAFork(t *testing.T) {
	t.Parallel()
	l := lighting(t, 2)
	x := l.landing(solana.Request{Steps: []solana.Step{solana.Transfer(l.key, l.payee, 5)}})
	x.status = stands("confirmed", `"AccountNotFound"`)
	x.looks(2 * time.Second)
	if v := x.is("it failed", intent.Confirmed); !v.Reverted {
		t.Error("it failed, and nobody says so")
	}
	x.says(func() { x.status = stands("finalized", "null") })
	x.looks(4 * time.Second)
	if v := x.is("another fork, in which it did not fail", intent.Final); v.Reverted {
		t.Error("it landed, and is said to have failed")
	}
}
