package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/pkg/v3/featuregate"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/features"
)

const (
	defaultQuota    = 4 << 10 // MiB
	leastQuota      = 16
	mostQuota       = 64 << 10
	corruptionCheck = 6 * time.Hour
	begunAfter      = 5 * time.Second  // what a log holds is known
	toldAfter       = 15 * time.Second // that a member waits for others
)

// member is what `run` is told.
type member struct {
	dir, name, cluster, join   string
	client, peer, advertise    string
	health                     string
	ca, cert, key, peerName    string
	revoked                    string // file
	heartbeat, election, since time.Duration
	quota                      int64
	level                      string
}

type runDocument struct {
	Name   string `json:"name"`
	Client string `json:"client"`
	Peer   string `json:"peer"`
	Dir    string `json:"dir"`
}

func (a *app) runCommand() *cobra.Command {
	var m member
	c := &cobra.Command{
		Use: "run", Short: "Run a member until it is stopped", Args: exactly(),
		Long: "The first start of a cluster wants all its members: each is given the same --cluster. A member that comes later is first added with\n" +
			"`ostraka-store member add`, then started with --join. Every write is on the disks of more than half of the members before it counts.",
		Example: "  ostraka-store run --dir /var/lib/ostraka-store --name a --cluster a=https://store-a.example:2380,b=https://store-b.example:2380,c=https://store-c.example:2380 \\\n" +
			"    --listen-peer https://0.0.0.0:2380 --listen-client https://0.0.0.0:2379 --advertise-client https://store-a.example:2379 \\\n" +
			"    --ca ca.crt --cert member-a.crt --key member-a.key",
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := m.config()
			if err != nil {
				return err
			}
			return a.serve(c.Context(), conf)
		},
	}
	f := c.Flags()
	f.StringVar(&m.dir, "dir", "", "folder for the member's data (required)")
	f.StringVar(&m.name, "name", "", "the member's name in --cluster (required)")
	f.StringVar(&m.cluster, "cluster", "", "all members, as name=https://host:port at which the others reach them, with commas between them (required)")
	f.BoolFunc("join", "the member was added to a cluster that runs", func(string) error { m.join = "existing"; return nil })
	f.StringVar(&m.client, "listen-client", "", "URL to listen on for replicas, with an IP address: https://0.0.0.0:2379 (required)")
	f.StringVar(&m.advertise, "advertise-client", "", "URL at which replicas reach it, as https://store-a.example:2379 (default: that of --listen-client)")
	f.StringVar(&m.peer, "listen-peer", "", "URL to listen on for other members, with an IP address: https://0.0.0.0:2380 (required)")
	f.StringVar(&m.health, "health", "http://127.0.0.1:0", "loopback URL of /health and /metrics; port 0: one that the system picks, for nobody")
	f.StringVar(&m.ca, "ca", "", "certificate of the authority, in PEM (required with https)")
	f.StringVar(&m.cert, "cert", "", "the member's certificate (required with https)")
	f.StringVar(&m.key, "key", "", "its private key, mode 0600 (required with https)")
	f.StringVar(&m.revoked, "revoked", "", "list of certificates that were taken back (`ostraka-store certs --revoke` makes it); read anew for each connection")
	f.StringVar(&m.peerName, "peer-cn", memberName, "common name that other members' certificates must have")
	f.DurationVar(&m.heartbeat, "heartbeat", 100*time.Millisecond, "how often the leader is heard of: about the longest round trip between members")
	f.DurationVar(&m.election, "election", time.Second, "after how long without it a new one is chosen: ten heartbeats or more")
	f.DurationVar(&m.since, "history", 10*time.Minute, "for how long replaced records can still be read: as long as an export takes")
	f.Int64Var(&m.quota, "quota", defaultQuota, "MiB that the member's file may have; when it is near, the node refuses new work")
	f.StringVar(&m.level, "log-level", "warn", "debug, info, warn or error, to stderr")
	return c
}

