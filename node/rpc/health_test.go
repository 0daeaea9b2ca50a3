package rpc_test

import (
	"context"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	sound := script{"eth_chainId": `"result":"0x1"`, "eth_getBlockByNumber": `"result":{"number":"0x10","timestamp":"0x6553f100","hash":"0x00"}`}
	c, _ := sound.serve(t)
	h, err := c.Health(context.Background())
	if err != nil || h.Chain != "eip155:1" || h.Height != 16 || h.At.Unix() != 1700000000 {
		t.Fatalf("%+v, %v", h, err)
	}
	for name, bad := range map[string]script{
		"no chain":     {"eth_getBlockByNumber": sound["eth_getBlockByNumber"]},
		"no block":     {"eth_chainId": sound["eth_chainId"], "eth_getBlockByNumber": `"result":null`},
		"a false time": {"eth_chainId": sound["eth_chainId"], "eth_getBlockByNumber": `"result":{"number":"0x10","timestamp":"soon"}`},
	} {
		c, _ := bad.serve(t)
		if h, err := c.Health(context.Background()); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
	far := script{"eth_chainId": sound["eth_chainId"], "eth_getBlockByNumber": `"result":{"number":"0x10","timestamp":"0xffffffffffffffff"}`}
	c, _ = far.serve(t)
	if h, err := c.Health(context.Background()); err != nil || strings.HasPrefix(h.At.String(), "1") {
		t.Errorf("a time without end: %+v, %v", h, err)
	}
}
