package kill

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/crypto/argon2"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/transit/transittest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// hidden is a node of a circle whose store lies in a cluster, all of whose secrets the test knows.
type hidden struct {
	t       *testing.T
	dir     string
	circle  *local.Circle
	acme    *local.Operator
	members *etcdtest.Members
	metrics string
	cores   string
	box     *seal.Box
	scan    *nodetest.Scanner // what is secret
	public  *nodetest.Scanner // what must be found: a search that finds nothing is none
	group   *group
}

func (h *hidden) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hidden) command(args ...string) string {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+h.circle.ContextsFile(), "SSH_AUTH_SOCK=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("ostraka %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// file writes a secret of its owner's.
func (h *hidden) file(name string, content []byte) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	h.ok(os.WriteFile(path, content, 0o600))
	return path
}

// TestSecretsLieNowhere looks for every secret of a node that a test can know, in every form, wherever the node and its store's members leave anything:
// its folder, the members' folders and what they answer, the most talkative logs, metrics, swap and a core. What SECURITY.md says of memory is held to it.
func TestSecretsLieNowhere(t *testing.T) {
	build(t)
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &hidden{t: t, dir: dir, scan: nodetest.NewScanner(), public: nodetest.NewScanner(), cores: filepath.Join(dir, "cores")}
	h.ok(os.Mkdir(h.cores, 0o700))
	h.circle, err = local.Start(t.Context(), local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2, Tier: "hot",
		Through: map[string][]string{}, Env: map[string][]string{},
	})
	t.Cleanup(h.circle.Stop)
	for _, step := range []func(context.Context) error{h.circle.Found, h.circle.CreateVault, h.circle.AwaitVault} {
		if err == nil {
			err = step(t.Context())
		}
	}
	h.ok(err)
	h.acme = h.circle.Operators[0]
	h.public.Add("identity", h.acme.Identity)
	h.furnish()
	h.sign()
	h.learn()
	h.searchedFiles()
	h.searchedMemory()
}

// furnish moves acme's store into a cluster, wraps its data key by a passphrase and a vault together, and starts it as talkative as it can be.
func (h *hidden) furnish() {
	t := h.t
	h.circle.Halt(h.acme)
	was := bytes.TrimSpace(h.read(h.acme.Passphrase))
	box, _, err := seal.OpenFile(t.Context(), filepath.Join(h.acme.Dir, "key.json"), seal.Label{Row: "node"}, keys.ByPassphrase(secret.Copy(was), rand.Reader).Open, rand.Reader)
	h.ok(err)
	h.box = box
	if h.members, err = etcdtest.Start(3, "--log-level", "debug"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.members.Stop)
	o := h.members.Options("acme", "r1")
	h.command("node", "migrate-store", "--dir", h.acme.Dir, "--to", "etcd", "--endpoints", strings.Join(o.Endpoints, ","), "--replica", "one", "--name", "acme", "--ca", o.CA, "--cert", o.Cert, "--key", o.Key)

	server, token, pass := transittest.Start(t, false), "hvs."+rand.Text(), []byte(rand.Text())
	server.Key("ostraka", "aes256-gcm96")
	server.Token(token, "encrypt/ostraka", "decrypt/ostraka")
	vault, fresh := h.file("token", []byte(token)), h.file("fresh", pass)
	h.command("node", "rekey", "--dir", h.acme.Dir, "--seal", "passphrase", "--seal", "transit:"+server.URL+"/transit#ostraka", "--passphrase-file", h.acme.Passphrase,
		"--new-passphrase-file", fresh, "--passphrase-memory", "64", "--new-token-file", vault)
	h.ok(os.WriteFile(h.acme.Passphrase, pass, 0o600))
	for name, b := range map[string][]byte{"passphrase": pass, "the passphrase before": was, "vault token": []byte(token), "data key": box.DataKey().Expose(), "key of the passphrase": h.derived(pass)} {
		h.scan.AddKey(name, b)
	}

	settings := filepath.Join(h.acme.Dir, "node.json")
	var s map[string]any
	h.ok(json.Unmarshal(h.read(settings), &s))
	h.metrics, err = local.FreeAddress()
	h.ok(err)
	s["metrics"] = h.metrics
	raw, err := json.MarshalIndent(s, "", "  ")
	h.ok(err)
	h.ok(os.WriteFile(settings, raw, 0o600))
	enter := ""
	if h.group, err = newGroup(t); err != nil {
		t.Logf("memory: %v", err)
	} else {
		enter = "echo $$ > " + h.group.dir + "/cgroup.procs && "
	}
	h.circle.Through["acme"] = []string{"sh", "-c", "cd " + h.cores + " && ulimit -l 8192 && " + enter + `exec "$0" "$@" --log-level debug --token-file ` + vault}
	h.circle.Env["acme"] = []string{"GOTRACEBACK=crash"}
	h.ok(h.circle.Restart(t.Context(), h.acme))
}

