// Package swtpm starts a private TPM 2.0 emulator for a test: swtpm, a Debian package, behind a socket in a folder of its own.
package swtpm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// A TPM is a running emulator.
type TPM struct {
	Dir string // its state: another TPM begins with another folder

	socket string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
}

// startLimit is how long it may take until it listens.
const startLimit = 30 * time.Second

// Start starts a new TPM, and stops it when the test ends. A missing program fails the test.
func Start(t testing.TB) *TPM {
	t.Helper()
	s := fresh(t)
	s.Begin(t)
	return s
}

func fresh(t testing.TB) *TPM {
	t.Helper()
	short, err := os.MkdirTemp("", "tpm") // the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &TPM{Dir: t.TempDir(), socket: filepath.Join(short, "s")}
	t.Cleanup(func() {
		s.End()
		_ = os.RemoveAll(short)
	})
	return s
}

// StartCertified starts a TPM whose maker, a certificate authority made for it, gave its endorsement key (RSA) a certificate. Its roots are the
// certificates in PEM.
func StartCertified(t testing.TB) (s *TPM, roots []byte) {
	t.Helper()
	s = fresh(t)
	ca := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(ca, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatalf("make a TPM with a certificate: %v", err)
		}
		return path
	}
	local := write("localca.conf", fmt.Sprintf("statedir = %[1]s\nsigningkey = %[1]s/signkey.pem\nissuercert = %[1]s/issuercert.pem\ncertserial = %[1]s/certserial\n", ca))
	options := write("options.conf", "--platform-manufacturer Ostraka\n--platform-version 1\n--platform-model tests\n")
	setup := write("setup.conf", fmt.Sprintf("create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = %s\nactive_pcr_banks = sha256\n", local, options))
	cmd := exec.Command("swtpm_setup", "--tpm2", "--tpmstate", s.Dir, "--create-ek-cert", "--config", setup)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("swtpm_setup (Debian package swtpm-tools): %v\n%s", err, out)
	}
	for _, name := range []string{"swtpm-localca-rootca-cert.pem", "issuercert.pem"} {
		b, err := os.ReadFile(filepath.Join(ca, name))
		if err != nil {
			t.Fatalf("make a TPM with a certificate: %v", err)
		}
		roots = append(roots, b...)
	}
	s.Begin(t)
	return s, roots
}

// Begin starts the emulator over its state, as a machine that is switched on: its PCRs are zero.
func (s *TPM) Begin(t testing.TB) {
	t.Helper()
	_ = os.Remove(s.socket) // of the last time, if it was switched off
	s.stderr = &bytes.Buffer{}
	// With disconnect, each command has a connection of its own, so that several processes have their turn.
	s.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.Dir, "--server", "type=unixio,path="+s.socket+",disconnect", "--flags", "not-need-init,startup-clear")
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start swtpm (a Debian package): %v", err)
	}
	for end := time.Now().Add(startLimit); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("start swtpm: it does not listen after %s: %v %s", startLimit, err, s.stderr)
		}
	}
}

// End switches the emulator off, as a cut of the power does. Twice is no error.
func (s *TPM) End() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // it may have ended by itself
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Path is the device as a node's settings name it.
func (s *TPM) Path() string { return "unix:" + s.socket }

// Open is a second, plain way to the TPM, for what a test does to it behind the node's back.
func (s *TPM) Open(t testing.TB) transport.TPM {
	t.Helper()
	c, err := linuxudstpm.Open(s.socket)
	if err != nil {
		t.Fatalf("open swtpm: %v", err)
	}
	return c
}

// Extend extends a PCR, as a changed boot would.
func (s *TPM) Extend(t testing.TB, pcr int, digest string) {
	t.Helper()
	d, err := hex.DecodeString(digest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: d}}},
	}.Execute(s.Open(t))
	if err != nil {
		t.Fatalf("extend PCR %d: %v", pcr, err)
	}
}
