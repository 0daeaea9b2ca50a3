package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
)

func (a *app) contextCommand() *cobra.Command {
	c := &cobra.Command{Use: "context", Short: "The nodes you talk to, with pinned identities"}
	c.AddCommand(a.contextAddCommand(), a.contextUseCommand(), a.contextListCommand(), a.contextRemoveCommand())
	return c
}

type contextsDocument struct {
	File     string            `json:"file"`
	Current  string            `json:"current"`
	Contexts []contextDocument `json:"contexts"`
}

type contextDocument struct {
	Name  string         `json:"name"`
	Nodes []nodeDocument `json:"nodes"`
}

type nodeDocument struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Identity string `json:"identity"`
}

// edit changes the contexts file and shows what it holds then.
func (a *app) edit(change func(client.Contexts) (client.Contexts, error)) error {
	path, err := client.ContextsPath()
	if err != nil {
		return err
	}
	all, err := client.LoadContexts(path)
	if err != nil {
		return err
	}
	if change != nil {
		if all, err = change(all); err != nil {
			return err
		}
		if err := all.Save(path); err != nil {
			return err
		}
	}
	return a.showContexts(path, all)
}

func (a *app) showContexts(path string, all client.Contexts) error {
	d := contextsDocument{File: path, Current: all.Current, Contexts: []contextDocument{}}
	for _, x := range all.All {
		one := contextDocument{Name: x.Name}
		for _, n := range x.Nodes {
			one.Nodes = append(one.Nodes, nodeDocument{n.Name, n.Address, client.FormatIdentity(n.Identity)})
		}
		d.Contexts = append(d.Contexts, one)
	}
	return a.show(d, func(w io.Writer) {
		if len(d.Contexts) == 0 {
			fmt.Fprintf(w, "No nodes are known yet (%s).\nNext: `ostraka context add NAME HOST:PORT IDENTITY` for every node of your circle.\n", path)
		}
		for _, x := range d.Contexts {
			mark := " "
			if x.Name == d.Current {
				mark = "*"
			}
			fmt.Fprintf(w, "%s %s\n", mark, x.Name)
			for _, n := range x.Nodes {
				fmt.Fprintf(w, "    %-12s %-22s %s\n", n.Name, n.Address, n.Identity)
			}
		}
	})
}

func (a *app) contextAddCommand() *cobra.Command {
	var replace bool
	c := &cobra.Command{
		Use: "add NAME ADDRESS IDENTITY", Short: "Add a node to the current context, or to that of --context", Args: exactly("NAME", "ADDRESS", "IDENTITY"),
		Long: "Adds a node. NAME is the operator's name, ADDRESS the host:port of its people's interface (port 7701 unless it was changed;\n" +
			"7700 is the port between nodes), IDENTITY what\n" +
			"`ostraka node status` shows there. Compare the identity by telephone: it is all that says who answers.",
		RunE: func(_ *cobra.Command, args []string) error {
			identity, err := client.ParseIdentity(args[2])
			if err != nil {
				return usage("%w", err)
			}
			return a.edit(func(all client.Contexts) (client.Contexts, error) {
				name := a.context
				if name == "" {
					name = all.Current
				}
				if name == "" {
					name = "default"
				}
				all, err := all.Add(name, client.Node{Name: args[0], Address: args[1], Identity: identity}, replace)
				switch {
				case errors.Is(err, client.ErrListed):
					return all, fail(codeError, err, "compare the node's address and identity with its operator by telephone; --replace takes the new ones")
				case errors.Is(err, client.ErrTwice):
					return all, fail(codeError, err, "`ostraka context list` shows it: every node stands there once, and two nodes share no address")
				}
				return all, err
			})
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "replace the address and identity of a node of this name")
	return c
}

func (a *app) contextUseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use CONTEXT", Short: "Make a context the current one", Args: exactly("CONTEXT"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.edit(func(all client.Contexts) (client.Contexts, error) {
				all, err := all.Use(args[0])
				if err != nil {
					return all, fail(codeError, err, "`ostraka context list` shows the contexts")
				}
				return all, nil
			})
		},
	}
}

func (a *app) contextRemoveCommand() *cobra.Command {
	var node string
	var yes, force bool
	c := &cobra.Command{
		Use: "remove CONTEXT", Short: "Take a context, or one of its nodes, out of the contexts file", Args: exactly("CONTEXT"),
		Long: "Removes a context with all its nodes, or with --node one node of it, for instance one whose operator left the circle.\n" +
			"It changes the file on this machine alone. To add a node again, compare its identity by telephone once more.",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.edit(func(all client.Contexts) (client.Contexts, error) {
				out, err := removed(all, args[0], node, force)
				if err != nil {
					return all, err
				}
				x, err := all.Get(args[0])
				if err != nil {
					return all, err
				}
				a.say("Context %s loses what is pinned of:", x.Name)
				for _, n := range x.Nodes {
					if node == "" || n.Name == node {
						a.say("  %-12s %-22s %s", n.Name, n.Address, client.FormatIdentity(n.Identity))
					}
				}
				what := "context " + x.Name
				if node != "" {
					what = "node " + node + " of " + what
				}
				return out, a.confirm(yes, fmt.Sprintf("Remove %s?", what))
			})
		},
	}
	c.Flags().StringVar(&node, "node", "", "remove this node of the context alone")
	c.Flags().BoolVar(&force, "force", false, "remove the context in use; then none is")
	c.Flags().BoolVar(&yes, "yes", false, "remove without asking")
	return c
}

// removed is the contexts without one of them, or without one node of it.
func removed(all client.Contexts, context, node string, force bool) (out client.Contexts, err error) {
	if node == "" {
		out, err = all.Remove(context, force)
	} else {
		out, err = all.RemoveNode(context, node)
	}
	switch {
	case errors.Is(err, client.ErrInUse):
		err = fail(codeRefused, err, "`ostraka context use CONTEXT` uses another one first; --force removes it all the same")
	case errors.Is(err, client.ErrLastNode):
		err = fail(codeRefused, err, "add its other nodes first, or remove the context: leave --node out")
	case errors.Is(err, client.ErrNoContext), errors.Is(err, client.ErrNoNode):
		err = fail(codeError, err, "`ostraka context list` shows the contexts and their nodes")
	}
	return out, err
}

func (a *app) contextListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List contexts and their nodes", Args: none,
		RunE: func(*cobra.Command, []string) error { return a.edit(nil) },
	}
}