func (h *hidden) read(path string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(path)
	h.ok(err)
	return b
}

// derived is the key that the passphrase gives, by what the key file says (spec/sealing 4 and 6).
func (h *hidden) derived(pass []byte) []byte {
	h.t.Helper()
	var f struct{ Slots []struct{ Wrapped string } }
	h.ok(json.Unmarshal(h.read(filepath.Join(h.acme.Dir, "key.json")), &f))
	wrapped := []byte{}
	_, err := fmt.Sscanf(f.Slots[0].Wrapped, "%x", &wrapped)
	h.ok(err)
	var pieces [][]byte
	d := transcript.NewDecoder(wrapped)
	d.List(2, 2, 2, func(_ int, d *transcript.Decoder) { pieces = append(pieces, d.Bytes(1, seal.MaxWrapped)) })
	h.ok(d.Done())
	d = transcript.NewDecoder(pieces[0])
	_, time_, memory, threads, salt, sealed := d.Uint(1, 1), d.Uint(2, 16), d.Uint(3, 1<<20), d.Uint(4, 16), d.Bytes(5, 32), d.Bytes(6, 1<<10)
	h.ok(d.Done())
	key := argon2.IDKey(pass, salt, uint32(time_), uint32(memory), uint8(threads), 32)
	label, err := seal.Label{Row: "node"}.Data(transcript.SealWrap, pieces[0][:len(pieces[0])-len(sealed)-3])
	if piece, openErr := seal.Decrypt(secret.Copy(key), label, sealed, 32); err == nil && openErr == nil {
		h.scan.AddKey("the passphrase's piece of the data key", piece.Expose())
	}
	return key
}

// sign brings a transfer to its signature: a presignature is taken, shares are open.
func (h *hidden) sign() {
	h.command("account", "create", "--vault", local.VaultName, "ops/main", "--key", h.circle.KeyFile("alice"))
	h.command("address", "new", local.VaultName, "ops/main", "--key", h.circle.KeyFile("alice"))
	out := h.command("tx", "propose", "--json", "--no-wait", "--key", h.circle.KeyFile("alice"), "--vault", local.VaultName, "--account", "ops/main",
		"--to", payee, "--amount", "0.1", "--nonce", "0", "--gas", "21000", "--fee-cap", "30000000000", "--tip-cap", "1000000000")
	m := regexp.MustCompile(`(?m)"id": "([0-9a-f]{64})"`).FindStringSubmatch(out)
	if m == nil {
		h.t.Fatalf("no id: %s", out)
	}
	for _, p := range []string{"bob", "carol"} {
		h.command("tx", "approve", "--yes", m[1], "--key", h.circle.KeyFile(p))
	}
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(h.command("tx", "show", "--json", m[1], "--key", h.circle.KeyFile("alice")), `"state": "signed"`); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatal("the transfer is not signed in time")
		}
	}
}

