package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"time"
)

// Defaults of Options.
const (
	DefaultTTL     = 3 * time.Second
	DefaultReserve = 64 << 20
	minTTL         = time.Second
	maxTTL         = time.Minute
)

// Options say which cluster, and which store in it.
type Options struct {
	Endpoints []string // URLs of members: https://host:port
	Name      string   // of the node's store in the cluster: all keys begin with ostraka/NAME/

	// Files in PEM: the authority that signed the members' certificates, and this replica's own certificate and key. They are read
	// again for each connection, so that a renewed certificate is used without a restart.
	CA, Cert, Key string

	Insecure bool          // plain http to members that are not on this machine
	TTL      time.Duration // of the owner's lease; 0: DefaultTTL. The cluster may grant a longer one
	Reserve  int64         // bytes of the quota kept for batches with Reserve; 0: DefaultReserve
	Log      *slog.Logger  // nil: none
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Check holds the options against their bounds; its errors name the field.
func (o Options) Check() error {
	if !nameForm.MatchString(o.Name) {
		return fmt.Errorf("store: name %q: give 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first", o.Name)
	}
	if o.TTL != 0 && (o.TTL < minTTL || o.TTL > maxTTL) {
		return fmt.Errorf("store: ttl %v: give %v to %v", o.TTL, minTTL, maxTTL)
	}
	if o.Reserve < 0 {
		return fmt.Errorf("store: reserve %d: give a number of bytes, or 0 for the default", o.Reserve)
	}
	if len(o.Endpoints) == 0 {
		return errors.New("store: endpoints: give the URL of each member, such as https://store-a.example:2379")
	}
	seen := map[string]bool{}
	for _, e := range o.Endpoints {
		if seen[e] {
			return fmt.Errorf("store: endpoints: %q stands twice", e)
		}
		seen[e] = true
		if err := o.checkEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Port() == "" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("store: endpoints: %q is not https://host:port", endpoint)
	}
	switch u.Scheme {
	case "https":
		for field, file := range map[string]string{"ca": o.CA, "cert": o.Cert, "key": o.Key} {
			if file == "" {
				return fmt.Errorf("store: %s: https members want a file; `ostraka-store certs` makes them all", field)
			}
		}
		return nil
	case "http":
		// Whoever can write to the cluster can set the node's records back.
		if ip := net.ParseIP(u.Hostname()); o.Insecure || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("store: endpoints: %q is plain http to another machine: use https, with the files of `ostraka-store certs`", endpoint)
	}
	return fmt.Errorf("store: endpoints: %q: the scheme is https", endpoint)
}

// TLS makes the client's side of the connections; nil if no files are named.
func (o Options) TLS() (*tls.Config, error) {
	if o.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("store: ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("store: ca: %s holds no certificate in PEM", o.CA)
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("store: cert and key: %w", err)
		}
		return &c, nil
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, GetClientCertificate: load, MinVersion: tls.VersionTLS13}, nil
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
