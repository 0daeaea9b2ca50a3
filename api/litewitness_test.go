package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/components/litewitness"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

func ring() *keys.Ring {
	return keys.ByPassphrase(secret.Copy([]byte("passphrase")), rand.Reader, passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1}))
}

// alone is a node of an operator that is in no circle yet: a daemon over its own folder.
type alone struct {
	t       *testing.T
	dir     string
	log     tlog.LogVerifier
	witness tlog.Witness
	printed *bytes.Buffer
	door    door
	stop    func() error
}

// newAlone makes its folder.
func newAlone(t *testing.T, change func(a *alone, s *node.Settings)) *alone {
	t.Helper()
	a := &alone{t: t, dir: filepath.Join(t.TempDir(), "node"), printed: &bytes.Buffer{}}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) //nolint:errcheck // crypto/rand never fails: it ends the process
	key := ed25519.NewKeyFromSeed(seed)
	identity := key.Public().(ed25519.PublicKey)
	ofLog, ofWitness := tlog.Derive(key, 0)
	var err, err2 error
	a.log, err = tlog.NewLogVerifier(tlog.Origin(identity, 0), ofLog.Public().(ed25519.PublicKey))
	a.witness, err2 = tlog.NewWitness(tlog.WitnessName(identity, 0), ofWitness.Public().(ed25519.PublicKey))
	s := node.Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:0", Advertise: "acme.example:7700", People: "127.0.0.1:0", Officers: []string{nodetest.NewPerson(t, "olga").Key.String()},
	}
	change(a, &s)
	got, err3 := node.Init(t.Context(), a.dir, s, ring().Open, io.MultiReader(bytes.NewReader(seed), rand.Reader), keys.Main(seal.Provider{Kind: keys.Passphrase}))
	if err := errors.Join(err, err2, err3); err != nil || !got.Equal(identity) {
		t.Fatalf("%x, %v", got, err)
	}
	return a
}

// run starts the daemon, and returns once it listens.
func (a *alone) run() {
	a.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(a.printed, nil))
	ready, done := make(chan node.Addresses, 1), make(chan error, 1)
	go func() {
		done <- node.Run(ctx, a.dir, ring(), log, node.WithServe(Serve(cancel, log)), node.Ready(func(x node.Addresses) { ready <- x }))
	}()
	a.stop = func() error { cancel(); return <-done }
	a.t.Cleanup(cancel)
	select {
	case x := <-ready:
		unpinned := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
		a.door = door{"https://" + x.People, &http.Client{Transport: &http.Transport{TLSClientConfig: unpinned, DisableKeepAlives: true}, Timeout: 10 * time.Second}}
	case err := <-done:
		a.t.Fatalf("the node ended: %v\n%s", err, a.printed)
	}
}

// end stops the daemon, so that what it printed may be read.
func (a *alone) end() {
	a.t.Helper()
	if err := a.stop(); err != nil {
		a.t.Fatalf("%v\n%s", err, a.printed)
	}
}

// get reads a file of the node's.
func (a *alone) get(path string) (status int, file []byte) {
	a.t.Helper()
	resp, err := a.door.web.Get(a.door.url + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if file, err = io.ReadAll(resp.Body); err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, file
}

// checkpoint waits until the log's checkpoint satisfies ok.
func (a *alone) checkpoint(by tlog.Witness, ok func(tlog.Checkpoint, []tlog.Cosigned) bool) (tlog.Checkpoint, []byte) {
	a.t.Helper()
	last := ""
	for limit := time.Now().Add(40 * time.Second); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		status, signed := a.get("/log/checkpoint")
		if last = string(signed); status != 200 {
			continue
		}
		c, cosigned, err := tlog.OpenCheckpoint(signed, a.log, []tlog.Witness{by})
		if err != nil {
			a.t.Fatal(err)
		}
		if ok(c, cosigned) {
			return c, signed
		}
	}
	a.t.Fatalf("no such checkpoint comes; the last is\n%s", last)
	return tlog.Checkpoint{}, nil
}