// rows are what the members answer.
func (h *hidden) rows() []store.Item {
	h.t.Helper()
	m := &mover{t: h.t, members: h.members}
	r, err := m.raw().Get(h.t.Context(), "ostraka/", clientv3.WithPrefix())
	h.ok(err)
	var all []store.Item
	for _, kv := range r.Kvs {
		all = append(all, store.Item{Key: string(kv.Key), Value: kv.Value})
	}
	return all
}

// learn opens what is sealed: the identity's seed, and shares, masks and pairs.
func (h *hidden) learn() {
	h.t.Helper()
	var id struct{ Sealed []byte }
	h.ok(json.Unmarshal(h.read(filepath.Join(h.acme.Dir, "identity.json")), &id))
	seed, err := h.box.Open(seal.Label{Row: "identity of tagged rows"}, id.Sealed)
	h.ok(err)
	h.scan.AddKey("identity's seed", seed.Expose())
	self, kinds := mpc.IDOf(h.acme.Identity), map[string]int{}
	for _, it := range h.rows() {
		key, ok := strings.CutPrefix(it.Key, "ostraka/acme/r/epoch/")
		if !ok {
			continue
		}
		part := strings.SplitN(key, "/", 3)
		row := strings.ReplaceAll(part[2], "%2f", "/")
		if protocol.Open(row) || row == "cert" || row == "tested" {
			continue
		}
		value, _, err := store.Unframe("epoch/"+key, it.Value)
		h.ok(err)
		var of, eh []byte
		_, err = fmt.Sscanf(part[0]+" "+part[1], "%x %x", &of, &eh)
		h.ok(err)
		plain, err := h.box.Open(seal.Label{Key: of, Epoch: eh, Operator: self[:], Row: row}, value[:len(value)-tagged.Size])
		h.ok(err)
		kind, _, _ := strings.Cut(row, "/")
		kinds[kind]++
		if b := plain.Expose(); len(b) <= 32 {
			h.scan.Add(kind, b)
		} else {
			n := 0
			for block := range slices.Chunk(b[2:], 16) {
				if len(block) == 16 && !bytes.Contains(block, make([]byte, 3)) && n < 200 {
					n++
					h.scan.Add(kind, block)
				}
			}
		}
	}
	if h.t.Logf("%d secrets are known, among them %v", h.scan.Secrets, kinds); kinds["share"] == 0 || kinds["pair"] == 0 {
		h.t.Fatal("no share is known: the search would not look for it")
	}
}

// clean wants no secret in a text.
func (h *hidden) clean(where string, text []byte) {
	h.t.Helper()
	if found := h.scan.Find(text); len(found) > 0 {
		h.t.Errorf("%s holds %v", where, found[0])
	}
}

// searchedFiles looks at all that lies on a disk or goes over a wire in plain.
func (h *hidden) searchedFiles() {
	t := h.t
	page := h.scrape()
	h.clean("metrics", page)
	if !bytes.Contains(page, []byte("ostraka_log_entries")) {
		t.Errorf("metrics: %s", page)
	}
	seen := 0
	for _, it := range h.rows() {
		h.clean("row "+it.Key, append([]byte(it.Key+" "), it.Value...))
		seen += len(h.public.Find(it.Value))
	}
	if seen == 0 {
		t.Error("the search does not find what the members answer")
	}
	for _, o := range h.circle.Operators {
		log := h.read(o.Log)
		h.clean("log of "+o.Name, log)
		if !bytes.Contains(log, []byte("node runs")) || o == h.acme && !bytes.Contains(log, []byte("this replica owns the node")) {
			t.Errorf("log of %s: %d bytes, without what must be there", o.Name, len(log))
		}
	}
	h.walk(h.acme.Dir)
	for _, m := range h.members.All {
		h.walk(m.Dir())
	}
}

