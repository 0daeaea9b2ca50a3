package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/node/store/etcd"
)

type memberDocument struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint,omitempty"`
	Problem  string   `json:"problem,omitempty"`
	Version  string   `json:"version,omitempty"`
	Leader   bool     `json:"leader"`
	Size     int64    `json:"size"`
	InUse    int64    `json:"used"`
	Quota    int64    `json:"quota"`
	Index    uint64   `json:"index"`
	Lag      uint64   `json:"behind"`
	Alarms   []string `json:"alarms"`
}

type statusDocument struct {
	Members []memberDocument `json:"members"`
	Quorum  bool             `json:"quorum"` // more than half answer and know a leader
}

func (a *app) statusCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "status", Short: "Show each member: whether it answers, its leader, size, quota, lag and alarms", Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c)
			defer cancel()
			if err := a.endpoints(); err != nil {
				return err
			}
			cluster, err := etcd.Connect(ctx, a.cluster)
			if err != nil {
				return fail(codeNotReady, err, "start more members: more than half must run and reach each other")
			}
			defer cluster.Close()
			all, err := cluster.Members(ctx)
			if err != nil {
				return err
			}
			return a.showStatus(all)
		},
	})
}

func (a *app) showStatus(all []etcd.Member) error {
	var d statusDocument
	well, members, alarms := 0, 0, 0
	for _, m := range all {
		if m.ID != 0 { // else an endpoint at which nobody answers: the cluster's members are elsewhere
			members++
		}
		if m.Problem == "" {
			well++
		}
		alarms += len(m.Alarms)
		d.Members = append(d.Members, memberDocument{
			fmt.Sprintf("%x", m.ID), m.Name, m.Endpoint, m.Problem, m.Version, m.Leader, m.Size, m.InUse, m.Quota, m.Index, m.Lag, append([]string{}, m.Alarms...),
		})
	}
	d.Quorum = 2*well > members
	err := a.show(d, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "member\tendpoint\trole\tin use\tfile\tquota\tbehind\tproblem")
		for _, m := range d.Members {
			role := "follower"
			switch {
			case m.Leader:
				role = "leader"
			case m.Problem != "":
				role = "-"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d MiB\t%d MiB\t%d MiB\t%d\t%s\n", cli.OneLine(m.Name), m.Endpoint, role, m.InUse>>20, m.Size>>20, m.Quota>>20, m.Lag,
				cli.OneLine(strings.Join(append(m.Alarms, m.Problem), " ")))
		}
		_ = t.Flush()
	})
	if err == nil && alarms > 0 {
		return refused("nospace: `ostraka-store defrag`; corrupt: replace that member (docs/operator.md)", "the cluster has %d alarms", alarms)
	}
	switch {
	case err == nil && well < members:
		return notReady("start it, or replace it: `ostraka-store member --help`; name its endpoint, if --endpoints has it not", "%d of %d members are not well", members-well, members)
	case err == nil && well < len(all):
		return notReady("leave the endpoint out, if its member is there no more", "nobody answers at %d of --endpoints; all %d members are well", len(all)-well, members)
	}
	return err
}

func (a *app) memberCommand() *cobra.Command {
	c := &cobra.Command{Use: "member", Short: "Who belongs to the cluster"}
	c.AddCommand(a.memberListCommand(), a.memberAddCommand(), a.memberRemoveCommand())
	return c
}

type listDocument struct {
	Members []listedDocument `json:"members"`
}

type listedDocument struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"` // empty: it was added, and has not started yet
	Peers   []string `json:"peers"`
	Clients []string `json:"clients"`
}

func listOf(all []*pb.Member) (d listDocument) {
	for _, m := range all {
		d.Members = append(d.Members, listedDocument{fmt.Sprintf("%x", m.ID), m.Name, m.PeerURLs, append([]string{}, m.ClientURLs...)})
	}
	slices.SortFunc(d.Members, func(a, b listedDocument) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return d
}

func (d listDocument) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "member\tid\tmembers reach it at\treplicas reach it at")
	for _, m := range d.Members {
		name := m.Name
		if name == "" {
			name = "(not started)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", cli.OneLine(name), m.ID, cli.OneLine(strings.Join(m.Peers, " ")), cli.OneLine(strings.Join(m.Clients, " ")))
	}
	_ = t.Flush()
}

func (a *app) memberListCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "list", Short: "List the members", Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c, func(ctx context.Context, cl *clientv3.Client) error {
				r, err := cl.MemberList(ctx)
				if err != nil {
					return notReached("list the members", err)
				}
				d := listOf(r.Members)
				return a.show(d, d.print)
			})
		},
	})
}

