package test

import (
	"bytes"
	"context"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/store"
)

// trio is a circle of three processes with a 3-of-3 vault, without a chain, for tests that hurt one node.
type trio struct {
	t *testing.T
	*local.Circle
	acme *local.Operator
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := local.Start(t.Context(), local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: "eip155:31337", Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
	})
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	x := &trio{t, c, c.Operators[0]}
	x.must(0, "", "account", "create", "--vault", "treasury", "ops/main", "--key", c.KeyFile("alice"))
	x.must(0, "", "address", "new", "treasury", "ops/main", "--key", c.KeyFile("alice"))
	return x
}

// run is the program, with what it prints.
func (x *trio) run(args ...string) (code int, out string) {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+x.ContextsFile(), "OSTRAKA_KEY=", "SSH_AUTH_SOCK=")
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// must wants an exit code and a text.
func (x *trio) must(code int, text string, args ...string) string {
	x.t.Helper()
	got, out := x.run(args...)
	if got != code || !regexp.MustCompile(text).MatchString(out) {
		x.t.Fatalf("ostraka %s: code %d, want %d with %q:\n%s", strings.Join(args, " "), got, code, text, out)
	}
	return out
}

func (x *trio) until(what string, done func() bool) {
	x.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("%s: not in time", what)
		}
	}
}

var intentLine = regexp.MustCompile(`(?m)"id": "([0-9a-f]{64})"`)

// propose proposes a transfer and gives its id.
func (x *trio) propose(nonce string) string {
	x.t.Helper()
	out := x.must(0, "", "tx", "propose", "--json", "--no-wait", "--key", x.KeyFile("alice"), "--vault", "treasury", "--account", "ops/main",
		"--to", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "--amount", "0.1", "--nonce", nonce, "--gas", "21000", "--fee-cap", "30000000000", "--tip-cap", "1000000000")
	m := intentLine.FindStringSubmatch(out)
	if m == nil {
		x.t.Fatalf("no id: %s", out)
	}
	return m[1]
}

func (x *trio) approve(id string) {
	x.t.Helper()
	for _, p := range []string{"bob", "carol"} {
		x.must(0, "", "tx", "approve", "--yes", id, "--key", x.KeyFile(p))
	}
}

func (x *trio) state(id, state string) func() bool {
	return func() bool {
		_, out := x.run("tx", "show", "--json", id, "--key", x.KeyFile("alice"))
		return strings.Contains(out, `"state": "`+state+`"`)
	}
}

func (x *trio) doctor(line string) func() bool {
	return func() bool {
		_, out := x.run("doctor", "--dir", x.acme.Dir)
		return regexp.MustCompile("(?m)" + line).MatchString(out)
	}
}

// small puts acme's store on a file system of its own, and gives how to fill and to free it.
func (x *trio) small(megabytes string) (fill, free func()) {
	x.t.Helper()
	at, old := filepath.Join(x.acme.Dir, "store"), filepath.Join(x.acme.Dir, "was")
	x.Halt(x.acme)
	check := func(err error) {
		x.t.Helper()
		if err != nil {
			x.t.Fatal(err)
		}
	}
	check(os.Rename(at, old))
	check(os.Mkdir(at, 0o700))
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "mode=0700,size="+megabytes+"m"); err != nil {
		x.t.Fatalf("mount a small file system: %v: run the tests as root, or under `unshare --map-root-user --mount`", err)
	}
	x.t.Cleanup(func() {
		x.Stop()
		check(syscall.Unmount(at, syscall.MNT_DETACH))
	})
	if out, err := exec.Command("cp", "-a", old+"/.", at).CombinedOutput(); err != nil {
		x.t.Fatalf("%v: %s", err, out)
	}
	check(x.Restart(x.t.Context(), x.acme))
	filler := filepath.Join(at, "filler")
	return func() {
		f, err := os.Create(filler)
		check(err)
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 64<<10))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			check(err)
		}
	}, func() { check(os.Remove(filler)) }
}

