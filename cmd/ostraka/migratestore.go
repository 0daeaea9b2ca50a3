package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/store"
)

type migrateDocument struct {
	Dir     string `json:"dir"`
	Store   string `json:"store"` // bolt or etcd
	Records int64  `json:"records"`
}

func (a *app) migrateStoreCommand() *cobra.Command {
	var to string
	var e node.EtcdSettings
	c := &cobra.Command{
		Use: "migrate-store", Short: "Move the stopped node's store into a cluster of etcd, or back into the data folder", Args: none,
		Long: "Copies every record into a store that is empty, reads both through and compares them record by record, and then changes \"store\" in\n" +
			"node.json. The old store stays, marked so that no node runs over it: two stores of one node in use would be a clone. Stop the node\n" +
			"first, all its replicas included. If it is interrupted, run it again.",
		Example: "  ostraka node migrate-store --to etcd --endpoints https://store-a.example:2379,https://store-b.example:2379,https://store-c.example:2379 \\\n" +
			"    --replica acme-1 --reach-link acme-1.example:7700 --reach-people acme-1.example:7701 \\\n" +
			"    --ca certs/ca.crt --cert certs/replica-acme-1.crt --key certs/replica-acme-1.key\n  ostraka node migrate-store --to bolt",
		RunE: func(c *cobra.Command, _ []string) error { return a.migrateStore(c, to, e) },
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "etcd, or bolt for the data folder (required)")
	f.StringSliceVar(&e.Endpoints, "endpoints", nil, "URLs at which the members of the cluster answer (with --to etcd)")
	f.StringVar(&e.Name, "name", "", "the node's store in the cluster (default: the operator's name and the beginning of the node's identity)")
	f.StringVar(&e.Replica, "replica", "", "this replica's name (default: the machine's)")
	f.StringVar(&e.Link, "reach-link", "", "host:port at which the other replicas reach its link (default: where it listens)")
	f.StringVar(&e.People, "reach-people", "", "host:port at which the other replicas reach its people's interface (default: where it listens)")
	f.StringVar(&e.CA, "ca", "", "certificate of the members' authority, in PEM")
	f.StringVar(&e.Cert, "cert", "", "this replica's certificate")
	f.StringVar(&e.Key, "key", "", "its private key")
	f.StringVar(&e.TTL, "ttl", "", "time after which a silent owner is followed by another replica (default: 3s)")
	return c
}

func (a *app) migrateStore(c *cobra.Command, to string, e node.EtcdSettings) error {
	s, err := node.ReadSettings(a.dir)
	if err != nil {
		return err
	}
	var next *node.StoreSettings
	switch to {
	case "bolt":
	case "etcd":
		if len(e.Endpoints) == 0 {
			return usage("give --endpoints: the URLs of the cluster's members")
		}
		if e.Name == "" {
			if e.Name, err = node.StoreName(a.dir, s); err != nil {
				return err
			}
		}
		for _, file := range []*string{&e.CA, &e.Cert, &e.Key} { // people name files from where they are, settings from the data folder
			if *file != "" {
				if *file, err = filepath.Abs(*file); err != nil {
					return err
				}
			}
		}
		next = &node.StoreSettings{Etcd: &e}
	default:
		return usage("--to: %q is not etcd or bolt", to)
	}
	n, err := node.MigrateStore(c.Context(), a.dir, next, a.migrating)
	if errors.Is(err, node.ErrOthersStore) {
		return fail(codeError, err, "give --name: this node's store needs a name of its own in the cluster. If that replica is this node's own, stop it first")
	}
	if errors.Is(err, store.ErrLocked) {
		return fail(codeError, err, "stop the node and all its replicas first: `ostraka node stop --dir "+a.dir+"`")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fail(codeNotReady, fmt.Errorf("move the store: %w", err), "check --endpoints and the certificates, and that more than half of the members run: `ostraka-store status`")
	}
	if err != nil {
		return fmt.Errorf("move the store: %w", err)
	}
	return a.show(migrateDocument{a.dir, to, n}, func(w io.Writer) {
		fmt.Fprintf(w, "Moved: %d records, each compared. The old store stays, marked.\n\nNext: `ostraka node run --dir %s`.\n", n, a.dir)
	})
}

// migrating tells how far it has come, now and then.
func (a *app) migrating(m node.Migration) {
	if m.Records%(10*store.MaxLimit) < store.MaxWrites {
		fmt.Fprintf(a.err, "%s: %d records\n", map[string]string{"copy": "copied", "compare": "compared"}[m.Stage], m.Records)
	}
}
