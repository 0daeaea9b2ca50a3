//go:build nightly

package replicas

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/history"
)

// To repeat a night: go test -tags nightly ./test/replicas -run TestNight -seed 7, or OSTRAKA_NIGHT_SEED=7. The seed chooses order, moments and victims
// of the blows; what the processes make of them is theirs.
var seedFlag = flag.Uint64("seed", 0, "of the blows of a night; 0: another one each time")

func nightSeed(t *testing.T) uint64 {
	t.Helper()
	if *seedFlag != 0 {
		return *seedFlag
	}
	if text := os.Getenv("OSTRAKA_NIGHT_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("OSTRAKA_NIGHT_SEED: %v", err)
		}
		return n
	}
	return uint64(time.Now().UnixNano())
}

// A house is one operator: two replicas over three members.
type house struct {
	n         int // place among the operators
	o         *local.Operator
	m         *members
	all       []*replica
	people    []string // where its replicas take people
	chronicle *chronicle
	blows     map[blow]int // that were struck
}

// A night is three houses, people who ask for signatures all the time, and what everybody was told.
type night struct {
	*people // who owns the vault, and its account
	frost   client.Root
	address string // of the account on the FROST root's chain
	houses  []*house
	circles map[string][]*client.Circle // by person: through each house's first replicas, and through the second ones
	told    *history.History

	mu      sync.Mutex
	asked   []*asked
	drawn   uint64 // nonces of the account's transactions
	workers []error

	nonces map[string]string // of signatures: which one has it
}

const frostChain = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

// foundNight is a circle whose vault has keys of both protocols, needs two of three operators, and keeps presignatures.
func foundNight(ctx context.Context, t *testing.T) (*local.Circle, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
		Tier: charter.TierHot, Threshold: 2, Amend: func(file string) string {
			file = strings.Replace(file, "suites: ["+charter.SuiteECDSA+"]", "suites: ["+charter.SuiteECDSA+", "+charter.SuiteEd25519+"]", 1)
			return strings.Replace(file, fmt.Sprintf("chains: [%q]", chain), fmt.Sprintf("chains: [%q, %q]", chain, frostChain), 1)
		},
	})
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// build makes replicas of every operator.
func build(ctx context.Context, t *testing.T) *night {
	t.Helper()
	circle, dir := foundNight(ctx, t)
	n := &night{people: &people{circle: circle}, circles: map[string][]*client.Circle{}, told: history.New()}
	for i, o := range circle.Operators {
		at := filepath.Join(dir, "m"+o.Name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		h := &house{n: i, o: o, m: startMembers(t, at), blows: map[blow]int{}}
		h.chronicle = newChronicle(t, h)
		circle.Halt(o)
		h.all = replicate(t, h.m, o, "a", "b")
		n.houses = append(n.houses, h)
	}
	for _, h := range n.houses {
		for _, r := range h.all {
			r.start(t)
			t.Cleanup(r.kill)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s:\n%s", r.name, r.tail())
				}
			})
		}
	}
	for _, h := range n.houses {
		h.await(ctx, t)
	}
	return n
}