// A real litewitness cosigns the checkpoints of a real node, over HTTP: the first, and after a restart, when the node has forgotten what the
// witness knows, the next, with a proof that it grew.
func TestLitewitnessCosignsOurLog(t *testing.T) {
	lw := litewitness.Start(t, "witness.example/lw")
	by, err := tlog.ParseWitness(lw.Key)
	if err != nil {
		t.Fatalf("litewitness prints the key %q: %v", lw.Key, err)
	}
	a := newAlone(t, func(a *alone, s *node.Settings) {
		lw.AddLog(t, a.log.Name(), a.log.String())
		s.Witnesses = []node.Asked{{URL: lw.URL, Key: lw.Key}}
	})
	sizes := []int64{0}
	for range 3 {
		a.run()
		old := sizes[len(sizes)-1]
		c, signed := a.checkpoint(by, func(c tlog.Checkpoint, by []tlog.Cosigned) bool { return c.Head.Size > old && len(by) == 1 })
		sizes = append(sizes, c.Head.Size)
		theirs, err := cosignature.NewVerifierForCosignatureV1(lw.Key)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := note.Open(signed, note.VerifierList(theirs)); err != nil || len(n.Sigs) != 1 {
			t.Errorf("others' code does not find the cosignature: %v\n%s", err, signed)
		}
		if !strings.Contains(lw.Logs(t), fmt.Sprintf(`"size":%d,"root_hash":"%s"`, c.Head.Size, c.Head.Root)) {
			t.Errorf("litewitness knows another head than %v: %s", c.Head, lw.Logs(t))
		}
		if _, names := a.get("/log/" + tlog.PathWitnesses); string(names) != lw.Key+"\n" {
			t.Errorf("whom the node asks: %q, not %q", names, lw.Key)
		}
		a.end()
		if want := "log=" + a.log.String() + " witness=" + a.witness.String(); !strings.Contains(a.printed.String(), want) {
			t.Errorf("the node does not print %s:\n%s", want, a.printed)
		}
	}
	if t.Logf("sizes %v, litewitness printed:\n%s", sizes, lw.Printed()); !slices.IsSorted(sizes) {
		t.Error("the log shrank")
	}
}

// others are a log that nobody of ours made: its tree, its checkpoints and its proofs are others' code's.
type others struct {
	t      *testing.T
	signer note.Signer
	vkey   string
	tree   *testonly.Tree
}

const othersOrigin = "log.example/others"

func newOthers(t *testing.T) *others {
	t.Helper()
	private, vkey, err := note.GenerateKey(rand.Reader, othersOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	o := &others{t, signer, vkey, testonly.New(rfc6962.DefaultHasher)}
	for i := range 20 {
		o.tree.AppendData(fmt.Append(nil, "leaf ", i))
	}
	return o
}

func (o *others) checkpoint(size uint64, root []byte) []byte {
	o.t.Helper()
	signed, err := note.Sign(&note.Note{Text: string(log.Checkpoint{Origin: othersOrigin, Size: size, Hash: root}.Marshal())}, o.signer)
	if err != nil {
		o.t.Fatal(err)
	}
	return signed
}

// request asks for a cosignature of the first leaves, as C2SP tlog-witness has it.
func (o *others) request(old, size uint64) []byte {
	o.t.Helper()
	proof, err := o.tree.ConsistencyProof(old, size)
	if err != nil {
		o.t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h))
	}
	fmt.Fprintf(&b, "\n%s", o.checkpoint(size, o.tree.HashAt(size)))
	return b.Bytes()
}

// Our witness, a real node's at its door, cosigns what others' code made, remembers it over restarts, and never steps back.
func TestOurWitnessCosignsOthers(t *testing.T) {
	o := newOthers(t)
	a := newAlone(t, func(_ *alone, s *node.Settings) { s.Logs = []string{o.vkey} })
	theirs, err := cosignature.NewVerifierForCosignatureV1(a.witness.String())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(o.vkey)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(request []byte, want int) []byte {
		t.Helper()
		resp, err := a.door.web.Post(a.door.url+"/witness/add-checkpoint", "", bytes.NewReader(request))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%d %s %v, want %d", resp.StatusCode, b, err, want)
		}
		return b
	}
	sizes := []uint64{0, 3, 8, 8, 20}
	for i, size := range sizes[1:] {
		a.run()
		lines := ask(o.request(sizes[i], size), 200)
		signed := append(o.checkpoint(size, o.tree.HashAt(size)), lines...)
		c, _, n, err := log.ParseCheckpoint(signed, othersOrigin, verifier, theirs)
		if err != nil || c.Size != size || len(n.Sigs) != 2 {
			t.Fatalf("others' code does not take our cosignature: %v\n%s", err, signed)
		}
		if at, err := cosignature.CoSigV1Timestamp(n.Sigs[1]); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("cosigned at %s, %v", at, err)
		}
		if known := ask(o.request(size-1, size), tlog.StatusConflict); string(known) != fmt.Sprintln(size) {
			t.Errorf("it says that it knows %q", known)
		}
		fork := fmt.Appendf(nil, "old %d\n\n%s", size, o.checkpoint(size, make([]byte, 32)))
		ask(fork, tlog.StatusInconsistent)
		ask(bytes.Replace(o.request(size, size), []byte("old"), []byte("Old"), 1), tlog.StatusMalformed)
		a.end()
	}
}
