package tpm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/internal/components/swtpm"
)

var ctx = context.Background()

func device(t testing.TB, path string) *Device {
	t.Helper()
	d, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPaths(t *testing.T) {
	for _, path := range []string{"tpm0", "unix:", "unix:tpm", "/dev/../tpm", "tcp:127.0.0.1:1"} {
		if _, err := New(path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
	for path, want := range map[string]string{"": DefaultPath, "/dev/tpm0": "/dev/tpm0", "unix:/run/tpm": "unix:/run/tpm"} {
		if d := device(t, path); d.String() != want {
			t.Errorf("%q is %s", path, d)
		}
	}
}

func TestDevicesRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := func(*Conn) error { t.Error("a device was lent"); return nil }
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):           "there is no TPM",
		"unix:" + filepath.Join(dir, "none"): "switch it on in the machine's firmware",
		file:                                 "it is no character device",
		"unix:" + file:                       "it is no socket",
	} {
		if err := device(t, path).Use(ctx, "try", nothing); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	e := &Error{Device: "/dev/tpmrm0", Why: ErrPermission, Group: "tss"}
	if !errors.Is(e, ErrPermission) || !strings.Contains(e.Error(), "usermod -aG tss") {
		t.Error(e)
	}
}

func TestSelections(t *testing.T) {
	for _, text := range []string{"sha256:", "sha1:0", "0,2", "sha256:24", "sha256:00", "sha256:1,1", "sha256:1,", "sha256:-1", "sha256: 1"} {
		if _, err := ParseSelection(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for text, want := range map[string]string{"": DefaultSelection, "sha256:7,0,23": "sha256:0,7,23"} {
		if s, err := ParseSelection(text); err != nil || s.String() != want {
			t.Errorf("%q is %v, %v", text, s, err)
		}
	}
}

// One emulator serves what follows; its parts run one after the other.
func TestWithTPM(t *testing.T) {
	e := swtpm.Start(t)
	d := device(t, e.Path())
	t.Run("counter", func(t *testing.T) { counters(t, e, d) })
	t.Run("PCRs", func(t *testing.T) {
		e.Extend(t, 16, strings.Repeat("01", 32))
		s, err := ParseSelection("sha256:0,1,2,3,4,5,6,7,8,16")
		if err != nil {
			t.Fatal(err)
		}
		var values [][32]byte
		if err := d.Use(ctx, "read", func(c *Conn) (err error) { values, err = c.ReadPCRs(s); return err }); err != nil {
			t.Fatal(err)
		}
		if len(values) != 10 || values[8] != [32]byte{} || values[9] == [32]byte{} {
			t.Errorf("PCRs %x", values)
		}
	})
	t.Run("bus", func(t *testing.T) { secretOnBus(t, d) })
	t.Run("nothing is left", func(t *testing.T) {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: 0x80000000, PropertyCount: 8}.Execute(e.Open(t))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := r.CapabilityData.Data.Handles(); err != nil || len(h.Handle) != 0 {
			t.Errorf("handles %v, %v", h, err)
		}
	})
	t.Run("one user at a time", func(t *testing.T) { waiting(t, d) })
	t.Run("an owner's password", func(t *testing.T) { ownersPassword(t, e, d) })
}

func counters(t *testing.T, e *swtpm.TPM, d *Device) {
	a, b := NewCounter(d, make(ed25519.PublicKey, 32)), NewCounter(d, bytes.Repeat([]byte{1}, 32))
	read := func(c *Counter, made bool, value uint64) (machine [32]byte) {
		t.Helper()
		r, err := c.Read(ctx)
		if err != nil || r.Made != made || r.Value != value {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.Machine
	}
	raise := func(c *Counter) uint64 {
		t.Helper()
		v, err := c.Raise(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	machine := read(a, false, 0)
	first := raise(a)
	if second := raise(a); second != first+1 {
		t.Errorf("%d after %d", second, first)
	}
	read(b, false, 0)
	other := raise(b)
	read(a, true, first+1)
	read(b, true, other)
	e.End() // the power fails: what was counted stays
	e.Begin(t)
	if again := read(a, true, first+1); again != machine {
		t.Error("the TPM has another name after a restart")
	}
	// Removed and made again it does not begin anew.
	var at index
	if err := d.Use(ctx, "find", func(c *Conn) (err error) { at, err = a.find(c); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := (tpm2.NVUndefineSpace{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, NVIndex: tpm2.NamedHandle{Handle: at.handle, Name: at.name}}).Execute(e.Open(t)); err != nil {
		t.Fatal(err)
	}
	read(a, false, 0)
	if v := raise(a); v <= first+1 {
		t.Errorf("made again, it counts from %d, not above %d", v, first+1)
	}
	// What somebody else put at our place is passed by, and left alone.
	c := NewCounter(d, bytes.Repeat([]byte{2}, 32))
	pub := c.public(0)
	if err := d.Use(ctx, "find", func(conn *Conn) (err error) { at, err = c.find(conn); return err }); err != nil {
		t.Fatal(err)
	}
	pub.NVIndex, pub.AuthPolicy = at.handle, tpm2.TPM2BDigest{}
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, PublicInfo: tpm2.New2B(pub)}).Execute(e.Open(t)); err != nil {
		t.Fatal(err)
	}
	v := raise(c)
	read(c, true, v)
	p, err := tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute(e.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.NVPublic.Contents(); err != nil || got.Attributes.Written {
		t.Errorf("another's index was raised: %+v, %v", got, err)
	}
}

// tapped keeps all that passes.
type tapped struct {
	channel
	seen *[][]byte
}

func (c tapped) exchange(ctx context.Context, command []byte, limit time.Duration) ([]byte, error) {
	answer, err := c.channel.exchange(ctx, command, limit)
	*c.seen = append(*c.seen, slices.Clone(command), slices.Clone(answer))
	return answer, err
}

// Who listens between this process and the TPM does not read what is sealed, nor what comes out; a plain session would show it.
func secretOnBus(t *testing.T, d *Device) {
	planted := []byte("planted secret of thirty-two by.")
	seal := func(session func(*Root) tpm2.Session) (seen [][]byte) {
		err := d.Use(ctx, "seal", func(c *Conn) error {
			c.ch = tapped{c.ch, &seen}
			root, err := c.Root()
			if err != nil {
				return err
			}
			_, err = tpm2.Create{
				ParentHandle: tpm2.AuthHandle{Handle: root.Handle, Name: root.Name, Auth: session(root)},
				InSensitive:  tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: planted})}},
				InPublic: tpm2.New2B(tpm2.TPMTPublic{
					Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true},
				}),
			}.Execute(c)
			return errors.Join(err, c.Release(root))
		})
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	shows := func(seen [][]byte) bool {
		return slices.ContainsFunc(seen, func(b []byte) bool { return bytes.Contains(b, planted) })
	}
	if !shows(seal(func(*Root) tpm2.Session { return tpm2.PasswordAuth(nil) })) {
		t.Error("a plain session does not show the secret: this test sees nothing")
	}
	if shows(seal(func(r *Root) tpm2.Session { return r.Session(nil, InOut) })) {
		t.Error("the secret passes in the clear")
	}
}

// With a password on the owner's hierarchy a root that somebody stored serves, if it is of the TCG's form; a counter cannot be made, and both say so.
func ownersPassword(t *testing.T, e *swtpm.TPM, d *Device) {
	plain := e.Open(t)
	srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(plain)
	if err != nil {
		t.Fatal(err)
	}
	change := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("owner")}}
	if _, err := change.Execute(plain); err != nil {
		t.Fatal(err)
	}
	root := func() (name []byte, err error) {
		err = d.Use(ctx, "root", func(c *Conn) error {
			r, err := c.Root()
			if err != nil {
				return err
			}
			name = r.Name.Buffer
			return c.Release(r)
		})
		return name, err
	}
	if _, err := root(); !errors.Is(err, ErrHierarchy) || !strings.Contains(err.Error(), "0x81000001") {
		t.Errorf("without a stored root: %v", err)
	}
	store := func(object tpm2.NamedHandle) {
		t.Helper()
		_, err := tpm2.EvictControl{Auth: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth([]byte("owner"))}, ObjectHandle: &object, PersistentHandle: persistentRoot}.Execute(plain)
		if err != nil {
			t.Fatal(err)
		}
	}
	store(tpm2.NamedHandle{Handle: srk.ObjectHandle, Name: srk.Name})
	if name, err := root(); err != nil || !bytes.Equal(name, srk.Name.Buffer) {
		t.Errorf("with a stored root: %x, %v", name, err)
	}
	c := NewCounter(d, bytes.Repeat([]byte{9}, 32))
	if _, err := c.Raise(ctx); !errors.Is(err, ErrHierarchy) || !strings.Contains(err.Error(), "tpm.counter") {
		t.Errorf("a counter: %v", err)
	}
	store(tpm2.NamedHandle{Handle: persistentRoot, Name: srk.Name}) // takes it out
	rsa, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth([]byte("owner"))}, InPublic: tpm2.New2B(tpm2.RSASRKTemplate)}.Execute(plain)
	if err != nil {
		t.Fatal(err)
	}
	store(tpm2.NamedHandle{Handle: rsa.ObjectHandle, Name: rsa.Name})
	if _, err := root(); !errors.Is(err, ErrHierarchy) || !strings.Contains(err.Error(), "of another form") {
		t.Errorf("with a root of another form: %v", err)
	}
}

