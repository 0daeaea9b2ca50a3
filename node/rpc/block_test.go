package rpc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
)

func headerOf(number string, hash evm.Hash) string {
	return fmt.Sprintf(`"result":{"number":%q,"hash":"%s"}`, number, hash)
}

// What CheckBlock finds is nil, a Mismatch that names both hashes, a Behind, or the environment's error: never another.
func TestCheckBlock(t *testing.T) {
	hash, other := evm.Hash{1, 31: 2}, evm.Hash{1, 31: 3}
	type kind string
	const good, mismatch, behind, trouble = kind("good"), kind("mismatch"), kind("behind"), kind("trouble")
	for name, c := range map[string]struct {
		edit func(script)
		kind kind
		want []string
	}{
		"as it is":          {func(script) {}, good, nil},
		"another fork":      {func(s script) { s["eth_getBlockByNumber"] = headerOf("0x10", other) }, mismatch, []string{hash.String(), other.String(), "block 16"}},
		"another chain":     {func(s script) { s["eth_chainId"] = `"result":"0x2"` }, mismatch, []string{"chain id"}},
		"ahead":             {func(s script) { s["eth_getBlockByNumber"], s["eth_blockNumber"] = `"result":null`, `"result":"0xf"` }, behind, []string{"awaits block 16", "at 15"}},
		"not kept":          {func(s script) { s["eth_getBlockByNumber"] = `"result":null` }, trouble, []string{"keeps no block 16", "head is 32"}},
		"refused":           {func(s script) { s["eth_getBlockByNumber"] = refusal(4444, "pruned history unavailable") }, trouble, []string{"pruned history"}},
		"another height":    {func(s script) { s["eth_getBlockByNumber"] = headerOf("0x11", hash) }, trouble, []string{"block 17 for 16"}},
		"no hash":           {func(s script) { s["eth_getBlockByNumber"] = `"result":{"number":"0x10"}` }, trouble, []string{"without number or hash"}},
		"a pending block":   {func(s script) { s["eth_getBlockByNumber"] = `"result":{"number":"0x10","hash":null}` }, trouble, []string{"without number or hash"}},
		"a short hash":      {func(s script) { s["eth_getBlockByNumber"] = `"result":{"number":"0x10","hash":"0x01"}` }, trouble, []string{"another type"}},
		"a number":          {func(s script) { s["eth_getBlockByNumber"] = `"result":7` }, trouble, []string{"another type"}},
		"silent":            {func(s script) { delete(s, "eth_getBlockByNumber") }, trouble, []string{"method not found"}},
		"silent on chain":   {func(s script) { delete(s, "eth_chainId") }, trouble, []string{"method not found"}},
		"silent about head": {func(s script) { s["eth_getBlockByNumber"] = `"result":null`; delete(s, "eth_blockNumber") }, trouble, []string{"method not found"}},
	} {
		s := script{"eth_chainId": `"result":"0x1"`, "eth_blockNumber": `"result":"0x20"`, "eth_getBlockByNumber": headerOf("0x10", hash)}
		c.edit(s)
		client, _ := s.serve(t)
		err := client.CheckBlock(t.Context(), 1, rpc.Block{Height: 16, Hash: hash})
		got := trouble
		switch m, b := (*rpc.Mismatch)(nil), (*rpc.Behind)(nil); {
		case err == nil:
			got = good
		case errors.As(err, &m):
			got = mismatch
		case errors.As(err, &b):
			got = behind
		}
		if got != c.kind {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.kind)
		}
		for _, w := range c.want {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", name, err, w)
			}
		}
	}
}

func TestLatestBlock(t *testing.T) {
	hash := evm.Hash{5}
	client, _ := script{"eth_getBlockByNumber": headerOf("0x7", hash)}.serve(t)
	if b, found, err := client.Block(t.Context(), nil); err != nil || !found || b != (rpc.Block{Height: 7, Hash: hash}) {
		t.Errorf("%+v, %v, %v", b, found, err)
	}
}