// config is etcd's, checked. Every write is synced before it counts: that is not to be had otherwise here.
func (m member) config() (*embed.Config, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = m.name, m.dir, m.cluster
	c.InitialClusterToken, c.ClusterState = "ostraka-store", embed.ClusterStateFlagNew
	if m.join != "" {
		c.ClusterState = embed.ClusterStateFlagExisting
	}
	var err error
	if c.ListenClientUrls, err = m.bind("listen-client", m.client, "--advertise-client"); err != nil {
		return nil, err
	}
	// With a port of its own for HTTP, etcd serves replicas through gRPC's own transport, not through net/http's: a third faster here.
	health, err := address("health", m.health)
	if err != nil {
		return nil, err
	}
	if health.Scheme != "http" || !loopback(health) {
		return nil, usage("--health: %q is not http on this machine's loopback", m.health)
	}
	c.ListenClientHttpUrls = []url.URL{health}
	if c.ListenPeerUrls, err = m.bind("listen-peer", m.peer, "--cluster"); err != nil {
		return nil, err
	}
	if c.AdvertiseClientUrls, err = m.listen("advertise-client", m.advertised()); err != nil {
		return nil, err
	}
	if ip := net.ParseIP(c.AdvertiseClientUrls[0].Hostname()); ip != nil && ip.IsUnspecified() {
		return nil, usage("give --advertise-client: nobody reaches the member at %s", m.advertised())
	}
	own, err := m.own()
	if err != nil {
		return nil, err
	}
	if c.AdvertisePeerUrls, err = m.listen("cluster", own.String()); err != nil {
		return nil, err
	}
	if m.ca != "" {
		c.ClientTLSInfo = transport.TLSInfo{CertFile: m.cert, KeyFile: m.key, TrustedCAFile: m.ca, ClientCertAuth: true, CRLFile: m.revoked}
		c.PeerTLSInfo = c.ClientTLSInfo
		c.PeerTLSInfo.AllowedCNs = []string{m.peerName}
		c.PeerTLSInfo.SkipClientSANVerify = true // who has the authority's certificate with that name is a member, from whatever address it dials
		c.TlsMinVersion = "TLS1.3"
	}
	c.TickMs, c.ElectionMs = uint(m.heartbeat.Milliseconds()), uint(m.election.Milliseconds())
	c.PreVote, c.StrictReconfigCheck = true, true
	c.QuotaBackendBytes = m.quota << 20
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, m.since.String()
	c.CorruptCheckTime = corruptionCheck
	gates := c.ServerFeatureGate.(featuregate.MutableFeatureGate)
	for _, check := range []featuregate.Feature{features.InitialCorruptCheck, features.CompactHashCheck} {
		if err := gates.Set(string(check) + "=true"); err != nil {
			return nil, err
		}
	}
	c.EnableGRPCGateway = false
	lg, err := logger(os.Stderr, m.level, func() {
		fmt.Fprintf(os.Stderr, "ostraka-store: member %q: the folder in which %s lies could not be synced: its disk fails, and nothing was kept there\n  next: exchange the disk, or name another --dir; remove what lies in the folder\n", m.name, m.dir)
		os.Exit(codeError)
	})
	if err != nil {
		return nil, usage("--log-level: %w", err)
	}
	c.LogLevel, c.ZapLoggerBuilder = m.level, embed.NewZapLoggerBuilder(lg)
	if err := c.Validate(); err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}

func (m member) advertised() string {
	if m.advertise != "" {
		return m.advertise
	}
	return m.client
}

func (m member) check() error {
	for flag, value := range map[string]string{"dir": m.dir, "name": m.name, "cluster": m.cluster, "listen-client": m.client, "listen-peer": m.peer} {
		if value == "" {
			return usage("give --%s", flag)
		}
	}
	switch {
	case !label.MatchString(m.name):
		return usage("--name: %q: give 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first", m.name)
	case m.heartbeat < 10*time.Millisecond || m.heartbeat > 5*time.Second:
		return usage("--heartbeat: %v: give 10ms to 5s", m.heartbeat)
	case m.election < 5*m.heartbeat || m.election > 50*time.Second:
		return usage("--election: %v: give five heartbeats (%v) to 50s", m.election, 5*m.heartbeat)
	case m.since < time.Minute:
		return usage("--history: %v: give 1m or more", m.since)
	case m.quota < leastQuota || m.quota > mostQuota:
		return usage("--quota: %d MiB: give %d to %d", m.quota, leastQuota, mostQuota)
	case !slices.Contains([]string{"debug", "info", "warn", "error"}, m.level):
		return usage("--log-level: %q is not debug, info, warn or error", m.level)
	}
	return m.files()
}

// files are named all or none, and the key is this user's alone.
func (m member) files() error {
	named := map[string]string{"ca": m.ca, "cert": m.cert, "key": m.key}
	given := 0
	for _, file := range named {
		if file != "" {
			given++
		}
	}
	if given != 0 && given != len(named) {
		return usage("give all of --ca, --cert and --key, or none of them")
	}
	if given == 0 {
		if m.revoked != "" {
			return usage("--revoked wants --ca, --cert and --key")
		}
		return nil
	}
	for _, flag := range slices.Sorted(maps.Keys(named)) {
		if _, err := os.Stat(named[flag]); err != nil {
			return usage("--%s: %w", flag, err)
		}
	}
	if err := private(m.key); err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	if m.revoked != "" {
		ca, err := readCertificate(m.ca)
		if err == nil {
			_, err = readRevoked(m.revoked, ca)
		}
		if err != nil {
			return usage("--revoked: %w", err)
		}
	}
	return nil
}