// burden proposes what no node can decode, of so many bytes, at acme's node alone.
func (x *trio) burden(bytes int) error {
	x.t.Helper()
	c, err := x.As("alice")
	if err != nil {
		x.t.Fatal(err)
	}
	defer c.Close()
	v, _, err := c.Vault(x.t.Context(), local.VaultName)
	if err != nil {
		x.t.Fatal(err)
	}
	r, err := v.Root("")
	if err != nil {
		x.t.Fatal(err)
	}
	from, _, err := v.Address(r, v.Chains[0], []uint32{0, 0, 0})
	if err != nil {
		x.t.Fatal(err)
	}
	now := client.Now()
	s, err := intent.Intent{
		Charter: v.Charter, Vault: v.ID, Key: r.Record.KeyID, Epoch: r.Record.Hash(), Address: from, Chain: v.Chains[0], Purpose: intent.PurposeTransaction,
		Transaction: make([]byte, bytes), Facts: []intent.Fact{{Name: "operation", Value: "native-transfer"}}, Initiator: "alice", Created: now, Expires: now.Add(time.Hour),
	}.Statement(client.NewSalt())
	if err != nil {
		x.t.Fatal(err)
	}
	taken, err := c.SubmitStatement(x.t.Context(), s)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, a := range taken {
		if a.Node == "acme" {
			return a.Err
		}
	}
	x.t.Fatal("acme does not answer")
	return nil
}

// A node whose disk is full takes and signs nothing new, says which disk and what to do, and still refuses and freezes. Once there is room it goes
// on, without a restart.
func TestFullDisk(t *testing.T) {
	x := newTrio(t)
	fill, free := x.small("24")
	waits := x.propose("0")
	x.until("the others have it", x.state(waits, "proposed"))
	fill()
	var refusal error
	for _, size := range []int{60 << 10, 6 << 10, 1 << 10, 100} { // what room there is in the file is used up
		for tries := 0; refusal == nil || tries == 0; tries++ {
			if tries == 200 {
				t.Fatalf("the node takes intents of %d bytes on a full disk", size)
			}
			refusal = x.burden(size)
		}
		if size > 100 {
			refusal = nil
		}
	}
	if text := refusal.Error(); !strings.Contains(text, "disk full") || !strings.Contains(text, filepath.Join(x.acme.Dir, "store")) || !strings.Contains(text, "make some") {
		t.Errorf("it refuses with: %v", refusal)
	}
	x.until("doctor says so", x.doctor("^fail +disk +full: this node takes no new intents"))
	x.must(5, "next: make room on the disk of "+regexp.QuoteMeta(x.acme.Dir), "doctor", "--dir", x.acme.Dir)

	// Refusals and freezes go on: a person's no ends the intent at this node too, and its operator freezes the vault.
	x.must(0, "", "tx", "reject", "--yes", waits, "--key", x.KeyFile("bob"))
	out := ""
	defer func() {
		if t.Failed() {
			log, _ := os.ReadFile(x.acme.Log)
			t.Logf("acme says:\n%s\nits log ends with:\n%s", out, log[max(0, len(log)-4000):])
		}
	}()
	x.until("denied at acme", func() bool {
		_, out = x.run("tx", "explain", waits, "--local", "--dir", x.acme.Dir)
		return regexp.MustCompile(`(?m)acme +DENY|^node acme: denied`).MatchString(out)
	})
	x.must(0, "", "charter", "freeze", "treasury", "--hours", "1", "--yes", "--dir", x.acme.Dir, "--key", x.acme.Officer)

	free()
	for _, o := range x.Operators {
		x.must(0, "", "charter", "unfreeze", "treasury", "--yes", "--dir", o.Dir, "--key", o.Officer)
	}
	id := x.propose("1")
	x.approve(id)
	x.until("signed, by the same process", x.state(id, "signed"))
	if !x.doctor("^ok +log ")() || x.doctor("^fail +disk ")() {
		t.Error("doctor is not content")
	}
	x.must(0, "The log is whole", "log", "fsck", "--dir", x.acme.Dir)
}

