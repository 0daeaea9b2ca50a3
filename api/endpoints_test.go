package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
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

// standing is an endpoint that stands in some way.
type standing struct{ chain string }

func (s standing) Endpoint() string { return "http://" + s.chain }

func (s standing) Health(context.Context) (rpc.Health, error) {
	if s.chain == "" {
		return rpc.Health{}, errors.New("connection refused")
	}
	return rpc.Health{Chain: s.chain, Height: 16, At: time.Unix(1_700_000_000, 0)}, nil
}

// Where fewer than the node must hear can be used, doctor says that it signs nothing; of one that is alone, that it would be believed.
func TestTooFewEndpoints(t *testing.T) {
	const chain = "eip155:1"
	up, off, other := standing{chain}, standing{}, standing{"eip155:2"}
	for name, c := range map[string]struct {
		of         []endpoint
		state, has string // of the row about all; empty: there is none
	}{
		"one":                       {[]endpoint{up}, "warn", "one alone"},
		"one, and it is down":       {[]endpoint{off}, "", ""}, // its own row fails
		"two":                       {[]endpoint{up, up}, "", ""},
		"one of two is down":        {[]endpoint{off, up}, "fail", "1 of 2 can be used, and 2 must be: this node allows nothing there"},
		"one of three is down":      {[]endpoint{up, off, up}, "", ""},
		"two of three are down":     {[]endpoint{off, up, off}, "fail", "1 of 3 can be used, and 2 must be"},
		"two of four are elsewhere": {[]endpoint{other, up, up, other}, "fail", "2 of 4 can be used, and 3 must be"},
	} {
		all := checkPanels(t.Context(), time.Unix(1_700_000_000, 0), map[string][]endpoint{chain: c.of, "eip155:5": {standing{"eip155:5"}, standing{"eip155:5"}}})
		var about []*pb.Check
		for _, row := range all {
			if strings.HasPrefix(row.Name, "endpoints ") {
				about = append(about, row)
			}
		}
		switch {
		case len(all)-len(about) != len(c.of)+2:
			t.Errorf("%s: %d rows", name, len(all))
		case c.state == "" && len(about) > 0, c.state != "" && len(about) != 1:
			t.Errorf("%s: %v", name, about)
		case c.state != "" && (about[0].Name != "endpoints "+chain || about[0].State != c.state || !strings.Contains(about[0].What, c.has) || about[0].Next == ""):
			t.Errorf("%s: %v", name, about[0])
		}
	}
}
