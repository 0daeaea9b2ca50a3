package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

type benchDocument struct {
	Signatures     int           `json:"signatures"` // per row of in_flight
	Tier           string        `json:"tier"`       // of the vault: hot ones are signed with presignatures
	Threshold      int           `json:"threshold"`
	Parties        int           `json:"parties"`
	CPUs           int           `json:"cpus"`
	MedianMS       float64       `json:"median_ms"` // proposal to verified signature, one in flight
	P99MS          float64       `json:"p99_ms"`
	InFlight       []benchRow    `json:"in_flight"`
	CPUMSPerSig    float64       `json:"cpu_ms_per_signature"` // over all processes, people included, one in flight
	ResidentMemory []benchMemory `json:"resident_memory"`
	KeygenSeconds  float64       `json:"keygen_seconds"`
}

type benchRow struct {
	InFlight            int     `json:"in_flight"`
	SignaturesPerSecond float64 `json:"signatures_per_second"`
	MedianMS            float64 `json:"median_ms"`
	P99MS               float64 `json:"p99_ms"`
	CPUMSPerSig         float64 `json:"cpu_ms_per_signature"`
}

type benchMemory struct {
	Node  string `json:"node"`
	Bytes uint64 `json:"bytes"`
}

func (a *app) benchCommand() *cobra.Command {
	var n int
	tier := charter.TierWarm
	c := &cobra.Command{
		Use: "bench", Short: "Measure this machine: three processes, from proposal to verified signature", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			if n < 1 || n > 100_000 {
				return usage("-n %d: want 1 to 100000", n)
			}
			ctx, cancel := a.within(c.Context(), time.Hour)
			defer cancel()
			if tier != charter.TierWarm && tier != charter.TierHot {
				return usage("--tier %q: want warm or hot", tier)
			}
			return a.bench(ctx, n, tier)
		},
	}
	c.Flags().IntVarP(&n, "signatures", "n", 100, "signatures per measurement")
	c.Flags().StringVar(&tier, "tier", tier, "of the vault: warm is signed in three rounds, hot with presignatures in one while there are some")
	return c
}

// bench is one benchmark under way.
type bench struct {
	circle   *local.Circle
	initial  *client.Circle
	approver *client.Circle
	transfer client.Transfer

	rest  time.Duration // after each signature: a hot vault fills its pools while nothing waits
	mu    sync.Mutex
	nonce uint64
}

// hotRest lets three nodes make what one signature used.
const hotRest = 3 * time.Second

func (a *app) bench(ctx context.Context, n int, tier string) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "ostraka-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a.say("Starting three nodes.")
	b := &bench{}
	b.circle, err = local.Start(ctx, local.Config{
		Suite: demoSuite, Tier: tier, Binary: binary, Dir: dir, Chain: fmt.Sprintf("eip155:%d", demoChain), Initiator: "alice", Approvers: []string{"bob"}, Quorum: 1,
	})
	defer b.circle.Stop()
	if err != nil {
		return err
	}
	doc := benchDocument{Signatures: n, Tier: tier, CPUs: runtime.NumCPU()}
	if doc.KeygenSeconds, err = b.prepare(ctx); err != nil {
		return err
	}
	doc.Threshold, doc.Parties = b.transfer.Vault.Threshold, len(b.transfer.Vault.Committee)
	// The first ones fill caches and connections.
	if _, err := b.measure(ctx, a, 5, 1); err != nil {
		return err
	}
	for _, flight := range []int{1, 8, 32} {
		b.rest = 0
		if tier == charter.TierHot && flight == 1 {
			b.rest = hotRest
		}
		row, err := b.measure(ctx, a, max(n, flight), flight)
		if err != nil {
			return fmt.Errorf("%d in flight: %w", flight, err)
		}
		doc.InFlight = append(doc.InFlight, row)
	}
	doc.MedianMS, doc.P99MS, doc.CPUMSPerSig = doc.InFlight[0].MedianMS, doc.InFlight[0].P99MS, doc.InFlight[0].CPUMSPerSig
	for _, o := range b.circle.Operators {
		bytes, err := local.ResidentMemory(o.PID())
		if err != nil {
			return err
		}
		doc.ResidentMemory = append(doc.ResidentMemory, benchMemory{o.Name, bytes})
	}
	return a.show(doc, doc.print)
}

func (d benchDocument) print(w io.Writer) {
	fmt.Fprintf(w, "%d-of-%d (%s) on %d CPUs, three nodes as three processes, %d signatures each:\n", d.Threshold, d.Parties, d.Tier, d.CPUs, d.Signatures)
	fmt.Fprintf(w, "  key generation, with test signature and certificate: %.2f s\n", d.KeygenSeconds)
	for _, r := range d.InFlight {
		fmt.Fprintf(w, "  %2d in flight: %7.1f signatures/s, median %6.1f ms, p99 %6.1f ms, %6.1f ms CPU each over all processes\n",
			r.InFlight, r.SignaturesPerSecond, r.MedianMS, r.P99MS, r.CPUMSPerSig)
	}
	for _, m := range d.ResidentMemory {
		fmt.Fprintf(w, "  node %s: %.1f MiB resident\n", m.Node, float64(m.Bytes)/(1<<20))
	}
}

