package rehearse

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
)

// stuck has a sweep wait on a chain that mines nothing: the command follows it, and raises its fee when it is told to. Once the chain mines again, what it has for more is taken, and
// the next run has nothing left to do.
func (h *hurt) stuck(ctx context.Context, swept string) {
	h.t.Helper()
	args := []string{"sos", "sweep", local.VaultName, "--rpc", chainID + "=" + h.endpoint, "--key", h.operator("acme").Officer, "--json"}
	var from struct{ Transfers []struct{ From string } } // whom the sweep before was of
	if err := json.Unmarshal([]byte(swept), &from); err != nil || len(from.Transfers) == 0 {
		h.fatal("the sweep says %s (%v)", swept, err)
	}
	before, err := h.balance(ctx, refuge)
	h.ok(err)
	h.chain.SetBalance(h.t, from.Transfers[0].From, "0x2386f26fc10000") // 10 milliether
	h.chain.Call(h.t, nil, "evm_setAutomine", false)
	r, err := h.run(ctx, append(args, "--yes", "--timeout", "12s")...)
	if err != nil || r.code == 0 {
		h.fatal("a sweep is confirmed, and the chain mines nothing: %s (%v)", r.out+r.errs, err)
	}
	r, err = h.run(ctx, append(args, "--yes", "--bump", "--timeout", "12s")...)
	if err != nil || r.code == 0 || !strings.Contains(r.errs, "it is replaced by intent") {
		h.fatal("what waits is not replaced: %s (%v)", r.out+r.errs, err)
	}
	_, words, _ := strings.Cut(r.errs, ": intent ")
	h.replaced, _, _ = strings.Cut(words, " ")
	h.chain.Call(h.t, nil, "evm_setAutomine", true)
	h.chain.Mine(h.t, 1)
	r = h.insist(ctx, append(args, "--yes")...)
	after, err := h.balance(ctx, refuge)
	h.ok(err)
	if after.Cmp(new(big.Int).Add(before, milliether(8))) < 0 {
		h.fatal("%v wei lie at the rescue address, after %v: %s", after, before, r.out)
	}
}
