package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/features"
)

func try(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCerts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	if code, out, errs := try("certs", "--dir", dir, "--members", "a=a.example+10.0.0.1,b=b.example", "--replicas", "r1"); code != codeDone || !strings.Contains(out, "member-a.key") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 8 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate(t, dir+"/ca.crt"))
	member, replica := certificate(t, dir+"/member-a.crt"), certificate(t, dir+"/replica-r1.crt")
	for _, host := range []string{"a.example", "10.0.0.1"} {
		if _, err := member.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("member a as %s: %v", host, err)
		}
	}
	if _, err := replica.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("a replica as a client: %v", err)
	}
	if _, err := replica.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a replica's certificate serves as a member's")
	}
	if member.Subject.CommonName != memberName || replica.Subject.CommonName == memberName {
		t.Errorf("common names %q and %q", member.Subject.CommonName, replica.Subject.CommonName)
	}
	old := certificate(t, dir+"/ca.crt").SerialNumber
	if code, _, errs := try("certs", "--dir", dir, "--replicas", "r2"); code != codeDone || certificate(t, dir+"/ca.crt").SerialNumber.Cmp(old) != 0 {
		t.Errorf("one more: %d %s", code, errs)
	}
	if _, err := certificate(t, dir+"/replica-r2.crt").Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("one more: %v", err)
	}
	if err := os.Remove(dir + "/ca.key"); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"holds a certificate of replica-r1 already": {"--replicas", "r1"}, "its key cannot be read": {"--replicas", "r3"},
		"give --members": nil, "is not name=host": {"--members", "a"}, "give names of": {"--members", "A=x"}, "stands twice": {"--replicas", "r4,r4"},
	} {
		if code, _, errs := try(append([]string{"certs", "--dir", dir}, args...)...); code == codeDone || !strings.Contains(errs, says) {
			t.Errorf("%q: %d %s, want %q", args, code, errs, says)
		}
	}
}

// sound is what `run` is told in order.
func sound(t *testing.T) member {
	dir := t.TempDir()
	if code, _, errs := try("certs", "--dir", dir, "--members", "a=127.0.0.1"); code != codeDone {
		t.Fatal(errs)
	}
	return member{
		dir: dir + "/data", name: "a", cluster: "a=https://127.0.0.1:2380,b=https://127.0.0.2:2380", client: "https://127.0.0.1:2379", peer: "https://127.0.0.1:2380",
		ca: dir + "/ca.crt", cert: dir + "/member-a.crt", key: dir + "/member-a.key", peerName: memberName, health: "http://127.0.0.1:0",
		heartbeat: 100 * time.Millisecond, election: time.Second, since: 10 * time.Minute, quota: defaultQuota, level: "warn",
	}
}

