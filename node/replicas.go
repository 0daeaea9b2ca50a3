package node

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/replica"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// A Replica is this process as one of several of its node, whether it owns the node or stands by (spec/replicas).
type Replica struct {
	Info    etcd.Info
	Quit    context.CancelFunc // ends the process gracefully
	cluster *etcd.Cluster
}

// Replicas are who of them there is, and how the store is that they share.
type Replicas struct {
	Owner    string // empty: nobody owns the node at this moment
	Token    uint64
	Replicas []etcd.Replica
	Members  []etcd.Member
	Tenures  []etcd.Change // the latest first
}

// A ServeStandby serves a replica's socket while it stands by, and returns how to stop. The api room gives it.
type ServeStandby func(r *Replica, socket net.Listener) (stop func(context.Context) error)

// WithServeStandby gives what a replica that stands by answers its operator.
func WithServeStandby(s ServeStandby) Option { return func(o *options) { o.standby = s } }

// Show asks the store.
func (r *Replica) Show(ctx context.Context) (x Replicas, err error) {
	owner, token, _, err := r.cluster.Owner(ctx)
	if err != nil {
		return x, err
	}
	x = Replicas{Token: token}
	if x.Replicas, err = r.cluster.Replicas(ctx); err != nil {
		return x, err
	}
	if !r.before(owner, x.Replicas) {
		x.Owner = owner.Name
	}
	if x.Members, err = r.cluster.Members(ctx); err != nil {
		return x, err
	}
	if x.Tenures, err = r.cluster.Tenures(ctx); err != nil {
		return x, err
	}
	slices.Reverse(x.Tenures)
	return x, nil
}

// before says that the process which owns the node is gone, as far as is known: one of its name began after it, and stands by until its lease is over. Nobody works meanwhile.
func (r *Replica) before(owner etcd.Info, all []etcd.Replica) bool {
	return owner.Name == r.Info.Name && !owner.Since.Equal(r.Info.Since) ||
		slices.ContainsFunc(all, func(o etcd.Replica) bool { return o.Name == owner.Name && owner.Since.Before(o.Since) })
}

// ErrAlone says that nobody stands by.
var ErrAlone = errors.New("no other replica stands by")

// StandsBy is what a replica that stands by answers to whoever wants the node: who the owner is.
func (r *Replica) StandsBy(ctx context.Context) error {
	owner, _, ok, err := r.cluster.Owner(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("this replica (%s) stands by, and the store that the replicas share does not say who owns the node: %w", r.Info.Name, err)
	case !ok:
		return fmt.Errorf("this replica (%s) stands by, and no replica owns the node at this moment: try again in a few seconds", r.Info.Name)
	case r.before(owner, nil):
		return fmt.Errorf("this replica (%s) was started anew and stands by until the lease of the process before it is over: try again in a few seconds", r.Info.Name)
	}
	return fmt.Errorf("this replica (%s) stands by: run this on the machine of replica %s, which owns the node, or have it hand over there first (`ostraka node hand-over`)", r.Info.Name, owner.Name)
}

// heardWithin is how lately a replica must have told of itself to be given the node.
const heardWithin = 30 * time.Second

// standsBy says whether another replica could take over.
func (r *Replica) standsBy(ctx context.Context, now time.Time) error {
	all, err := r.cluster.Replicas(ctx)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Name != r.Info.Name && now.Sub(o.SeenAt) < heardWithin {
			return nil
		}
	}
	return fmt.Errorf("%w: start one with `ostraka node run` in its folder (`ostraka node add-replica` makes one)", ErrAlone)
}

// errSupervised refuses what a supervisor started: the ports of a customer would pass connections on to another machine, and who has the certificate of a cluster
// writes every store in it.
var errSupervised = errors.New("this node's store is in a cluster, and a provider's supervisor started it: run it with `ostraka node run` on a machine of its operator's own, and take it out with `ostraka provider remove`")

