package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/rpc"
)

// An endpoint's row says whether it can be reached, serves the chain that it is named for, and follows it.
func TestCheckEndpoint(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		id         int
		head       time.Time
		down       bool
		state, has string
	}{
		"well":           {1, now.Add(-12 * time.Second), false, "ok", "block 16, 12s old"},
		"a moment ahead": {1, now.Add(time.Second), false, "ok", "block 16, 0s old"},
		"another chain":  {11155111, now, false, "fail", "serves chain eip155:11155111"},
		"stuck":          {1, now.Add(-2 * time.Hour), false, "warn", "block, 16, is 2h0m0s old"},
		"from tomorrow":  {1, now.Add(24 * time.Hour), false, "warn", "in the future"},
		"down":           {1, now, true, "fail", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var q struct {
					ID     uint64
					Method string
				}
				if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				result := fmt.Sprintf(`"0x%x"`, c.id)
				if q.Method == "eth_getBlockByNumber" {
					result = fmt.Sprintf(`{"number":"0x10","timestamp":"0x%x"}`, c.head.Unix())
				}
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,"result":%s}`, q.ID, result)
			}))
			defer server.Close()
			e, err := rpc.NewEVM(server.URL, rpc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if c.down {
				server.Close()
			}
			got := checkEndpoint(context.Background(), now, "eip155:1", e)
			if got.Name != "endpoint eip155:1" || got.State != c.state || !strings.Contains(got.What, c.has) || (got.Next == "") != (c.state == "ok") {
				t.Errorf("%v", got)
			}
		})
	}
}