func waiting(t *testing.T, d *Device) {
	err := d.Use(ctx, "first", func(*Conn) error {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if err := d.Use(short, "second", func(*Conn) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second user: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// scripted answers each command with the next answer.
type scripted struct{ answers [][]byte }

func (s *scripted) exchange(context.Context, []byte, time.Duration) ([]byte, error) {
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return a, nil
}

func (*scripted) close() error { return nil }

func code(rc tpm2.TPMRC) []byte {
	return []byte{0x80, 0x01, 0, 0, 0, 10, byte(rc >> 24), byte(rc >> 16), byte(rc >> 8), byte(rc)}
}

func TestAnswers(t *testing.T) {
	d := device(t, "")
	send := func(answers ...[]byte) error {
		c := &Conn{ctx, d, &scripted{answers}}
		return c.explain(c.Flush(0x80000000))
	}
	if err := send(code(tpm2.TPMRCRetry), code(tpm2.TPMRCYielded), code(tpm2.TPMRCNVRate), code(0)); err != nil {
		t.Errorf("busy for a while: %v", err)
	}
	for name, c := range map[string]struct {
		answer []byte
		want   string
	}{
		"hierarchy":  {code(tpm2.TPMRCHierarchy), "switched off, or has a password"},
		"disabled":   {code(tpm2.TPMRCDisabled), "switched off, or has a password"},
		"full":       {code(tpm2.TPMRCObjectMemory), "has no room"},
		"broken":     {code(tpm2.TPMRCFailure), "is broken"},
		"no startup": {code(tpm2.TPMRCInitialize), "was not started"},
		"short":      {[]byte{0x80, 1}, "are no answer"},
		"lies":       {append(code(0), 0), "are no answer"},
	} {
		if err := send(c.answer); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var locked *LockedError
	if err := send(code(tpm2.TPMRCLockout)); !errors.As(err, &locked) || locked.Every != 24*time.Hour {
		t.Errorf("lockout: %v", err)
	}
}

// A TPM that does not answer is given up: over a socket and over a device.
func TestSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := device(t, "unix:"+path)
	d.limit = 20 * time.Millisecond
	if err := d.Use(ctx, "ask", func(c *Conn) error { return c.Flush(0x80000000) }); !errors.Is(err, errSlow) {
		t.Errorf("a silent socket: %v", err)
	}
	d.limit = time.Hour
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := d.Use(short, "ask", func(c *Conn) error { return c.Flush(0x80000000) }); !errors.Is(err, errSlow) {
		t.Errorf("a silent socket, and the caller leaves: %v", err)
	}
}