// replicate stands by until this replica owns the node, works until it does not, and stands by again, until ctx ends.
func replicate(ctx context.Context, dir string, u *unlocked, log *slog.Logger, o options) error {
	if o.given != nil {
		return errSupervised
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	settings := u.settings
	cluster, err := openShared(ctx, dir, settings, log)
	if err != nil {
		return err
	}
	defer cluster.Close()
	at, err := openPorts(settings, dir, nil)
	if err != nil {
		return err
	}
	defer at.close()
	me, err := signPlace(u.identity, settings.me())
	if err != nil {
		return err
	}
	r := &Replica{Quit: quit, cluster: cluster, Info: me}
	d := newDoors(at, log)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer d.close()
	defer quit()
	wg.Go(func() { d.follow(cluster.Watch(ctx), r.Info.Name, u.own.Identity) })
	wg.Go(func() { u.learn(ctx, dir, cluster.View(), log) })
	failed := make(chan error, 1)
	wg.Go(func() {
		if err := cluster.Announce(ctx, r.Info); err != nil && ctx.Err() == nil {
			failed <- err
			quit()
		}
	})
	for err == nil && ctx.Err() == nil {
		err = r.tenure(ctx, dir, u, d, log, o)
	}
	select {
	case failed := <-failed:
		return failed
	default:
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// resignWithin bounds giving the node up: by about then the lease has run out by itself.
const resignWithin = 3 * time.Second

// tenure waits for the node, and works until the tenure is over. Nil: stand by again.
func (r *Replica) tenure(ctx context.Context, dir string, u *unlocked, d *doors, log *slog.Logger, o options) error {
	stop := func(context.Context) error { return nil }
	if o.standby != nil {
		stop = o.standby(r, d.socket.Inside())
	}
	if d.metrics != nil {
		m := serveMetrics(d.metrics.Inside(), r.metrics())
		defer m.Close() // Inside of the tenure took the port from it before
	}
	if o.ready != nil {
		o.ready(d.addresses())
	}
	log.Info("this replica stands by", "replica", r.Info.Name)
	hold, err := own(ctx, dir, u.settings, r.cluster, r.Info)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	stopped := stop(last)
	if cancel(); err != nil {
		return errors.Join(err, stopped)
	}
	log.Info("this replica owns the node", "replica", r.Info.Name, "token", hold.Token())
	t := newTenure(r, hold)
	err = work(ctx, dir, u, hold.Store(), d.inside(), t, log, o)
	over := errors.Is(err, errHanded) || errors.Is(err, errOver) || t.over(err) // what comes now ends the tenure too: that is no reason to go on
	leave, left := context.WithTimeout(context.WithoutCancel(ctx), resignWithin)
	defer left()
	if resigned := hold.Resign(leave); err == nil && ctx.Err() != nil {
		return errors.Join(resigned, hold.Store().Close())
	}
	if !over {
		return err
	}
	log.Info("this replica's tenure is over", "replica", r.Info.Name, "why", err)
	if errors.Is(err, errHanded) {
		r.yield(ctx)
	}
	return nil
}

// yieldFor is how long a replica that handed over leaves the node to the others.
const yieldFor = 5 * time.Second

// yield waits until another replica owns the node, or none takes it.
func (r *Replica) yield(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, yieldFor)
	defer cancel()
	for o := range r.cluster.Watch(ctx) {
		if o.Token != 0 && o.Name != r.Info.Name {
			return
		}
	}
}

// doors are a replica's ports, open as long as its process lives.
type doors struct {
	at                            *ports
	log                           *slog.Logger
	link, people, socket, metrics *replica.Door // metrics: nil if off
	tasks                         sync.WaitGroup
}

func newDoors(at *ports, log *slog.Logger) *doors {
	d := &doors{at: at, log: log, link: replica.NewDoor(at.link, log), people: replica.NewDoor(at.people, log), socket: replica.NewDoor(at.socket, log)}
	if at.metrics != nil {
		d.metrics = replica.NewDoor(at.metrics, log)
	}
	for _, one := range d.all() {
		d.tasks.Go(one.Run)
	}
	return d
}

func (d *doors) all() []*replica.Door {
	all := []*replica.Door{d.link, d.people, d.socket}
	if d.metrics != nil {
		all = append(all, d.metrics)
	}
	return all
}

// inside are the doors while this replica owns the node.
func (d *doors) inside() *ports {
	p := &ports{link: d.link.Inside(), people: d.people.Inside(), socket: d.socket.Inside()}
	if d.metrics != nil {
		p.metrics = d.metrics.Inside()
	}
	return p
}

// placeText is what the node's identity signs of where a replica is reached (spec/replicas 5.1).
func placeText(i etcd.Info) []byte {
	return transcript.New(transcript.ReplicaPlace).Bytes([]byte(i.Name)).Bytes([]byte(i.Link)).Bytes([]byte(i.People)).Tree()
}

// signPlace has the node's identity sign where this replica is reached.
func signPlace(identity crypto.Signer, i etcd.Info) (etcd.Info, error) {
	sig, err := eddsa.SignBy(identity, placeText(i))
	i.Proof = fmt.Sprintf("%x", sig)
	return i, err
}

func placed(identity ed25519.PublicKey, i etcd.Info) bool {
	proof, err := hex.DecodeString(i.Proof)
	return err == nil && ed25519.Verify(identity, placeText(i), proof)
}

// follow passes connections on to whoever owns the node. The operator's socket is passed to nobody: what it takes is this machine's alone. Who writes
// to the store, without the node's identity, could else reach whatever this machine reaches.
func (d *doors) follow(owners <-chan etcd.Ownership, self string, identity ed25519.PublicKey) {
	for o := range owners {
		if o.Token != 0 && o.Name != self && !placed(identity, o.Info) {
			d.log.Error("the store names an owner at addresses that this node's identity did not sign: nothing is passed on; who writes to the cluster?", "replica", o.Name, "link", o.Link, "people", o.People)
			o.Token = 0
		}
		if o.Token == 0 || o.Name == self {
			o.Info = etcd.Info{}
		}
		d.link.Pass(o.Link)
		d.people.Pass(o.People)
	}
}

func (d *doors) addresses() Addresses { return d.at.addresses() }

func (d *doors) close() {
	for _, one := range d.all() {
		one.Close()
	}
	d.tasks.Wait()
}