func (a *app) memberAddCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "add NAME PEER-URL", Short: "Add a member; then start it with --join", Args: exactly("NAME", "PEER-URL"),
		Long: "Adds a member that is not there yet: from then on one more must answer for a majority. Start it at once. Remove a lost member first.",
		RunE: func(c *cobra.Command, args []string) error {
			if !label.MatchString(args[0]) {
				return usage("NAME: %q: give 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first", args[0])
			}
			return a.withClient(c, func(ctx context.Context, cl *clientv3.Client) error {
				r, err := addMember(ctx, cl, args[1])
				if err != nil {
					return notReached("add a member", err)
				}
				d := listOf(r.Members)
				all := []string{args[0] + "=" + args[1]}
				for _, m := range d.Members {
					if m.Name != "" {
						all = append(all, m.Name+"="+m.Peers[0])
					}
				}
				slices.Sort(all)
				return a.show(d, func(w io.Writer) {
					fmt.Fprintf(w, "Added. Start it now: ostraka-store run --join --name %s --cluster %s …\n", args[0], cli.OneLine(strings.Join(all, ",")))
				})
			})
		},
	})
}

// addMember waits, within its time, until the members have been connected for the five seconds after which etcd calls them sound.
func addMember(ctx context.Context, cl *clientv3.Client, peer string) (*clientv3.MemberAddResponse, error) {
	for {
		r, err := cl.MemberAdd(ctx, []string{peer})
		if !errors.Is(err, rpctypes.ErrUnhealthy) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (a *app) memberRemoveCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "remove NAME", Short: "Remove a member for good, by its name or id", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withClient(c, func(ctx context.Context, cl *clientv3.Client) error {
				r, err := cl.MemberList(ctx)
				if err != nil {
					return notReached("list the members", err)
				}
				var ids []uint64
				for _, m := range r.Members {
					if m.Name == args[0] || fmt.Sprintf("%x", m.ID) == args[0] {
						ids = append(ids, m.ID)
					}
				}
				if len(ids) != 1 {
					return usage("NAME: %d members are called %q; `ostraka-store member list` shows them", len(ids), args[0])
				}
				left, err := cl.MemberRemove(ctx, ids[0])
				if err != nil {
					return notReached("remove a member", err)
				}
				d := listOf(left.Members)
				return a.show(d, func(w io.Writer) {
					fmt.Fprintln(w, "Removed. Its folder is of no use any more: erase it. These are left:")
					d.print(w)
				})
			})
		},
	})
}

func (a *app) withClient(c *cobra.Command, do func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := a.within(c)
	defer cancel()
	cl, err := a.dial()
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(ctx, cl)
}

type defragDocument struct {
	Members []defraggedDocument `json:"members"`
}

type defraggedDocument struct {
	Endpoint string `json:"endpoint"`
	Before   int64  `json:"before"`
	After    int64  `json:"after"`
}

func (a *app) defragCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "defrag", Short: "Give free space in the members' files back, one member after another", Args: exactly(),
		Long: "A member answers nothing while it writes its file anew: name all endpoints, so that the others serve meanwhile. Ends the alarm of a full\n" +
			"cluster when there is room again.",
		RunE: func(c *cobra.Command, _ []string) error { return a.defrag(c.Context()) },
	})
}

func (a *app) defrag(ctx context.Context) error {
	if err := a.endpoints(); err != nil {
		return err
	}
	var d defragDocument
	full := false
	for _, endpoint := range a.cluster.Endpoints {
		one, err := a.defragOne(ctx, endpoint, &full)
		if err != nil {
			return err
		}
		d.Members = append(d.Members, one)
	}
	cl, err := a.dial()
	if err != nil {
		return err
	}
	defer cl.Close()
	if !full {
		if _, err := cl.AlarmDisarm(ctx, &clientv3.AlarmMember{Alarm: pb.AlarmType_NOSPACE}); err != nil && !errors.Is(err, context.Canceled) {
			return notReached("end the alarm", err)
		}
	}
	err = a.show(d, func(w io.Writer) {
		for _, m := range d.Members {
			fmt.Fprintf(w, "%s: %d MiB before, %d MiB now\n", m.Endpoint, m.Before>>20, m.After>>20)
		}
	})
	if err == nil && full {
		return refused("start the members with a higher --quota, then run this again", "a member is still within a tenth of its quota: the alarm, if there is one, stays")
	}
	return err
}

