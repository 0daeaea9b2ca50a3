package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Strict makes of a program's wrong numbers of arguments, wrong flags, and groups with an unknown or missing command mistakes of usage.
func Strict(root *cobra.Command) {
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage("%w", err) })
	for _, c := range root.Commands() {
		strict(c)
	}
	root.SetHelpCommand(helpCommand(root))
}

func strict(c *cobra.Command) {
	for _, sub := range c.Commands() {
		strict(sub)
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if p := (*Problem)(nil); err != nil && !errors.As(err, &p) {
				return Usage("%w", err)
			}
			return err
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.FParseErrWhitelist.UnknownFlags = true // the command that is missing has them: say that
		c.RunE = func(c *cobra.Command, args []string) error {
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			if len(args) == 0 {
				return Usage("`%s` needs a command: %s", c.CommandPath(), strings.Join(names, ", "))
			}
			return Usage("`%s` has no command %q; it has: %s", c.CommandPath(), args[0], strings.Join(names, ", "))
		}
	}
}

// helpCommand is help, which takes no command that is not there.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show how a command is used", Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || c == nil || len(rest) > 0 {
				return Fail(Misused, fmt.Errorf("no command %q", strings.Join(args, " ")), "see `"+root.Name()+" --help`")
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// Exactly wants so many arguments, by name.
func Exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return Usage("%d arguments were given; this takes %d: %s", len(args), len(names), strings.Join(names, " "))
		}
		return nil
	}
}

// None wants no argument.
func None(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage("unexpected argument %q", args[0])
	}
	return nil
}

// WriteLine writes one document of a stream.
func WriteLine(w io.Writer, doc any) error {
	return writeJSON(w, "", doc)
}

func WriteDocument(w io.Writer, doc any) error {
	return writeJSON(w, "  ", doc)
}

func writeJSON(w io.Writer, indent string, doc any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := w.Write(plainJSON(b.Bytes()))
	return err
}