// flip changes a record in a stopped node's file. Sealed, the record's checksum and the count of all are made anew: then the store finds nothing.
func (x *trio) flip(key string, sealed bool) (mend func()) {
	x.t.Helper()
	path := filepath.Join(x.acme.Dir, "store", "store.db")
	was, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, Timeout: time.Second})
	if err != nil {
		x.t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("ostraka"))
		old := bytes.Clone(b.Get([]byte("r" + key)))
		frame := bytes.Clone(old)
		frame[store.FrameSize+20] ^= 1
		state := bytes.Clone(b.Get([]byte("s")))
		v := state[store.FrameSize:] // revision, count, sum, bbolt's transaction
		endian.BigEndian.PutUint64(v[24:], uint64(tx.ID()))
		if sealed {
			value, revision := frame[store.FrameSize:], endian.BigEndian.Uint64(frame[1:])
			frame = store.Frame(key, revision, value)
			sum := endian.BigEndian.Uint64(v[16:]) - endian.BigEndian.Uint64(store.Checksum(old)) + endian.BigEndian.Uint64(store.Checksum(frame))
			endian.BigEndian.PutUint64(v[16:], sum)
		}
		if err := b.Put([]byte("s"), store.Frame("s", endian.BigEndian.Uint64(state[1:]), v)); err != nil {
			return err
		}
		return b.Put([]byte("r"+key), frame)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		x.t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, was, 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
}

// A node whose log is damaged does not start, whether the store finds it or the tree does, and names the row and the way out. With the intact file
// it signs again.
func TestDamagedLog(t *testing.T) {
	x := newTrio(t)
	x.Halt(x.acme)
	for name, c := range map[string]struct {
		key    string
		sealed bool
		says   string // who reads the log without the node's keys, and sees no tag
	}{
		"a row, found by the store":  {store.Key("log", store.Number(3)), false, `record "log/0000000000000003" is damaged`},
		"the head, by the store":     {"log-head", false, `record "log-head" is damaged`},
		"a row that looks untouched": {store.Key("log", store.Number(3)), true, `log (row|leaf) 3`},
		"a head that looks so":       {"log-head", true, "the head says"},
	} {
		mend := x.flip(c.key, c.sealed)
		x.must(4, c.says+`(.|\n)*next: stop the node and keep its folder`, "log", "fsck", "--dir", x.acme.Dir)
		says := fmt.Sprintf(`record %q is damaged`, c.key)
		if c.sealed {
			says += ": it was not written by this node"
		}
		out := x.must(1, says, "node", "run", "--dir", x.acme.Dir, "--passphrase-file", x.acme.Passphrase)
		if !strings.Contains(out, "put an intact copy of") {
			t.Errorf("%s: no way out is named: %s", name, out)
		}
		mend()
	}
	x.must(0, "The log is whole", "log", "fsck", "--dir", x.acme.Dir)
	if err := x.Restart(t.Context(), x.acme); err != nil {
		t.Fatal(err)
	}
	// Damage under a running node is found when the log is read through: it refuses from then on, and goes on when it is mended.
	mend := x.rot(store.Key("log", store.Number(3)))
	x.must(4, `damaged(.|\n)*record "log/0000000000000003"`, "log", "fsck", "--dir", x.acme.Dir)
	x.must(5, "damaged", "doctor", "--dir", x.acme.Dir)
	if err := x.burden(100); err == nil || !strings.Contains(err.Error(), "the log cannot be written") || !strings.Contains(err.Error(), "log/0000000000000003") {
		t.Errorf("an intent is taken on a damaged log: %v", err)
	}
	mend()
	x.must(0, "The log is whole", "log", "fsck", "--dir", x.acme.Dir)
	id := x.propose("0")
	x.approve(id)
	x.until("signed", x.state(id, "signed"))
}

// rot changes a record in the file of a node that runs.
func (x *trio) rot(key string) (mend func()) {
	x.t.Helper()
	f, err := os.OpenFile(filepath.Join(x.acme.Dir, "store", "store.db"), os.O_RDWR, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { f.Close() })
	b, err := io.ReadAll(f)
	if err != nil {
		x.t.Fatal(err)
	}
	k, changed := []byte("r"+key), []int64{}
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], k)
		if i < 0 {
			break
		}
		if at += i; b[at+len(k)] == 1 { // a record's frame follows, not a page's next key
			changed = append(changed, int64(at+len(k)+store.FrameSize+20))
		}
	}
	turn := func() {
		for _, at := range changed {
			b[at] ^= 1
			if _, err := f.WriteAt(b[at:at+1], at); err != nil {
				x.t.Fatal(err)
			}
		}
	}
	if turn(); len(changed) == 0 {
		x.t.Fatalf("%s is not in the file", key)
	}
	return turn
}