// What a member of ours is never without.
func TestMemberSettings(t *testing.T) {
	c, err := sound(t).config()
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"syncs": !c.UnsafeNoFsync, "votes in two steps": c.PreVote, "checks changes of members": c.StrictReconfigCheck,
		"asks replicas for certificates": c.ClientTLSInfo.ClientCertAuth && c.ClientTLSInfo.TrustedCAFile != "",
		"asks members for theirs":        c.PeerTLSInfo.ClientCertAuth && slices.Equal(c.PeerTLSInfo.AllowedCNs, []string{memberName}),
		"compares copies at its start":   c.ServerFeatureGate.Enabled(features.InitialCorruptCheck), "and after compaction": c.ServerFeatureGate.Enabled(features.CompactHashCheck),
		"and now and then": c.CorruptCheckTime == corruptionCheck, "has a quota": c.QuotaBackendBytes == defaultQuota<<20, "forgets": c.AutoCompactionRetention == "10m0s",
		"takes our largest batch": c.MaxTxnOps >= 122 && c.MaxRequestBytes >= 1.5*1024*1024, "has no second door": !c.EnableGRPCGateway && !c.EnablePprof,
		"TLS 1.3": c.TlsMinVersion == "TLS1.3",
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	good := sound(t)
	if err := os.WriteFile(good.dir+".open", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*member){
		"give --dir":                        func(m *member) { m.dir = "" },
		"give --name":                       func(m *member) { m.name = "" },
		`--name: "A"`:                       func(m *member) { m.name = "A" },
		"has no member":                     func(m *member) { m.name = "z" },
		"is not name=https":                 func(m *member) { m.cluster = "x" },
		"--heartbeat":                       func(m *member) { m.heartbeat = time.Millisecond },
		"--election":                        func(m *member) { m.election = 200 * time.Millisecond },
		"--history":                         func(m *member) { m.since = time.Second },
		"--quota":                           func(m *member) { m.quota = 1 },
		"--log-level":                       func(m *member) { m.level = "loud" },
		"give all of --ca":                  func(m *member) { m.key = "" },
		"--cert: stat":                      func(m *member) { m.cert = "none" },
		"other users may use it":            func(m *member) { m.key = good.dir + ".open" },
		"plain http to other machines":      func(m *member) { m.client = "http://10.0.0.1:2379" },
		"certificates are given":            func(m *member) { m.client = "http://127.0.0.1:2379" },
		"https wants --ca":                  func(m *member) { m.ca, m.cert, m.key = "", "", "" },
		"the name stands in --advertise":    func(m *member) { m.client = "https://store-a.example:2379" },
		"the name stands in --cluster":      func(m *member) { m.peer = "https://store-a.example:2380" },
		"give --advertise-client":           func(m *member) { m.client = "https://0.0.0.0:2379" },
		"--revoked: open":                   func(m *member) { m.revoked = "none" },
		"no list of this authority's":       func(m *member) { m.revoked = good.ca },
		"--revoked wants --ca":              func(m *member) { m.revoked, m.ca, m.cert, m.key = good.ca, "", "", "" },
		`--listen-peer: "127.0.0.1:2380"`:   func(m *member) { m.peer = "127.0.0.1:2380" },
		"is not http on this machine's":     func(m *member) { m.health = "http://10.0.0.1:1" },
		`--advertise-client: "x" is not ht`: func(m *member) { m.advertise = "x" },
	} {
		m := good
		change(&m)
		if _, err := m.config(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error with %q", err, says)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"member"}, codeUsage, "needs a command: add, list, remove"},
		{[]string{"status"}, codeUsage, "give --endpoints"},
		{[]string{"status", "--endpoints", "https://a.example:1"}, codeUsage, "want a file"},
		{[]string{"status", "--endpoints", "http://127.0.0.1:1", "--timeout", "300ms"}, codeNotReady, "no member of the cluster answers"},
		{[]string{"status", "--what"}, codeUsage, "unknown flag"},
		{[]string{"snapshot", "save"}, codeUsage, "this takes 1: FILE"},
		{[]string{"snapshot", "restore", "f", "--name", "a", "--cluster", "a=http://127.0.0.1:1"}, codeUsage, "give --dir"},
		{[]string{"member", "add", "A", "http://127.0.0.1:1", "--endpoints", "http://127.0.0.1:1"}, codeUsage, "NAME"},
		{[]string{"run"}, codeUsage, "give --"},
		{[]string{"snapshot", "--endpoints", "http://127.0.0.1:1"}, codeUsage, "needs a command: restore, save"},
		{[]string{"snapshot", "restore", "store_test.go", "--dir", filepath.Join(t.TempDir(), "new"), "--name", "a", "--cluster", "a=http://127.0.0.1:1"}, codeError, "no whole copy that `ostraka-store snapshot save` wrote: it does not end in its hash"},
	} {
		code, out, errs := try(append(c.args, "--json")...)
		if code != c.code || !strings.Contains(errs, c.says) || !strings.Contains(out, `"error"`) {
			t.Errorf("%q: %d %s%s, want %d and %q", c.args, code, out, errs, c.code, c.says)
		}
	}
}
