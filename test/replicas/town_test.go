package replicas

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// A town is a circle over its places: acme has the three members of its store in x, y and z, and a replica in x and in y; bolt and cora have a place each.
// Two of the three operators sign.
type town struct {
	*people
	places   []*place
	replicas []*replica // of acme
	programs []*program // replicas and members

	works int // the replica that answered last
}

var placeNames = []string{"x", "y", "z", "bolt", "cora"}

// The ports of a node, and of a member of a store, at whatever place.
const (
	linkPort, peoplePort   = "7700", "7701"
	clientPort, memberPort = "2379", "2380"
)

func (w *town) place(name string) *place {
	return w.places[slices.IndexFunc(w.places, func(p *place) bool { return p.name == name })]
}

// founded founds the circle, and moves acme into its cluster.
func founded(ctx context.Context, t *testing.T) *town {
	t.Helper()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &town{people: &people{}, places: settle(t, placeNames...)}
	cfg := local.Config{
		Suite: charter.SuiteECDSA, Tier: splitTier, Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
		Threshold: 2, Hosts: map[string]string{}, Through: map[string][]string{},
		// Whoever takes a node over shows that it lives, and peers take eight such words at once and then one in each quarter of this (spec/log 9.5).
		Amend: func(file string) string { return strings.Replace(file, "heartbeat: 3600", "heartbeat: 60", 1) },
	}
	for operator, at := range map[string]string{"acme": "x", "bolt": "bolt", "cora": "cora"} {
		cfg.Hosts[operator], cfg.Through[operator] = w.place(at).addr, w.place(at).through()
	}
	w.circle, err = local.Start(ctx, cfg)
	t.Cleanup(w.circle.Stop)
	for _, step := range []func(context.Context) error{w.circle.Found, w.circle.CreateVault, w.circle.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.tell(t) })
	w.house(t, dir)
	if _, _, err := owner(ctx, w.replicas); err != nil {
		t.Fatal(err)
	}
	w.open(ctx, t)
	return w
}

// house moves acme's node into a cluster of three places, with certificates, and runs a replica in two of them.
func (w *town) house(t *testing.T, dir string) {
	t.Helper()
	acme := w.circle.Operators[0]
	w.circle.Halt(acme)
	homes := w.places[:3]
	certs := func(name string) []string {
		at := filepath.Join(dir, "certs")
		return []string{"--ca", filepath.Join(at, "ca.crt"), "--cert", filepath.Join(at, name+".crt"), "--key", filepath.Join(at, name+".key")}
	}
	var hosts, cluster, endpoints []string
	for _, p := range homes {
		hosts = append(hosts, p.name+"="+p.addr)
		cluster = append(cluster, p.name+"=https://"+p.at(memberPort))
		endpoints = append(endpoints, "https://"+p.at(clientPort))
	}
	run(t, storeBinary, "certs", "--json", "--dir", filepath.Join(dir, "certs"), "--members", strings.Join(hosts, ","), "--replicas", "a,b")
	for i, p := range homes {
		w.run(t, &program{name: "member " + p.name, log: filepath.Join(dir, "member-"+p.name+".log"), args: slices.Concat(p.through(), []string{
			storeBinary, "run", "--dir", filepath.Join(dir, "member-"+p.name), "--name", p.name, "--cluster", strings.Join(cluster, ","),
			"--listen-client", endpoints[i], "--listen-peer", "https://" + p.at(memberPort),
		}, certs("member-"+p.name))})
	}
	run(t, binary, append([]string{
		"node", "migrate-store", "--json", "--dir", acme.Dir, "--to", "etcd", "--endpoints", strings.Join(endpoints, ","), "--name", "acme", "--replica", "a",
	}, certs("replica-a")...)...)
	second, b := acme.Dir+"-b", certs("replica-b")
	run(t, binary, "node", "add-replica", second, "--json", "--dir", acme.Dir, "--name", "b", "--link", homes[1].at(linkPort), "--people", homes[1].at(peoplePort),
		"--store-cert", b[3], "--store-key", b[5])
	for i, folder := range []string{acme.Dir, second} {
		r := &replica{dir: folder, program: program{name: "acme's replica in " + homes[i].name, log: folder + ".log", args: append(homes[i].through(),
			binary, "node", "run", "--dir", folder, "--passphrase-file", acme.Passphrase)}}
		w.run(t, &r.program)
		w.replicas = append(w.replicas, r)
	}
}

func (w *town) run(t *testing.T, p *program) {
	t.Helper()
	p.start(t)
	t.Cleanup(p.kill)
	w.programs = append(w.programs, p)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
}

// tell shows the ends of all logs if the test failed.
func (w *town) tell(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, p := range w.programs {
		t.Logf("%s:\n%s", p.name, p.tail())
	}
	for _, o := range w.circle.Operators[1:] {
		t.Logf("%s:\n%s", o.Name, (&program{log: o.Log}).tail())
	}
}

// gone names the programs that ended by themselves.
func (w *town) gone() (names []string) {
	for _, p := range w.programs {
		select {
		case <-p.done:
			names = append(names, p.name)
		default:
		}
	}
	return names
}

// A side is the places of one side of a split, and what can be there.
type side struct {
	places    []*place
	hears     bool          // what the other side sends, which does not hear this one
	operators []string      // whose nodes can work: acme's wants a replica, and most members of its store
	doors     []client.Node // one of each of these
	idle      []client.Node // of acme's replicas that stand here without most members,
	replicas  []*replica    // and these replicas
}

func (w *town) side(places []*place, hears bool) (s side) {
	s.places, s.hears = places, hears
	members := 0
	var doors []client.Node
	var replicas []*replica
	for _, p := range places {
		i := slices.Index(placeNames, p.name)
		switch {
		case i >= 3:
			s.operators = append(s.operators, p.name)
			s.doors = append(s.doors, w.door(p.name, p))
			continue
		case i < len(w.replicas):
			doors, replicas = append(doors, w.door("acme", p)), append(replicas, w.replicas[i])
		}
		members++
	}
	switch {
	case members < 2:
		s.idle, s.replicas = doors, replicas
	case len(doors) > 0:
		s.operators, s.doors = append(s.operators, "acme"), append(s.doors, doors[0])
	}
	return s
}

func (w *town) door(operator string, p *place) client.Node {
	return client.Node{Name: operator, Address: p.at(peoplePort), Identity: w.identity(operator)}
}

func (w *town) identity(operator string) ed25519.PublicKey { return w.named(operator).Identity }

func (w *town) named(operator string) *local.Operator {
	return w.circle.Operators[slices.IndexFunc(w.circle.Operators, func(o *local.Operator) bool { return o.Name == operator })]
}

// node is an operator's own interface, at its socket, which no split cuts: of acme the replica's that works.
func (w *town) node(ctx context.Context, operator string) (ostrakav1connect.OperatorClient, *v1.StatusResponse, error) {
	if operator != "acme" {
		c := w.named(operator).Client()
		res, err := c.Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		if err != nil {
			return nil, nil, fmt.Errorf("%s does not answer: %w", operator, err)
		}
		return c, res.Msg, nil
	}
	var errs error
	for range w.replicas {
		r := w.replicas[w.works]
		res, err := r.status(ctx)
		if err == nil {
			return client.Operator(r.dir), res, nil
		}
		errs = errors.Join(errs, fmt.Errorf("%s: %w", r.name, err))
		w.works = (w.works + 1) % len(w.replicas)
	}
	return nil, nil, errs
}

// status is the node's if this replica works. One that cannot tell is not waited for.
func (r *replica) status(ctx context.Context) (*v1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	res, err := client.Operator(r.dir).Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}
