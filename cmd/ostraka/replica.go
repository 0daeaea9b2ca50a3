package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/node"
)

type replicasDocument struct {
	Shared   bool                  `json:"shared"`
	Self     string                `json:"self,omitempty"`
	Owner    string                `json:"owner,omitempty"`
	Token    uint64                `json:"token,omitempty"`
	Replicas []replicaDocument     `json:"replicas"`
	Members  []storeMemberDocument `json:"members"`
	Tenures  []tenureDocument      `json:"tenures"`
}

type replicaDocument struct {
	Name    string `json:"name"`
	Owner   bool   `json:"owner"`
	Link    string `json:"link"`
	People  string `json:"people"`
	Version string `json:"version"`
	Since   string `json:"since"`
	Behind  uint64 `json:"behind"`
	Told    string `json:"told"`
}

type storeMemberDocument struct {
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint"`
	Leader   bool     `json:"leader"`
	Error    string   `json:"error,omitempty"`
	Version  string   `json:"version,omitempty"`
	Size     uint64   `json:"size"`
	Used     uint64   `json:"used"`
	Quota    uint64   `json:"quota"`
	Behind   uint64   `json:"behind"`
	Alarms   []string `json:"alarms"`
}

type tenureDocument struct {
	Replica string `json:"replica"`
	Began   string `json:"began"`
	Before  string `json:"before"` // how the one before ended: first, resigned, expired
}

func (a *app) nodeReplicasCommand() *cobra.Command {
	return &cobra.Command{
		Use: "replicas", Short: "Show which replica owns the node, who stands by, and the store that they share", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			doc, err := a.replicas(ctx)
			if err != nil {
				return err
			}
			return a.show(doc, doc.write)
		},
	}
}

// replicas asks the replica in the folder, whether it owns the node or stands by.
func (a *app) replicas(ctx context.Context) (replicasDocument, error) {
	res, err := client.Operator(a.dir).Replicas(ctx, connect.NewRequest(&v1.ReplicasRequest{}))
	if err != nil {
		return replicasDocument{}, a.operatorError(err)
	}
	return replicasOf(res.Msg), nil
}

func replicasOf(m *v1.ReplicasResponse) replicasDocument {
	doc := replicasDocument{Shared: m.Shared, Self: m.Self, Owner: m.Owner, Token: m.Token, Replicas: []replicaDocument{}, Members: []storeMemberDocument{}, Tenures: []tenureDocument{}}
	for _, r := range m.Replicas {
		doc.Replicas = append(doc.Replicas, replicaDocument{r.Name, r.Name == m.Owner, r.Link, r.People, r.Version, r.Since, r.Behind, r.Told})
	}
	for _, s := range m.Members {
		doc.Members = append(doc.Members, storeMemberDocument{s.Name, s.Endpoint, s.Leader, s.Error, s.Version, s.Size, s.Used, s.Quota, s.Behind, list(s.Alarms)})
	}
	for _, t := range m.Tenures {
		doc.Tenures = append(doc.Tenures, tenureDocument{t.Replica, t.Began, t.Before})
	}
	return doc
}

