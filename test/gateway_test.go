package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A gateway stands before a chain's real node, as one company's endpoint does. It passes on what it is asked, until the test has it do otherwise. It keeps every transaction that
// nodes hand it: none is signed unless one stands there.
type gateway struct {
	url    string // without credentials: as nodes name it in errors
	rpc    string // as node.json has it
	behind string

	mu    sync.Mutex
	do    conduct
	asked map[string]int  // by method
	told  map[string]int  // likewise: answers that are not the real node's
	sent  map[string]bool // raw transactions
	over  chan struct{}   // closed when the conduct is over
}

// A conduct is how a gateway answers: false if it is to pass the question on.
type conduct func(x *exchange) (answered bool)

// An exchange is one question at a gateway.
type exchange struct {
	http.ResponseWriter
	r        *http.Request
	question question
	asked    int             // how often this gateway was asked for this method before, since it has its conduct
	over     <-chan struct{} // closed when the gateway is to do something else
}

type question struct {
	ID     json.RawMessage
	Method string
	Params []json.RawMessage
}

// result answers with a result.
func (x *exchange) result(text string) bool {
	fmt.Fprintf(x, `{"jsonrpc":"2.0","id":%s,"result":%s,"error":null}`, x.question.ID, text)
	return true
}

// newGateway stands before a node until the test ends.
func newGateway(t *testing.T, node string) *gateway {
	t.Helper()
	g := &gateway{behind: node, asked: map[string]int{}, told: map[string]int{}, sent: map[string]bool{}, over: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(func() { g.be(nil); server.Close() })
	g.url, g.rpc = server.URL, server.URL
	if u, err := url.Parse(node); err == nil && u.User != nil {
		g.rpc = strings.Replace(server.URL, "://", "://"+u.User.String()+"@", 1)
	}
	return g
}

// be gives a gateway its conduct from now on; nil: it is honest.
func (g *gateway) be(do conduct) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.over)
	g.do, g.over, g.asked, g.told = do, make(chan struct{}), map[string]int{}, map[string]int{}
}

// lied says how often a gateway answered a method otherwise since it has its conduct; no method: any.
func (g *gateway) lied(method string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for m, times := range g.told {
		if m == method || method == "" {
			n += times
		}
	}
	return n
}

// transactions are all that nodes ever handed to these gateways, each once.
func transactions(all ...*gateway) []string {
	out := map[string]bool{}
	for _, g := range all {
		g.mu.Lock()
		maps.Copy(out, g.sent)
		g.mu.Unlock()
	}
	return slices.Sorted(maps.Keys(out))
}

const mostAsked = 1 << 20

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostAsked))
	var q question
	if err != nil || json.Unmarshal(body, &q) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	if strings.HasPrefix(strings.ToLower(q.Method), "eth_sendraw") || q.Method == "sendrawtransaction" {
		g.sent[string(q.Params[0])] = true
	}
	do, x, told := g.do, &exchange{w, r, q, g.asked[q.Method], g.over}, g.told
	g.asked[q.Method]++
	g.mu.Unlock()
	if do != nil && do(x) {
		g.mu.Lock()
		told[q.Method]++
		g.mu.Unlock()
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, g.behind, bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	req.Header = r.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body) //nolint:errcheck // who asked has gone
}

// down is an endpoint that cannot be reached: it hangs up.
func down(x *exchange) bool {
	if conn, _, err := http.NewResponseController(x.ResponseWriter).Hijack(); err == nil {
		conn.Close()
	}
	return true
}

// lies answers these methods with results that are not so, and passes everything else on. A method may stand with its first parameter: "getblockhash 0".
func lies(results map[string]string) conduct {
	return func(x *exchange) bool {
		keys := []string{x.question.Method}
		if len(x.question.Params) > 0 {
			keys = append(keys, x.question.Method+" "+string(x.question.Params[0]))
		}
		for _, key := range keys {
			if text, ok := results[key]; ok {
				return x.result(text)
			}
		}
		return false
	}
}

// rude answers a question of one method with bytes of its own, and passes everything else on.
func rude(method string, status int, body func(id json.RawMessage) string) conduct {
	return func(x *exchange) bool {
		if x.question.Method != method {
			return false
		}
		x.WriteHeader(status)
		io.WriteString(x, body(x.question.ID)) //nolint:errcheck // who asked has gone
		return true
	}
}

// slow does not answer one method for as long as the test is there.
func slow(method string) conduct {
	return func(x *exchange) bool {
		if x.question.Method != method {
			return false
		}
		select {
		case <-x.over:
		case <-x.r.Context().Done():
		}
		return true
	}
}