// await waits until both replicas are there and one owns the node, and notes where they take people.
func (h *house) await(ctx context.Context, t *testing.T) {
	t.Helper()
	err := poll(ctx, h.o.Name+" has two replicas", func() error {
		own, _, err := owner(ctx, h.all)
		if err != nil {
			return err
		}
		x, err := own.show(ctx)
		if err != nil {
			return err
		}
		if len(x.Replicas) != len(h.all) {
			return fmt.Errorf("%d replicas", len(x.Replicas))
		}
		h.people = nil
		for _, r := range x.Replicas {
			h.people = append(h.people, r.People)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Three operators, each of two replicas over three members, sign all the time while replicas and members are killed and suspended at random. In the end
// what was acknowledged is in every log, every signature is the vault's, and no nonce and no token was used twice.
func TestNight(t *testing.T) {
	seed := nightSeed(t)
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	n := build(ctx, t)
	n.people.open(ctx, t)
	n.openNight(ctx, t)
	began := time.Now()
	asking, end := context.WithCancel(ctx)
	var workers sync.WaitGroup
	for w, ask := range []func(context.Context) (*asked, error){n.transfer, n.transfer, n.proof} {
		workers.Go(func() { n.work(asking, w, ask) })
	}
	var blows sync.WaitGroup
	for _, h := range n.houses {
		blows.Go(func() {
			if err := h.suffer(ctx, t, rand.New(rand.NewPCG(seed, uint64(h.n)))); err != nil {
				t.Errorf("%s: %v", h.o.Name, err)
			}
		})
	}
	blows.Wait()
	if t.Failed() {
		cancel()
	}
	for i := 0; i < 240 && !t.Failed() && !n.enough(); i++ { // a busy machine takes longer
		time.Sleep(500 * time.Millisecond)
	}
	end()
	workers.Wait()
	for _, err := range n.workers {
		t.Error(err)
	}
	t.Logf("%d intents asked for in %v", len(n.asked), time.Since(began).Round(time.Second))
	if t.Failed() {
		return
	}
	n.counted(t)
	n.calm(ctx, t)
	t.Run("nothing that was shown is lost", func(t *testing.T) { n.settle(ctx, t) })
	t.Run("the operators' nodes are well", func(t *testing.T) { n.well(ctx, t) })
	t.Run("an outsider verifies the logs", func(t *testing.T) { n.outsider(t) })
	for _, h := range n.houses {
		for _, r := range h.all {
			r.end(syscall.SIGTERM)
		}
	}
	n.reckon(ctx, t)
}

// counted wants the blows that were planned, each struck, and enough signatures meanwhile.
func (n *night) counted(t *testing.T) {
	t.Helper()
	for _, h := range n.houses {
		if !maps.Equal(h.blows, planned) {
			t.Errorf("%s: struck %v, planned %v", h.o.Name, h.blows, planned)
		}
	}
	ecdsa, frost := n.signatures()
	t.Logf("acknowledged while it went on: %d transactions (ECDSA), %d proofs (FROST)", ecdsa, frost)
	if !n.enough() {
		t.Errorf("fewer than %d of each were acknowledged", leastSigned)
	}
}

// leastSigned is how many signatures of each protocol must have been acknowledged in a night.
const leastSigned = 20

func (n *night) enough() bool {
	ecdsa, frost := n.signatures()
	return ecdsa >= leastSigned && frost >= leastSigned
}

func (n *night) signatures() (ecdsa, frost int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.asked {
		switch {
		case a.raw == "":
		case a.proof:
			frost++
		default:
			ecdsa++
		}
	}
	return ecdsa, frost
}

// calm asks for one transaction after another, with time between for nodes to make presignatures, until one was used: where blows fall fast few are.
func (n *night) calm(ctx context.Context, t *testing.T) {
	t.Helper()
	const most = 12
	for range most {
		for _, h := range n.houses {
			if h.chronicle.has("r/presig-burn/") {
				return
			}
		}
		time.Sleep(5 * time.Second)
		a, err := n.transfer(ctx)
		if err == nil {
			n.asked = append(n.asked, a)
			err = n.see(ctx, 0, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("of %d transactions after a calm none used a presignature", most)
}

// well wants all processes alive, no pair burned, and nobody thought to run twice.
func (n *night) well(ctx context.Context, t *testing.T) {
	for _, h := range n.houses {
		for _, p := range h.programs() {
			if p.ended() {
				t.Errorf("%s ended by itself:\n%s", p.name, p.tail())
			}
		}
		own, _, err := owner(ctx, h.all)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Operator(own.dir).Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		if s := res.Msg; s.Fenced != "" || len(s.Burned) > 0 {
			t.Errorf("%s: fenced %q, burned %v", h.o.Name, s.Fenced, s.Burned)
		}
		for _, p := range res.Msg.Peers {
			if p.Twin != "" {
				t.Errorf("%s thinks that %s runs twice: %s", h.o.Name, p.Operator, p.Twin)
			}
		}
	}
}

// outsider runs the product's own verifier over what the three nodes publish.
func (n *night) outsider(t *testing.T) {
	var doc struct {
		Failed bool
		Logs   []json.RawMessage
		Alarms []struct{ Operator, What string }
	}
	args := []string{"verify", "--json"}
	for _, h := range n.houses {
		args = append(args, "https://"+h.people[0])
	}
	command(t, &doc, args...)
	if doc.Failed || len(doc.Logs) != len(n.houses) {
		t.Errorf("the verifier says failed %v, %d logs", doc.Failed, len(doc.Logs))
	}
	for _, a := range doc.Alarms {
		t.Errorf("an alarm in the log of %s: %s", a.Operator, a.What)
	}
	t.Logf("%d signatures came to a node before the decisions that allow them", len(doc.Alarms))
}

func (h *house) programs() (all []*program) {
	for _, r := range h.all {
		all = append(all, &r.program)
	}
	return slices.Concat(all, h.m.all)
}

func (p *program) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
