package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/node/store/etcd"
)

const (
	codeDone     = cli.Done
	codeError    = cli.Failed
	codeUsage    = cli.Misused
	codeNotReady = cli.IsNotReady
)

var usage, refused, notReady, fail, exactly = cli.Usage, cli.Refused, cli.NotReady, cli.Fail, cli.Exactly

// Variables that say where the members are, for who types more than one command.
const (
	endpointsVariable = "OSTRAKA_STORE_ENDPOINTS"
	caVariable        = "OSTRAKA_STORE_CA"
	certVariable      = "OSTRAKA_STORE_CERT"
	keyVariable       = "OSTRAKA_STORE_KEY" // names a file, as the others do
)

// app is one run of the program.
type app struct {
	json    bool
	timeout time.Duration
	out     io.Writer
	err     io.Writer

	cluster etcd.Options // of the commands that talk to members
}

func run(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{out: out, err: errs}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return codeDone
	}
	p := fail(codeError, err, "")
	errors.As(err, &p)
	var document io.Writer
	if a.json || slices.Contains(args, "--json") {
		document = out
	}
	return p.Tell(errs, document, c)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "ostraka-store", Short: "A member of the cluster that keeps a node's store",
		Long: "Three or five members, each on a machine of its own, keep the store of an operator's node; its replicas then run on other machines, or on\n" +
			"the same. One operator's members serve that operator alone. Start with `ostraka-store certs`, then `ostraka-store run` on each machine.",
		SilenceErrors: true, SilenceUsage: true, Version: stamp.Line(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document on stdout, and nothing else there")
	root.PersistentFlags().DurationVar(&a.timeout, "timeout", 10*time.Second, "give up waiting for members after so long")
	root.AddCommand(a.certsCommand(), a.runCommand(), a.statusCommand(), a.memberCommand(), a.snapshotCommand(), a.defragCommand())
	cli.Strict(root)
	return root
}

// show prints the document, or what it says in words.
func (a *app) show(document any, words func(io.Writer)) error {
	if a.json {
		return cli.WriteDocument(a.out, document)
	}
	words(cli.Writer{Writer: a.out})
	return nil
}

// clusterFlags are those of the commands that talk to running members.
func (a *app) clusterFlags(c *cobra.Command) *cobra.Command {
	f := c.Flags()
	var endpoints []string
	if set := os.Getenv(endpointsVariable); set != "" {
		endpoints = strings.Split(set, ",")
	}
	f.StringSliceVar(&a.cluster.Endpoints, "endpoints", endpoints, "URLs at which the members answer, as https://a.example:2379,https://b.example:2379 (required; default: $"+endpointsVariable+")")
	f.StringVar(&a.cluster.CA, "ca", os.Getenv(caVariable), "certificate of the authority, in PEM (required with https; default: $"+caVariable+")")
	f.StringVar(&a.cluster.Cert, "cert", os.Getenv(certVariable), "own certificate, of a replica or a member (required with https; default: $"+certVariable+")")
	f.StringVar(&a.cluster.Key, "key", os.Getenv(keyVariable), "its private key (required with https; default: $"+keyVariable+")")
	return c
}

// within is a context for talking to members.
func (a *app) within(c *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Context(), a.timeout)
}

// endpoints checks the flags.
func (a *app) endpoints() error {
	if len(a.cluster.Endpoints) == 0 {
		return usage("give --endpoints: the URLs of the members")
	}
	a.cluster.Name = "store" // no store is read: the name only has to have the form of one
	if err := a.cluster.Check(); err != nil {
		return usage("%w", err)
	}
	return nil
}

// dial makes a client of these members; of all that the flags name, if none is given here.
func (a *app) dial(endpoints ...string) (*clientv3.Client, error) {
	if err := a.endpoints(); err != nil {
		return nil, err
	}
	conf, err := a.cluster.TLS()
	if err != nil {
		return nil, err
	}
	if len(endpoints) == 0 {
		endpoints = a.cluster.Endpoints
	}
	return clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: conf, Logger: zap.NewNop()})
}

// notReached is what a member's silence, or its refusal, means.
func notReached(what string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fail(codeNotReady, fmt.Errorf("%s: no member answered in time", what), "look at `ostraka-store status`: more than half of the members must run and reach each other")
	}
	return fmt.Errorf("%s: %s", what, status.Convert(err).Message())
}