func (a *app) defragOne(ctx context.Context, endpoint string, full *bool) (d defraggedDocument, err error) {
	cl, err := a.dial(endpoint)
	if err != nil {
		return d, err
	}
	defer cl.Close()
	short, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	before, err := cl.Status(short, endpoint)
	if err != nil {
		return d, notReached("ask "+endpoint, err)
	}
	if _, err := cl.Defragment(ctx, endpoint); err != nil {
		return d, notReached("defragment "+endpoint, err)
	}
	after, err := cl.Status(ctx, endpoint)
	if err != nil {
		return d, notReached("ask "+endpoint, err)
	}
	*full = *full || after.DbSize > after.DbSizeQuota-after.DbSizeQuota/10
	return defraggedDocument{endpoint, before.DbSize, after.DbSize}, nil
}

func (a *app) snapshotCommand() *cobra.Command {
	c := &cobra.Command{Use: "snapshot", Short: "Copies of the whole cluster, for the day when more than half of it is lost"}
	c.AddCommand(a.snapshotSaveCommand(), a.snapshotRestoreCommand())
	return c
}

type snapshotDocument struct {
	File    string `json:"file"`
	Size    int64  `json:"size"`
	Keys    int    `json:"keys"`
	Version string `json:"version,omitempty"`
}

func (a *app) snapshotSaveCommand() *cobra.Command {
	return a.clusterFlags(&cobra.Command{
		Use: "save FILE", Short: "Write what the cluster holds now into a new file", Args: exactly("FILE"),
		Long: "What replaces a node's lost store is its export (`ostraka backup`): a restored copy of the cluster is older than what the node has signed, and\n" +
			"the node fences itself over it.",
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return refused("name a new file", "%s is there already", args[0])
			}
			if err := a.endpoints(); err != nil {
				return err
			}
			conf, err := a.cluster.TLS()
			if err != nil {
				return err
			}
			m := snapshot.NewV3(zap.NewNop())
			version, err := m.Save(c.Context(), clientv3.Config{Endpoints: a.cluster.Endpoints[:1], TLS: conf, Logger: zap.NewNop(), DialTimeout: a.timeout}, args[0])
			if err != nil {
				return notReached("save the cluster", err)
			}
			st, err := m.Status(args[0])
			if err != nil {
				return fmt.Errorf("read %s again: %w", args[0], err)
			}
			d := snapshotDocument{args[0], st.TotalSize, st.TotalKey, version}
			return a.show(d, func(w io.Writer) { fmt.Fprintf(w, "Written: %s, %d MiB, %d keys.\n", d.File, d.Size>>20, d.Keys) })
		},
	})
}

func (a *app) snapshotRestoreCommand() *cobra.Command {
	var m member
	c := &cobra.Command{
		Use: "restore FILE", Short: "Make a member's new folder from such a file", Args: exactly("FILE"),
		Long: "Run it for each member of the new cluster, with the same file and --cluster, then start them with `ostraka-store run`. No member of the old\n" +
			"cluster may run again. The node's replicas must be stopped meanwhile; the node finds out that its store is older, and says so.",
		RunE: func(_ *cobra.Command, args []string) error {
			own, err := m.own()
			switch {
			case m.dir == "":
				return usage("give --dir: a folder that is not there yet")
			case err != nil:
				return err
			}
			if _, err := os.Lstat(m.dir); err == nil {
				return refused("name a new folder", "%s is there already", m.dir)
			}
			if err := os.MkdirAll(filepath.Dir(m.dir), 0o700); err != nil {
				return err
			}
			// Revisions go on far above all that were given: what a replica remembers of the old cluster, its fencing token first, holds nowhere.
			err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
				SnapshotPath: args[0], Name: m.name, OutputDataDir: m.dir, PeerURLs: []string{own.String()}, InitialCluster: m.cluster,
				InitialClusterToken: "ostraka-store", RevisionBump: 1_000_000_000, MarkCompacted: true,
			})
			if err != nil && strings.Contains(err.Error(), "skip-hash-check") { // etcd's own words name a flag of its program
				err = errors.New("it does not end in its hash")
			}
			if err != nil {
				return fail(codeError, fmt.Errorf("restore %s: it is no whole copy that `ostraka-store snapshot save` wrote: %w", args[0], err), "take another copy, and compare its hash with that of the file when it was written")
			}
			if err := os.Chmod(m.dir, 0o700); err != nil {
				return err
			}
			d := snapshotDocument{File: args[0]}
			return a.show(d, func(w io.Writer) {
				fmt.Fprintf(w, "Member %s is made in %s. Next: the other members, then `ostraka-store run` with the same --cluster.\n", m.name, m.dir)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&m.dir, "dir", "", "new folder for the member's data (required)")
	f.StringVar(&m.name, "name", "", "the member's name in --cluster (required)")
	f.StringVar(&m.cluster, "cluster", "", "all members of the new cluster, as in `run` (required)")
	return c
}
