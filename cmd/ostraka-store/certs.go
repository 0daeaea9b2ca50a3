package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Common names of certificates. Members take one another by theirs alone: a replica's certificate opens no member's door for members.
const (
	memberName  = "ostraka-store-member"
	replicaName = "ostraka-store-replica"
)

const (
	caLife   = 20 * 365 * 24 * time.Hour
	leafLife = 5 * 365 * 24 * time.Hour
)

var label = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

type certsDocument struct {
	Dir     string   `json:"dir"`
	Files   []string `json:"files"`
	Expires string   `json:"expires"`
}

func (a *app) certsCommand() *cobra.Command {
	var dir string
	var members, replicas, revoke []string
	c := &cobra.Command{
		Use: "certs", Short: "Make the certificates of members and replicas", Args: exactly(),
		Long: "Makes an authority of its own (ca.crt, ca.key) unless the folder holds one, and with it a certificate and a key for each member and replica\n" +
			"named. Run it again with other names when one is added; what is there is not touched. Keep ca.key off the machines that run: whoever has\n" +
			"it can make a replica's certificate, and with that read and write the store.\n\n" +
			"--revoke takes certificates back: it adds them to revoked.crl, which every member is given (`run --revoked`).",
		Example: "  ostraka-store certs --dir certs --members a=store-a.example,b=store-b.example,c=store-c.example --replicas acme-1,acme-2\n" +
			"  ostraka-store certs --dir certs --revoke replica-acme-2",
		RunE: func(*cobra.Command, []string) error {
			if len(revoke) > 0 {
				if len(members)+len(replicas) > 0 {
					return usage("give --revoke alone")
				}
				return a.revoke(dir, revoke)
			}
			return a.certs(dir, members, replicas)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "certs", "folder for the files")
	f.StringSliceVar(&members, "members", nil, "members as name=host, where host is a name or an address at which the others and the replicas reach it; name=host+host for several")
	f.StringSliceVar(&replicas, "replicas", nil, "names of replicas")
	f.StringSliceVar(&revoke, "revoke", nil, "certificates to take back, by their files' names: replica-acme-2")
	return c
}

func (a *app) certs(dir string, members, replicas []string) error {
	if len(members)+len(replicas) == 0 {
		return usage("give --members, --replicas or both, or --revoke")
	}
	now := time.Now()
	leaves, err := leavesOf(members, replicas)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name := range leaves {
		if _, err := os.Lstat(filepath.Join(dir, name+".crt")); err == nil {
			return refused("leave its name out, or remove the file if it is to be made anew", "%s holds a certificate of %s already", dir, name)
		}
	}
	ca, key, made, err := authority(dir, now)
	if err != nil {
		return err
	}
	files := made
	for name, t := range leaves {
		pair, err := sign(dir, name, t, ca, key, now)
		if err != nil {
			return err
		}
		files = append(files, pair...)
	}
	slices.Sort(files)
	d := certsDocument{dir, files, now.Add(leafLife).UTC().Format(time.DateOnly)}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Made in %s: %s.\nThey end on %s.\n\nNext: each machine gets ca.crt and its own two files; ca.key stays where you keep backups' keys.\n", dir, strings.Join(files, ", "), d.Expires)
	})
}

// leavesOf are the certificates to be made, by the name of their files.
func leavesOf(members, replicas []string) (map[string]*x509.Certificate, error) {
	leaves := map[string]*x509.Certificate{}
	add := func(flag, name, cn string) (*x509.Certificate, error) {
		if !label.MatchString(name) {
			return nil, usage("--%s: %q: give names of a-z, 0-9, dot, dash and underscore, a letter or digit first", flag, name)
		}
		file := strings.TrimSuffix(flag, "s") + "-" + name
		if leaves[file] != nil {
			return nil, usage("--%s: %q stands twice", flag, name)
		}
		leaves[file] = &x509.Certificate{Subject: pkix.Name{CommonName: cn, OrganizationalUnit: []string{name}}}
		return leaves[file], nil
	}
	for _, m := range members {
		name, hosts, ok := strings.Cut(m, "=")
		if !ok || hosts == "" {
			return nil, usage("--members: %q is not name=host", m)
		}
		t, err := add("members", name, memberName)
		if err != nil {
			return nil, err
		}
		for _, h := range strings.Split(hosts, "+") {
			if ip := net.ParseIP(h); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else {
				t.DNSNames = append(t.DNSNames, h)
			}
		}
		// Members dial each other, and `status` may be asked on a member's own machine with its certificate.
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, r := range replicas {
		t, err := add("replicas", r, replicaName)
		if err != nil {
			return nil, err
		}
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return leaves, nil
}

// authority reads the folder's, or makes one.
func authority(dir string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, []string, error) {
	crt, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if raw, err := os.ReadFile(crt); err == nil {
		ca, key, err := readAuthority(raw, keyFile)
		return ca, key, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	t := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "ostraka-store authority"},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
	}
	if t.SerialNumber, err = serial(); err != nil {
		return nil, nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := writePair(dir, "ca", der, key); err != nil {
		return nil, nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, []string{"ca.crt", "ca.key"}, err
}

func readAuthority(raw []byte, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, nil, fmt.Errorf("ca.crt holds no certificate in PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("ca.crt: %w", err)
	}
	secret, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, fail(codeError, fmt.Errorf("the folder has an authority, and its key cannot be read: %w", err), "bring ca.key back from where it is kept, for as long as this takes")
	}
	if block, _ = pem.Decode(secret); block == nil {
		return nil, nil, fmt.Errorf("%s holds no key in PEM", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(ca.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of ca.crt", keyFile)
	}
	return ca, key, nil
}

func sign(dir, name string, t, ca *x509.Certificate, key *ecdsa.PrivateKey, now time.Time) ([]string, error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if t.SerialNumber, err = serial(); err != nil {
		return nil, err
	}
	t.KeyUsage, t.NotBefore, t.NotAfter = x509.KeyUsageDigitalSignature, now.Add(-time.Hour), now.Add(leafLife)
	der, err := x509.CreateCertificate(rand.Reader, t, ca, own.Public(), key)
	if err != nil {
		return nil, err
	}
	return []string{name + ".crt", name + ".key"}, writePair(dir, name, der, own)
}

func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) }

// writePair writes the key first: a certificate that is there has its key.
func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// private refuses a file or folder that others may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &fs.PathError{Op: "use", Path: path, Err: fmt.Errorf("it has mode %04o: other users may use it; run chmod go= on it", info.Mode().Perm())}
	}
	return nil
}
