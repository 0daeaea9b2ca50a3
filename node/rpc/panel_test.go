package rpc_test

import (
	"context"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/rpc"
)

// well is an endpoint at which the fixture's transaction fits.
func well() script {
	return script{
		"eth_chainId": `"result":"0x1"`, "eth_getTransactionCount": `"result":"0x3"`, "eth_getBalance": `"result":"0xde0b6b3a7640000"`, "eth_blockNumber": `"result":"0x64"`,
		"eth_getBlockByNumber": `"result":{"number":"0x64","hash":"0x0900000000000000000000000000000000000000000000000000000000000000","timestamp":"0x1","baseFeePerGas":"0x5"}`,
	}
}

func (s script) but(method, answer string) script {
	s = maps.Clone(s)
	s[method] = answer
	return s
}

// dead is an endpoint that does not answer.
const dead = "dead"

// panel serves each script at an endpoint of its own.
func panel(t *testing.T, scripts ...script) *rpc.Panel {
	t.Helper()
	var urls []string
	for _, s := range scripts {
		if s[dead] != "" {
			server := httptest.NewServer(http.NotFoundHandler())
			server.Close()
			urls = append(urls, server.URL)
			continue
		}
		c, _ := s.serve(t)
		urls = append(urls, c.Endpoint())
	}
	p, err := rpc.NewPanel(urls, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Nothing is signed on the word of an endpoint that others contradict, nor on that of a minority, whoever is right: a liar left alone, because the honest ones are down, is not
// believed either.
func TestPanelChecks(t *testing.T) {
	tx := signed(t)
	facts := tx.Transaction.Facts()
	ok, off := well(), script{dead: "x"}
	poor := ok.but("eth_getBalance", `"result":"0x1"`)
	past := ok.but("eth_getTransactionCount", `"result":"0x4"`)
	ahead := ok.but("eth_getTransactionCount", `"result":"0x2"`)
	elsewhere := ok.but("eth_chainId", `"result":"0x2"`)
	for name, c := range map[string]struct {
		of   []script
		says string // empty: all is well
		is   func(error) bool
	}{
		"one":                              {[]script{ok}, "", nil},
		"two that agree":                   {[]script{ok, ok}, "", nil},
		"three, one is down":               {[]script{ok, off, ok}, "", nil},
		"one of two is down":               {[]script{ok, off}, "1 of 2 endpoints answer, and 2 must", nil},
		"two of three are down":            {[]script{off, ok, off}, "1 of 3 endpoints answer, and 2 must", nil},
		"two of four are down":             {[]script{off, ok, off, ok}, "2 of 4 endpoints answer, and 3 must", nil},
		"all are down":                     {[]script{off, off}, "0 of 2 endpoints answer", nil},
		"the liar says that it fits":       {[]script{poor, ok}, "endpoints disagree on the transaction", isDisagreement},
		"one of three lies":                {[]script{ok, ok, poor}, "balance", isDisagreement},
		"two lie in the same way":          {[]script{poor, ok, poor}, "endpoints disagree", isDisagreement},
		"they lack different things":       {[]script{past, poor}, "that it does not fit: balance", isDisagreement},
		"one is behind":                    {[]script{ok, ahead}, "that it waits for those before it", isDisagreement},
		"one serves another chain":         {[]script{ok, elsewhere}, "chain id", isDisagreement},
		"all say that it does not fit":     {[]script{poor, poor}, "balance", isMismatch},
		"all say that it is too late":      {[]script{past, past, past}, "nonce", isMismatch},
		"all say that it waits for others": {[]script{ahead, ahead}, "", isAhead},
	} {
		err := panel(t, c.of...).Check(t.Context(), tx.From, facts, rpc.Limits{})
		switch {
		case c.says == "" && c.is == nil && err != nil, (c.says != "" || c.is != nil) && err == nil:
			t.Errorf("%s: %v", name, err)
		case err != nil && (!strings.Contains(err.Error(), c.says) || c.is != nil && !c.is(err)):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		case err != nil && c.is == nil && (isMismatch(err) || isDisagreement(err)):
			t.Errorf("%s: trouble with endpoints is taken for an answer: %v", name, err)
		}
	}
}

func isDisagreement(err error) bool {
	return errors.As(err, new(*rpc.DisagreementError)) && !isMismatch(err) // a Mismatch would deny for good
}
func isMismatch(err error) bool { return errors.As(err, new(*rpc.Mismatch)) }
func isAhead(err error) bool    { return errors.As(err, new(*rpc.Ahead)) }

// What became of a transaction is what all endpoints say: a receipt that one of them makes up confirms nothing, and two that differ are told.
func TestPanelFollows(t *testing.T) {
	tx, ctx := signed(t), t.Context()
	none := well().but("eth_getTransactionReceipt", `"result":null`).but("eth_getTransactionByHash", `"result":null`)
	mined := none.but("eth_getTransactionReceipt", receiptOf(tx.Hash, `"0x1"`))
	failed := none.but("eth_getTransactionReceipt", receiptOf(tx.Hash, `"0x0"`))
	pool := none.but("eth_getTransactionByHash", knownAs(tx.Hash))
	if _, found, err := panel(t, mined, none).Receipt(ctx, tx.Hash); found || err != nil {
		t.Errorf("one of two has a receipt: %t, %v", found, err)
	}
	if r, found, err := panel(t, mined, mined).Receipt(ctx, tx.Hash); !found || err != nil || r.Block != 5 || !r.Success {
		t.Errorf("both have it: %+v, %t, %v", r, found, err)
	}
	if _, found, err := panel(t, mined, failed, none).Receipt(ctx, tx.Hash); found || !isDisagreement(err) {
		t.Errorf("two receipts: %t, %v", found, err)
	}
	for name, c := range map[string]struct {
		p                     *rpc.Panel
		missing, knows, every bool
	}{
		"nobody": {panel(t, none, none), true, false, false}, "one pool": {panel(t, none, pool), true, true, false}, "both pools": {panel(t, pool, pool), true, true, true},
		"two pools of three": {panel(t, pool, pool, script{dead: "x"}), true, true, false}, "one block": {panel(t, none, mined), false, false, false},
	} {
		if missing, err := c.p.Missing(ctx, tx.Hash); err != nil || missing != c.missing {
			t.Errorf("%s: missing %t, %v", name, missing, err)
		}
		if knows, every, err := c.p.Knows(ctx, tx.Hash); err != nil || knows != c.knows || every != c.every {
			t.Errorf("%s: known %t, by all %t, %v", name, knows, every, err)
		}
	}
	far := well().but("eth_blockNumber", `"result":"0x70"`).but("eth_getTransactionCount", `"result":"0x9"`)
	if n, err := panel(t, far, well()).BlockNumber(ctx); err != nil || n != 0x64 {
		t.Errorf("height %d, %v", n, err)
	}
	if n, err := panel(t, far, well()).MinedNonce(ctx, tx.From); err != nil || n != 3 {
		t.Errorf("nonce %d, %v", n, err)
	}
}

// A signed transaction goes to all endpoints; it is sent if one takes it, and refused if all refuse it.
func TestPanelSends(t *testing.T) {
	tx, ctx := signed(t), t.Context()
	none := well().but("eth_getTransactionReceipt", `"result":null`).but("eth_getTransactionByHash", `"result":null`)
	takes := none.but("eth_sendRawTransaction", `"result":"`+tx.Hash.String()+`"`)
	refuses := none.but("eth_sendRawTransaction", refusal(-32000, "underpriced"))
	for name, of := range map[string][]script{"the first takes it": {takes, refuses}, "the last takes it": {refuses, {dead: "x"}, takes}} {
		if hash, err := panel(t, of...).SendRaw(ctx, tx.Raw); err != nil || hash != tx.Hash {
			t.Errorf("%s: %s, %v", name, hash, err)
		}
	}
	_, err := panel(t, refuses, refuses).SendRaw(ctx, tx.Raw)
	wantRejected(t, err)
	if _, err = panel(t, refuses, script{dead: "x"}).SendRaw(ctx, tx.Raw); err == nil || errors.As(err, new(*rpc.Rejected)) {
		t.Errorf("one refuses and one is silent: %v, and the outcome is unknown", err)
	}
}

// The lowest fee that anybody calls usual counts: it bounds what may be paid.
func TestPanelFee(t *testing.T) {
	s := well().but("eth_estimateGas", `"result":"0x5208"`).but("eth_maxPriorityFeePerGas", `"result":"0x1"`)
	dear := s.but("eth_estimateGas", `"result":"0xffff"`)
	m := rpc.Message{From: payee, To: payee, Value: big.NewInt(1)}
	low, err := panel(t, s).UsualFee(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if fee, err := panel(t, dear, s).UsualFee(t.Context(), m); err != nil || fee.Cmp(low) != 0 {
		t.Errorf("%v, %v, want %v", fee, err, low)
	}
	if fee, err := panel(t, s, s.but("eth_estimateGas", refusal(3, "execution reverted"))).UsualFee(t.Context(), m); err != nil || fee != nil {
		t.Errorf("one says that it would fail: %v, %v", fee, err)
	}
}

// Advice comes from the first endpoint that answers; its refusal is an answer.
func TestPanelAny(t *testing.T) {
	var asked []string
	p := panel(t, script{dead: "x"}, well().but("eth_getBalance", refusal(1, "no")), well())
	err := p.Any(t.Context(), func(ctx context.Context, e *rpc.EVM) error {
		asked = append(asked, e.Endpoint())
		_, err := e.Balance(ctx, payee)
		return err
	})
	if len(asked) != 2 || !errors.As(err, new(*rpc.CallError)) {
		t.Errorf("%v of %v asked: %v", asked, p, err)
	}
}

func TestNewPanelRefuses(t *testing.T) {
	for name, urls := range map[string][]string{
		"none": nil, "too many": strings.Split(strings.Repeat("http://a,", 9), ",")[:9], "no URL": {"http://a", "b"}, "one host twice": {"https://a/v2/key1", "https://a/v2/key2"},
	} {
		if p, err := rpc.NewPanel(urls, rpc.Options{}); err == nil || strings.Contains(err.Error(), "key") {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	p, err := rpc.NewPanel([]string{"https://user:secret@a/key", "https://b"}, rpc.Options{})
	if err != nil || strings.Contains(p.String()+p.GoString(), "secret") || !strings.Contains(p.String(), "https://b") {
		t.Errorf("%v, %v", p, err)
	}
}