// listen reads one URL. Plain http is for this machine alone: whoever reaches a member without a certificate can set the store back.
func (m member) listen(flag, text string) ([]url.URL, error) {
	u, err := address(flag, text)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "http" && !loopback(u):
		return nil, usage("--%s: %q is plain http to other machines: use https, with the files of `ostraka-store certs`", flag, text)
	case u.Scheme == "https" && m.ca == "":
		return nil, usage("--%s: https wants --ca, --cert and --key; `ostraka-store certs` makes them", flag)
	case u.Scheme == "http" && m.ca != "":
		return nil, usage("--%s: certificates are given, and %q is plain http", flag, text)
	}
	return []url.URL{u}, nil
}

// bind is listen for a port of this machine's. It has many names, and listens at addresses.
func (m member) bind(flag, text, named string) ([]url.URL, error) {
	urls, err := m.listen(flag, text)
	if err == nil && net.ParseIP(urls[0].Hostname()) == nil && urls[0].Hostname() != "localhost" {
		return nil, usage("--%s: %q: give an address to listen on, such as %s://0.0.0.0:%s; the name stands in %s", flag, text, urls[0].Scheme, urls[0].Port(), named)
	}
	return urls, err
}

func loopback(u url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func address(flag, text string) (url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" {
		return url.URL{}, usage("--%s: %q is not https://host:port", flag, text)
	}
	return *u, nil
}

// own is this member's URL in --cluster.
func (m member) own() (url.URL, error) {
	for _, part := range strings.Split(m.cluster, ",") {
		name, at, ok := strings.Cut(part, "=")
		if !ok {
			return url.URL{}, usage("--cluster: %q is not name=https://host:port", part)
		}
		if name == m.name {
			return address("cluster", at)
		}
	}
	return url.URL{}, usage("--cluster: it has no member %q, which is --name", m.name)
}

// serve runs the member until the context ends.
func (a *app) serve(ctx context.Context, conf *embed.Config) error {
	if err := os.MkdirAll(conf.Dir, 0o700); err != nil {
		return err
	}
	if err := private(conf.Dir); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(conf.Dir, "member"))
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		fmt.Fprintf(a.err, "ostraka-store: the folder is new: member %q waits for more than half of --cluster\n", conf.Name)
	}
	e, err := embed.StartEtcd(conf)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fail(codeError, err, "stop what uses the port: perhaps this member runs already")
		}
		err = fmt.Errorf("start member %q from %s: %w", conf.Name, conf.Dir, err)
		if fresh {
			return err
		}
		return fail(codeError, err, "if its flags are as they were, its folder is damaged: keep it, and put a new member in its place (`ostraka-store member remove`, `member add`, then `run --join` in an empty folder)")
	}
	ready := false
	defer func() {
		if ready { // else etcd would wait until it is; what a member has promised is synced
			e.Close() // hands the leadership over first
		}
	}()
	// A log that ends before the entry which names the members makes a follower of nobody. What it had committed before is known at once.
	begun, waits := time.NewTimer(begunAfter), time.NewTimer(toldAfter)
	defer begun.Stop()
	defer waits.Stop()
	for !ready {
		select {
		case <-e.Server.ReadyNotify():
			ready = true
		case <-begun.C:
			if !fresh && !strings.Contains(conf.InitialCluster, ",") && e.Server.CommittedIndex() == 0 {
				return refused("remove the folder and start it again: no record was ever written to it", "member %q: its first start ended before it was done: its log in %s names no member, and it would wait for ever", conf.Name, conf.Dir)
			}
		case <-waits.C:
			fmt.Fprintf(a.err, "ostraka-store: member %q waits: it needs more than half of --cluster to run, and to reach each other at their --listen-peer; one whose first start ended before it was done does not count\n", conf.Name)
		case err := <-e.Err():
			return fmt.Errorf("member %q: %w", conf.Name, err)
		case <-ctx.Done():
			return nil
		}
	}
	d := runDocument{conf.Name, conf.AdvertiseClientUrls[0].String(), conf.AdvertisePeerUrls[0].String(), conf.Dir}
	err = a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Member %s is ready: replicas reach it at %s, members at %s.\n", d.Name, d.Client, d.Peer)
	})
	if err != nil {
		return err
	}
	select {
	case err := <-e.Err():
		return fmt.Errorf("member %q: %w", conf.Name, err)
	case <-e.Server.StopNotify():
		return refused("it was removed from the cluster, or another program stopped it", "member %q has stopped", conf.Name)
	case <-ctx.Done():
		return nil
	}
}