// walk looks at every file below a folder, piece by piece.
func (h *hidden) walk(dir string) {
	h.t.Helper()
	files, seen := 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		pieces(h.t, path, func(b []byte) {
			h.clean(path, b)
			seen += len(h.public.Find(b))
		})
		return nil
	})
	if err != nil || files < 3 || seen == 0 {
		h.t.Errorf("%s: %d files, the control was found %d times: %v", dir, files, seen, err)
	}
}

// scrape is what the node's metrics show.
func (h *hidden) scrape() []byte {
	h.t.Helper()
	res, err := http.Get("http://" + h.metrics + "/metrics")
	h.ok(err)
	page, err := io.ReadAll(res.Body)
	h.ok(err)
	h.ok(res.Body.Close())
	return page
}

// rest waits until the node has no session, and sees to it that none begins: its peers are halted. What computes holds shares outside of what is locked,
// as SECURITY.md says; what has computed holds none.
func (h *hidden) rest() {
	open := regexp.MustCompile(`(?m)^ostraka_sessions_open\{.*\} [1-9]`)
	quiet := func() {
		h.t.Helper()
		for end, calm := time.Now().Add(3*time.Minute), 0; calm < 3; time.Sleep(300 * time.Millisecond) {
			if calm++; open.Match(h.scrape()) {
				calm = 0
			}
			if time.Now().After(end) {
				h.t.Fatalf("sessions do not end: %s", open.Find(h.scrape()))
			}
		}
	}
	quiet()
	for _, o := range h.circle.Operators {
		if o != h.acme {
			h.circle.Halt(o)
		}
	}
	quiet()
}

// searchedMemory has the node's memory swapped out, then ends it with a core. What SECURITY.md promises of memory: what was asked at the start is
// overwritten; the data key, the identity and open rows lie where no swap and no core come to; of a session that ended nothing is left.
func (h *hidden) searchedMemory() {
	h.rest()
	t, pid := h.t, h.acme.PID()
	room := arena(t, pid)
	file, refused := swapFile(t, h.dir)
	switch {
	case refused != nil:
		t.Logf("swap: the machine refuses a swap file, so what is locked is looked at alone: %v", refused)
	case h.group == nil:
		t.Log("swap: there is no cgroup to press the node's memory, so what is locked is looked at alone")
	default:
		h.ok(h.group.squeeze("16M"))
		out := 0
		for end := time.Now().Add(10 * time.Second); out < 8<<10 && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			out = 0
			for _, m := range mappings(t, pid) {
				out += m.swap
			}
		}
		h.ok(h.group.squeeze("4G"))
		t.Logf("swap: %d KiB of the node's memory were swapped out into a file of the test's", out)
		h.memory("swap", file, out > 0)
	}
	if after := arena(t, pid); after.from != room.from {
		t.Errorf("the memory for secrets moved from %x to %x", room.from, after.from)
	}
	core := abort(t, pid, h.cores)
	without(t, core, room)
	h.memory("core", core, true)
	for _, m := range h.members.All {
		m.Kill()
		said := m.Said()
		h.clean("log of member "+m.Name, []byte(said))
		if !strings.Contains(said, "DEBUG") {
			t.Errorf("member %s says %d bytes, and nothing of the kind debug", m.Name, len(said))
		}
	}
	h.clean("log of acme, with its crash", h.read(h.acme.Log))
}

// memory wants no secret in what the node's memory left.
func (h *hidden) memory(where, path string, sees bool) {
	t, found, seen := h.t, map[string]int{}, 0
	t.Helper()
	pieces(t, path, func(b []byte) {
		for _, name := range h.scan.Find(b) {
			found[name]++
		}
		seen += len(h.public.Find(b))
	})
	if sees && seen == 0 {
		t.Errorf("the search does not find the node's public identity in its %s", where)
	}
	t.Logf("%s: the public identity %d times", where, seen)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		t.Errorf("%s holds %s, %d times", where, name, found[name])
	}
}