// prepare makes circle, vault, account and address.
func (b *bench) prepare(ctx context.Context) (keygen float64, err error) {
	if err := b.circle.Found(ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := b.circle.CreateVault(ctx); err != nil {
		return 0, err
	}
	if err := b.circle.AwaitVault(ctx); err != nil {
		return 0, err
	}
	keygen = time.Since(begun).Seconds()
	if b.initial, err = b.circle.As("alice"); err != nil {
		return 0, err
	}
	if b.approver, err = b.circle.As("bob"); err != nil {
		return 0, err
	}
	v, _, err := b.initial.Vault(ctx, local.VaultName)
	if err != nil {
		return 0, err
	}
	account, _, err := client.CreateAccount(ctx, b.initial, v, "ops", "bench")
	if err != nil {
		return 0, err
	}
	root, err := v.Root(b.circle.Suite)
	if err != nil {
		return 0, err
	}
	if _, _, err := b.initial.NewAddress(ctx, v, root, account, len(b.circle.Operators)); err != nil {
		return 0, err
	}
	account.Addresses[b.circle.Operators[0].Name] = map[string]int{root.Suite: 1}
	to, err := evm.ParseAddress(demoPayee)
	gas := uint64(21000)
	b.transfer = client.Transfer{
		Sender: client.Sender{Vault: v, Root: root, Account: account, Chain: b.circle.Chain}, To: to, Amount: big.NewInt(1), Gas: &gas, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9),
	}
	return keygen, err
}

// next is a transfer with a nonce of its own.
func (b *bench) next() client.Transfer {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, nonce := b.transfer, b.nonce
	t.Nonce = &nonce
	b.nonce++
	return t
}

// sign takes one transfer from the proposal to the signature that the initiator verified.
func (b *bench) sign(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	s, err := b.initial.Prepare(ctx, b.next())
	if err != nil {
		return 0, err
	}
	taken, err := b.initial.SubmitStatement(ctx, s)
	if err == nil {
		_, err = taken.Need("propose", len(b.circle.Operators))
	}
	if err != nil {
		return 0, err
	}
	votes, err := b.approver.Vote(ctx, s, signet.Approve)
	if err == nil {
		_, err = votes.Need("approve", len(b.circle.Operators))
	}
	if err != nil {
		return 0, err
	}
	err = b.await(ctx, s.ID())
	return time.Since(begun), err
}

// await asks one node for the signature, often and cheaply, and then verifies it.
func (b *bench) await(ctx context.Context, id statement.ID) error {
	m := b.initial.Members[0]
	for {
		res, err := m.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
		if err != nil {
			return err
		}
		if len(res.Msg.Intent.GetRaw()) > 0 {
			_, err := client.ReadCase(m.Name, []client.Vault{b.transfer.Vault}, res.Msg.Intent)
			return err
		}
		if e := res.Msg.Intent.GetLastError(); e != "" {
			return fmt.Errorf("intent %s: %s", id.Short(), e)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// measure makes n signatures with so many in flight.
func (b *bench) measure(ctx context.Context, a *app, n, flight int) (benchRow, error) {
	defer a.progressEnds()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cpu, err := b.cpu()
	if err != nil {
		return benchRow{}, err
	}
	begun := time.Now()
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	var times []time.Duration
	var wg sync.WaitGroup
	for range flight {
		wg.Go(func() {
			for range todo {
				took, err := b.sign(ctx)
				if err != nil {
					cancel(err)
					return
				}
				b.mu.Lock()
				times = append(times, took)
				a.progress("%d in flight: %d of %d", flight, len(times), n)
				b.mu.Unlock()
				time.Sleep(b.rest)
			}
		})
	}
	wg.Wait()
	took := time.Since(begun) - time.Duration(n)*b.rest
	if err := context.Cause(ctx); err != nil {
		return benchRow{}, err
	}
	after, err := b.cpu()
	if err != nil {
		return benchRow{}, err
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
	return benchRow{
		InFlight: flight, SignaturesPerSecond: float64(n) / took.Seconds(), MedianMS: ms(times[len(times)/2]),
		P99MS: ms(times[(len(times)*99+99)/100-1]), CPUMSPerSig: ms(after-cpu) / float64(n),
	}, nil
}

// cpu is the processor time of the nodes and of this process, which speaks for the people.
func (b *bench) cpu() (sum time.Duration, err error) {
	pids := []int{os.Getpid()}
	for _, o := range b.circle.Operators {
		pids = append(pids, o.PID())
	}
	for _, pid := range pids {
		one, err := local.CPUTime(pid)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}