func (d replicasDocument) write(w io.Writer) {
	if !d.Shared {
		fmt.Fprintln(w, "This node is one process with a store of its own.")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tREPLICA\tBEHIND\tSINCE\tLAST HEARD OF\tLINK\tPEOPLE")
	for _, r := range d.Replicas {
		role, behind := "stands by", fmt.Sprint(r.Behind)
		if r.Owner {
			role, behind = "owner", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", role, oneLine(r.Name), behind, oneLine(r.Since), oneLine(r.Told), oneLine(r.Link), oneLine(r.People))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%-10s %-16s %-8s %s\n", "", "MEMBER", "BEHIND", "SIZE, QUOTA, ADDRESS")
	for _, m := range d.Members {
		role := ""
		if m.Leader {
			role = "leader"
		}
		fmt.Fprintf(w, "%-10s %-16s %-8d %d of %d MiB, %s\n", role, m.Name, m.Behind, m.Size>>20, m.Quota>>20, m.Endpoint)
		for _, wrong := range append(m.Alarms, m.Error) {
			if wrong != "" {
				fmt.Fprintf(w, "%-10s %s\n", "", plainText(wrong))
			}
		}
	}
	if len(d.Tenures) > 0 {
		last := d.Tenures[0]
		fmt.Fprintf(w, "\nThe last change of owner: %s at %s (%s).\n", last.Replica, last.Began, cameAbout(last.Before))
	}
}

// cameAbout says how a tenure came about.
func cameAbout(why string) string {
	switch why {
	case "resigned":
		return "the one before it gave the node up"
	case "expired":
		return "the one before it was heard of no more"
	}
	return "the first"
}

func (a *app) nodeHandOverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "hand-over", Short: "Give the node to a replica that stands by, without a failed signature", Args: none,
		Long: "Gives the node to a replica that stands by: before this machine is updated, for instance. The owner begins nothing more, waits until no session\n" +
			"runs, and falls silent; another replica goes on within a second or two. This one then stands by.",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			if _, err := client.Operator(a.dir).HandOver(ctx, connect.NewRequest(&v1.HandOverRequest{})); err != nil {
				if strings.Contains(err.Error(), node.ErrAlone.Error()) {
					return fail(codeNotReady, err, "start another replica: `ostraka node run` in its folder, which `ostraka node add-replica` makes; `ostraka node replicas` shows who is there")
				}
				return a.operatorError(err)
			}
			doc, err := a.nextOwner(ctx)
			if err != nil {
				return err
			}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "Replica %s owns the node now; this one, %s, stands by.\n", doc.Owner, doc.Self)
			})
		},
	}
}

