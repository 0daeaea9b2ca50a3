package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
)

// script answers methods with what follows "id", such as `"result":"0x1"`. A method that is
// missing is refused as unknown.
type script map[string]string

// calls counts what was asked.
type calls struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *calls) add(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[method]++
}

func (c *calls) of(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[method]
}

func (s script) serve(t *testing.T) (*rpc.EVM, *calls) {
	t.Helper()
	asked := &calls{counts: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ID     uint64
			Method string
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			w.WriteHeader(http.StatusBadRequest) // a caller that went away
			return
		}
		asked.add(request.Method)
		answer, ok := s[request.Method]
		if !ok {
			answer = `"error":{"code":-32601,"message":"method not found"}`
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,%s}`, request.ID, answer)
	}))
	t.Cleanup(server.Close)
	return dial(t, server.URL, rpc.Options{}), asked
}

func refusal(code int, message string) string {
	return fmt.Sprintf(`"error":{"code":%d,"message":%q}`, code, message)
}

// signed is a transaction for chain 1 by the fixture's key; no node is needed to sign.
func signed(t *testing.T) *evm.Signed {
	t.Helper()
	return plainKey(t).sign(t, evm.Request{
		ChainID: 1, Nonce: 3, Gas: 21000, FeeCap: big.NewInt(30), TipCap: big.NewInt(2), To: payee, Amount: big.NewInt(1),
	})
}

func knownAs(hash evm.Hash) string {
	return fmt.Sprintf(`"result":{"hash":"%s","from":"%s","nonce":"0x3","blockNumber":null}`, hash, payee)
}

func receiptOf(hash evm.Hash, status string) string {
	return fmt.Sprintf(`"result":{"transactionHash":"%s","blockNumber":"0x5","blockHash":"%s","status":%s,"gasUsed":"0x5208"}`,
		hash, evm.Hash{9}, status)
}

// TestSendRawLooksUp: whatever words a node refuses with, what it knows is sent.
func TestSendRawLooksUp(t *testing.T) {
	tx := signed(t)
	for _, words := range []string{
		"already known", "transaction already imported", "nonce too low", "nonce too low: next nonce 4, tx nonce 3",
		"ALREADY_EXISTS: déjà vu", "",
	} {
		s := script{"eth_chainId": `"result":"0x1"`, "eth_sendRawTransaction": refusal(-32000, words)}
		s["eth_getTransactionByHash"] = knownAs(tx.Hash)
		client, _ := s.serve(t)
		if hash, err := client.SendRaw(t.Context(), tx.Raw); err != nil || hash != tx.Hash {
			t.Errorf("%q, in the pool: %s, %v", words, hash, err)
		}

		s["eth_getTransactionByHash"] = `"result":null`
		s["eth_getTransactionReceipt"] = receiptOf(tx.Hash, `"0x1"`)
		client, _ = s.serve(t)
		if hash, err := client.SendRaw(t.Context(), tx.Raw); err != nil || hash != tx.Hash {
			t.Errorf("%q, with a receipt only: %s, %v", words, hash, err)
		}

		s["eth_getTransactionReceipt"] = `"result":null`
		client, _ = s.serve(t)
		_, err := client.SendRaw(t.Context(), tx.Raw)
		wantRejected(t, err)
	}
}

func TestSendRawEndpoint(t *testing.T) {
	tx := signed(t)
	for name, c := range map[string]struct {
		edit   func(script)
		reason string
		sent   int
	}{
		"another chain":   {func(s script) { s["eth_chainId"] = `"result":"0x2"` }, "chain id: expected 2", 0},
		"silent on chain": {func(s script) { delete(s, "eth_chainId") }, "method not found", 0},
		"another hash":    {func(s script) { s["eth_sendRawTransaction"] = `"result":"` + evm.Hash{1}.String() + `"` }, "outcome unknown", 1},
		"null":            {func(s script) { s["eth_sendRawTransaction"] = `"result":null` }, "outcome unknown", 1},
		"lookup of another": {func(s script) {
			s["eth_sendRawTransaction"] = refusal(-32000, "already known")
			s["eth_getTransactionByHash"] = knownAs(evm.Hash{1})
		}, "already known", 1},
	} {
		s := script{
			"eth_chainId": `"result":"0x1"`, "eth_getTransactionByHash": `"result":null`, "eth_getTransactionReceipt": `"result":null`,
		}
		c.edit(s)
		client, asked := s.serve(t)
		if hash, err := client.SendRaw(t.Context(), tx.Raw); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %s, %v; want an error with %q", name, hash, err, c.reason)
		}
		if asked.of("eth_sendRawTransaction") != c.sent {
			t.Errorf("%s: sent %d times, want %d", name, asked.of("eth_sendRawTransaction"), c.sent)
		}
	}
}

func TestReceipt(t *testing.T) {
	hash := evm.Hash{7}
	for name, c := range map[string]struct {
		answer         string
		found, success bool
		reason         string // of an error
	}{
		"mined":          {receiptOf(hash, `"0x1"`), true, true, ""},
		"reverted":       {receiptOf(hash, `"0x0"`), true, false, ""},
		"none":           {`"result":null`, false, false, ""},
		"indexing":       {refusal(-32000, "transaction indexing is in progress"), false, false, ""},
		"pending":        {`"result":{"transactionHash":"` + hash.String() + `","blockNumber":null}`, false, false, ""},
		"other refusal":  {refusal(-32000, "database is closed"), false, false, "database is closed"},
		"another's":      {receiptOf(evm.Hash{8}, `"0x1"`), false, false, "receipt of 0x08"},
		"without status": {receiptOf(hash, `null`), false, false, "without status"},
		"status a bool":  {receiptOf(hash, `true`), false, false, "another type"},
		"huge height":    {strings.Replace(receiptOf(hash, `"0x1"`), `"0x5"`, `"0x10000000000000000"`, 1), false, false, "above 2⁶⁴−1"},
		"a list":         {`"result":[]`, false, false, "another type"},
	} {
		client, _ := script{"eth_getTransactionReceipt": c.answer}.serve(t)
		receipt, found, err := client.Receipt(t.Context(), hash)
		if found != c.found || receipt.Success != c.success {
			t.Errorf("%s: %+v, %v", name, receipt, found)
		}
		if (err != nil) != (c.reason != "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.reason)
		}
	}
}

func TestWaitSaysHowFar(t *testing.T) {
	hash := evm.Hash{7}
	for name, c := range map[string]struct {
		s      script
		reason string
	}{
		"no receipt":   {script{"eth_getTransactionReceipt": `"result":null`}, "0 of 3 confirmations"},
		"not deep":     {script{"eth_getTransactionReceipt": receiptOf(hash, `"0x1"`), "eth_blockNumber": `"result":"0x6"`}, "2 of 3 confirmations"},
		"slower twin":  {script{"eth_getTransactionReceipt": receiptOf(hash, `"0x1"`), "eth_blockNumber": `"result":"0x4"`}, "1 of 3 confirmations"},
		"broken chain": {script{"eth_getTransactionReceipt": receiptOf(hash, `"0x1"`)}, "method not found"},
	} {
		client, _ := c.s.serve(t)
		ctx, cancel := context.WithCancel(t.Context())
		ticks := make(chan time.Time)
		go func() {
			ticks <- time.Time{} // taken after the first poll
			ticks <- time.Time{} // after the second
			cancel()             // during the third, or after it
		}()
		_, err := client.Wait(ctx, hash, 3, ticks)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want a cancelled wait with %q", name, err, c.reason)
		}
	}
}

func TestFees(t *testing.T) {
	history := func(base, reward string) string {
		return `"result":{"oldestBlock":"0x1","baseFeePerGas":[` + base + `],"reward":` + reward + `}`
	}
	for name, c := range map[string]struct {
		s              script
		base, tip, cap string
	}{
		"median of tips": {script{"eth_feeHistory": history(`"0x5","0x64"`, `[["0x9"],["0x2"],["0x5"]]`)}, "100", "5", "205"},
		"empty blocks": {script{"eth_feeHistory": history(`"0x64"`, `[["0x0"],["0x0"]]`),
			"eth_maxPriorityFeePerGas": `"result":"0x3"`}, "100", "3", "203"},
		"no tip offered":   {script{"eth_feeHistory": history(`"0x64"`, `null`)}, "100", "1000000000", "1000000200"},
		"no history":       {script{"eth_getBlockByNumber": `"result":{"baseFeePerGas":"0x64"}`}, "100", "1000000000", "1000000200"},
		"before EIP-1559":  {script{"eth_getBlockByNumber": `"result":{}`, "eth_gasPrice": `"result":"0x7"`}, "<nil>", "<nil>", "7"},
		"base fee of zero": {script{"eth_feeHistory": history(`"0x0"`, `null`), "eth_gasPrice": `"result":"0x7"`}, "<nil>", "<nil>", "7"},
	} {
		client, _ := c.s.serve(t)
		fees, err := client.Fees(t.Context())
		if err != nil || fmt.Sprint(fees.BaseFee) != c.base || fmt.Sprint(fees.TipCap) != c.tip || fmt.Sprint(fees.FeeCap) != c.cap {
			t.Errorf("%s: %v, %v; want base %s, tip %s, cap %s", name, fees, err, c.base, c.tip, c.cap)
		}
	}
	for name, s := range map[string]script{
		"nothing answers":   {},
		"base fee negative": {"eth_feeHistory": history(`"-0x1"`, `null`)},
		"base fee 257 bits": {"eth_feeHistory": history(`"0x1`+strings.Repeat("0", 64)+`"`, `null`)},
	} {
		client, _ := s.serve(t)
		if fees, err := client.Fees(t.Context()); err == nil {
			t.Errorf("%s: %+v", name, fees)
		}
	}
}

// TestEndpointAnswers: an endpoint that does not speak as it should is the environment's
// fault, named without its credentials.
func TestEndpointAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		body, reason string
	}{
		"web page":       {200, "<html>", "no JSON-RPC"},
		"empty":          {200, "", "no JSON-RPC"},
		"unauthorised":   {401, "key is invalid", "HTTP status 401"},
		"status of 500":  {500, `{"id":1,"result":"0x1"}`, "HTTP status 500"},
		"redirect":       {307, "", "HTTP status 307"},
		"no result":      {200, `{"id":1}`, "no JSON-RPC"},
		"null":           {200, `{"id":1,"result":null}`, "null"},
		"another id":     {200, `{"id":2,"result":"0x1"}`, "another request"},
		"a number":       {200, `{"id":1,"result":1}`, "another type"},
		"no digits":      {200, `{"id":1,"result":"0x"}`, "another type"},
		"decimal":        {200, `{"id":1,"result":"1"}`, "another type"},
		"sign":           {200, `{"id":1,"result":"0x-1"}`, "another type"},
		"too large":      {200, `{"id":1,"result":"0x10000000000000000"}`, "2⁶⁴"},
		"endless answer": {200, strings.Repeat(" ", 5000), "more than 4096 bytes"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.status == 307 {
				w.Header().Set("Location", "http://192.0.2.1/")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		host := strings.TrimPrefix(server.URL, "http://")
		client := dial(t, "http://user:hunter2@"+host+"/v3/apikey?token=sesame", rpc.Options{MaxBody: 4096})
		_, err := client.ChainID(t.Context())
		server.Close()
		var endpoint *rpc.EndpointError
		if !errors.As(err, &endpoint) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want an endpoint's error with %q", name, err, c.reason)
			continue
		}
		_, err = client.ChainID(t.Context()) // the server is gone
		for _, text := range []string{endpoint.Error(), err.Error(), fmt.Sprintf("%v %+v %#v %s", client, client, client, client.Endpoint())} {
			if !strings.Contains(text, host) || strings.Contains(text, "hunter2") || strings.Contains(text, "apikey") || strings.Contains(text, "sesame") {
				t.Errorf("%s: %q must name %s and no credentials", name, text, host)
			}
		}
	}
}

func TestRefusalIsKept(t *testing.T) {
	client, _ := script{"eth_call": `"error":{"code":3,"message":"execution reverted\u001b[31m` + strings.Repeat("x", 400) + `","data":"0xcafe"}`}.serve(t)
	_, err := client.Call(t.Context(), rpc.Message{To: payee})
	var refused *rpc.CallError
	if !errors.As(err, &refused) || refused.Code != 3 || string(refused.Data) != `"0xcafe"` {
		t.Fatalf("%v is not the refusal", err)
	}
	if strings.ContainsRune(refused.Message, '\x1b') || len([]rune(refused.Message)) > 301 {
		t.Errorf("message %q may not go to a terminal", refused.Message)
	}
}

func TestNewEVMRefuses(t *testing.T) {
	for _, endpoint := range []string{
		"", "127.0.0.1:8545", "ws://hunter2@127.0.0.1", "file:///hunter2", "http://", "http://hunter2\x7f@host", "http://h:hunter2:x/",
	} {
		_, err := rpc.NewEVM(endpoint, rpc.Options{})
		if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:8545") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// TestSlowEndpoint: a call ends by its own time limit.
func TestSlowEndpoint(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	var endpoint *rpc.EndpointError
	if _, err := dial(t, server.URL, rpc.Options{Timeout: 50 * time.Millisecond}).ChainID(t.Context()); !errors.As(err, &endpoint) {
		t.Errorf("silent endpoint: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial(t, server.URL, rpc.Options{}).ChainID(ctx); !errors.Is(err, context.Canceled) || errors.As(err, &endpoint) {
		t.Errorf("cancelled: %v", err)
	}
}
