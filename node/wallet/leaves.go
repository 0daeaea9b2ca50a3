package wallet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Leaves are what a log tells of a vault's accounts and addresses, as if they came now (spec/log 13).
func (a *Accounts) Leaves(ctx context.Context, now time.Time, vault statement.ID) (out []tlog.Filed, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, err := a.list(ctx, vault)
	if err != nil {
		return nil, err
	}
	for _, acc := range all {
		row, err := a.Journal.Store().Get(ctx, accountKey(vault, acc.Department, acc.Name))
		if err != nil {
			return nil, err
		}
		s := acc.Statement.Bytes()
		out = append(out, tlog.Says(tlog.KindStatement, now, vault, s, row.Value[len(s):]))
	}
	for _, acc := range all {
		for _, v := range a.Vault(vault) {
			given, err := a.given(ctx, acc.Account, v.Suite)
			if err != nil {
				return nil, err
			}
			for _, it := range given {
				index, err := strconv.ParseUint(strings.TrimPrefix(it.Key, addressPrefix(acc.Account, v.Suite)), 16, 32)
				if err != nil {
					return nil, fmt.Errorf("read addresses: row %q has no number: %w", it.Key, err)
				}
				x, err := derive(v, acc, uint32(index))
				if err != nil {
					return nil, err
				}
				out = append(out, tlog.Says(tlog.KindAddress, now, vault, charter.Address(x).Bytes()))
			}
		}
	}
	return out, nil
}