// nextOwner waits until another replica owns the node. The socket is closed for a moment meanwhile.
func (a *app) nextOwner(ctx context.Context) (doc replicasDocument, err error) {
	for {
		if doc, err = a.replicas(ctx); err == nil && doc.Owner != "" && doc.Owner != doc.Self {
			return doc, nil
		}
		select {
		case <-ctx.Done():
			return doc, notReady("`ostraka node replicas --dir "+a.dir+"` shows who is there", "this replica handed over, and no other took the node yet")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (a *app) nodeAddReplicaCommand() *cobra.Command {
	var n node.NewReplica
	c := &cobra.Command{
		Use: "add-replica FOLDER", Short: "Make the data folder of another replica of this node", Args: cobra.ExactArgs(1),
		Example: "  ostraka node add-replica /mnt/stick/b --name b --link 0.0.0.0:7700 --people 0.0.0.0:7701 --reach-link b.acme.example:7700 --reach-people b.acme.example:7701 \\\n" +
			"    --store-cert certs/replica-b.crt --store-key certs/replica-b.key",
		Long: "Makes the data folder of another replica of this node, to be carried to another machine and run there with `ostraka node run`. It opens with the same\n" +
			"passphrase (or other key providers) as this one; what is bound to this machine, such as a TPM, does not open there.\n" +
			"`ostraka node rekey` gives it providers of its own. Nothing of the node lies open in it; the key of --store-cert, which is copied into it, does.",
		RunE: func(c *cobra.Command, args []string) error {
			if n.Name == "" {
				return usage("give --name: the new replica's own name, such as the machine's")
			}
			if err := node.AddReplica(a.dir, args[0], n); err != nil {
				return err
			}
			doc := struct {
				Dir    string `json:"dir"`
				Name   string `json:"name"`
				Link   string `json:"link"`
				People string `json:"people"`
			}{args[0], n.Name, n.Link, n.People}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "Folder of replica %s made in %s. Carry it to its machine, then run `ostraka node run --dir FOLDER` there: it stands by.\n", doc.Name, doc.Dir)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&n.Name, "name", "", "the replica's name among the node's replicas (required)")
	f.StringVar(&n.Link, "link", "127.0.0.1:7700", "host:port to listen on for other nodes")
	f.StringVar(&n.People, "people", "127.0.0.1:7701", "host:port of the people's interface")
	f.StringVar(&n.Metrics, "metrics", "", "loopback host:port of /healthz and /metrics (default: off)")
	f.StringVar(&n.ReachLink, "reach-link", "", "host:port at which the other replicas reach its link (default: that of --link)")
	f.StringVar(&n.ReachPeople, "reach-people", "", "host:port at which the other replicas reach its people's interface (default: that of --people)")
	f.StringVar(&n.Cert, "store-cert", "", "its own certificate, which it shows the store's members; copied into the folder")
	f.StringVar(&n.Key, "store-key", "", "the key of that certificate; copied into the folder")
	return c
}

// checkReplicas is what doctor says of replicas and of the store that they share.
func checkReplicas(d replicasDocument) (out []checkDocument) {
	add := func(name, state, next, what string, args ...any) {
		out = append(out, checkDocument{Name: name, State: state, What: fmt.Sprintf(what, args...), Next: next})
	}
	if !d.Shared {
		return nil
	}
	standing := 0
	for _, r := range d.Replicas {
		if !r.Owner {
			standing++
			add("standby", "ok", "", "replica %s stands by, %d changes behind when it last told, at %s", r.Name, r.Behind, r.Told)
		}
	}
	switch {
	case d.Owner == "":
		add("owner", "fail", "wait a few seconds; if it stays so, look at the members below", "no replica owns the node: nothing is signed")
	case len(d.Tenures) > 0:
		add("owner", "ok", "", "replica %s, since %s (%s)", d.Owner, d.Tenures[0].Began, cameAbout(d.Tenures[0].Before))
	default:
		add("owner", "ok", "", "replica %s", d.Owner)
	}
	if standing == 0 {
		add("standby", "warn", "start another replica; `ostraka node add-replica` makes its folder", "no replica stands by: when this one dies, the node is away until it comes back")
	}
	return append(out, checkMembers(d.Members)...)
}

func checkMembers(all []storeMemberDocument) (out []checkDocument) {
	well, members := 0, 0
	for _, m := range all {
		name := cmp.Or(m.Name, m.Endpoint)
		wrong := strings.Join(append(m.Alarms, m.Error), "; ")
		// Of an endpoint that does not answer the cluster knows nothing, unless one of its members is reached there.
		if m.Name == "" && m.Endpoint != "" && m.Error != "" {
			out = append(out, checkDocument{"store endpoint", "warn", fmt.Sprintf("no member answers at %s: %s", m.Endpoint, m.Error),
				"if a member was replaced, put the new one's address into node.json (store, etcd, endpoints) of every replica, and restart them one after another"})
			continue
		}
		members++
		switch {
		case strings.Trim(wrong, "; ") != "":
			out = append(out, checkDocument{"store member", "warn", fmt.Sprintf("%s: %s", name, strings.Trim(wrong, "; ")), "bring it back, or replace it: `ostraka-store member --help`; if it has another address now, put that into node.json (store, etcd, endpoints) of every replica"})
		case m.Quota > 0 && m.Used > m.Quota/10*8:
			well++
			out = append(out, checkDocument{"store member", "warn", fmt.Sprintf("%s: %d of %d MiB are in use", name, m.Used>>20, m.Quota>>20), "give the members a higher quota before it is full: then nothing but refusals, freezes and vetoes is written"})
		default:
			well++
			out = append(out, checkDocument{"store member", "ok", fmt.Sprintf("%s: %d entries behind", name, m.Behind), ""})
		}
	}
	if members > 0 && well <= members/2 {
		out = append(out, checkDocument{"store", "fail", fmt.Sprintf("%d of %d members are well: no majority, so nothing can be written", well, members), "bring members back until more than half are there"})
	}
	return out
}
