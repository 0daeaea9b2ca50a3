package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/offsite"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	node "github.com/ostraka/ostraka/node/backup"
)

// exportTimeout is how long an export may take.
const exportTimeout = 6 * time.Hour

func (a *app) backupCommand() *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "Copies of an operator's shares elsewhere: cut them, check them unopened, see what is missing, restore from them"}
	c.AddCommand(a.backupCutCommand(), a.backupVerifyCommand(), a.backupCoverageCommand(), a.backupDrillCommand(), a.backupRestoreCommand(), a.backupRegisterCommand(), a.backupFactsCommand())
	return c
}

// cutting are the flags of a cut.
type cutting struct {
	level, place, to    string
	from, identity, out string // of paper
	quorum, sheets      int
	recipients          []string
	classical           bool
	retain              time.Duration
}

func (a *app) backupCutCommand() *cobra.Command {
	var x cutting
	c := &cobra.Command{
		Use: "cut", Short: "Write a copy of your own node's shares for another place", Args: none,
		Long: "An export holds a snapshot of your node without anything that may serve only once, with its keys, encrypted by the node itself to your offline age\n" +
			"recipients. Nobody else's share is in it. Its front is public and signed: which vaults, epochs and masks are inside, for which place of the charter. A bucket is\n" +
			"asked as the environment says: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL_S3 where it is not Amazon's. What was\n" +
			"written is read back and checked before your node tells the others of it. A new epoch voids it.\n" +
			"Sheets of paper are made of an export, offline: pages to print with words and codes, and a receipt that `ostraka backup register` takes to your node.",
		Example: "  ostraka backup cut --level export --place vault-cellar --recipient age1pq1… --to /media/stick\n  ostraka backup cut --level export --place bucket --recipient age1pq1… --to s3://backups/acme --retain 2160h\n  ostraka backup cut --level paper --place safe --export acme.ostraka-export --identity key.txt -k 2 -m 3 --out pages",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), exportTimeout)
			defer cancel()
			switch x.level {
			case string(charter.Export):
				return a.cutExport(ctx, x)
			case string(charter.Paper):
				return a.cutPaper(ctx, x)
			case string(charter.Replica), "guardian":
				return usage("--level %s: nodes make it themselves, in every epoch", x.level)
			}
			if x.level == "" {
				return usage("give --level: export, or paper")
			}
			return usage("--level %q is not export or paper", x.level)
		},
	}
	f := c.Flags()
	f.StringVar(&x.level, "level", "", "export or paper (required)")
	f.StringVar(&x.place, "place", "", "where it is to lie, as the charter names it among your places (required)")
	f.StringVar(&x.to, "to", "", "a folder, or s3://bucket/prefix")
	f.StringArrayVar(&x.recipients, "recipient", nil, "age recipient that can open it, age1pq1… (may be repeated)")
	f.BoolVar(&x.classical, "classical", false, "take recipients that a quantum computer could open, too")
	f.StringVar(&x.from, "export", "", "export to make sheets of paper from")
	f.StringVarP(&x.identity, "identity", "i", "", "private key that opens that export")
	f.StringVar(&x.out, "out", "", "folder for the sheets' pages and their receipt")
	f.IntVarP(&x.quorum, "needed", "k", 2, "so many sheets bring the share back")
	f.IntVarP(&x.sheets, "sheets", "m", 3, "of so many")
	f.DurationVar(&x.retain, "retain", 0, "a bucket with object lock keeps it so long, whoever asks to delete it")
	return c
}

type backupDocument struct {
	Where      string              `json:"where,omitempty"`
	Level      string              `json:"level"`
	Circle     string              `json:"circle"`
	Operator   string              `json:"operator"`
	Place      string              `json:"place"`
	Created    string              `json:"created"`
	Header     string              `json:"header"` // SHA-256: its name in the log
	Bytes      int64               `json:"bytes,omitempty"`
	Recipients int                 `json:"recipients,omitempty"`
	Quorum     int                 `json:"quorum,omitempty"`
	Sheets     int                 `json:"sheets,omitempty"`
	Keys       []backupKeyDocument `json:"keys"`
}

type backupKeyDocument struct {
	Vault       string `json:"vault"`
	VaultID     string `json:"vault_id"`
	Key         string `json:"key"`
	Suite       string `json:"suite"`
	EpochNumber uint64 `json:"epoch_number"`
	Epoch       string `json:"epoch"`
	Mask        bool   `json:"mask"`
	State       string `json:"state,omitempty"` // in force, void, unknown
	Why         string `json:"why,omitempty"`
}

func backupOf(where string, signed []byte, h backup.Header) backupDocument {
	sum := backup.Hash(signed)
	d := backupDocument{
		Where: where, Level: string(h.Level), Circle: h.Circle, Operator: h.Operator, Place: h.Place, Created: statement.FormatTime(h.Created),
		Header: fmt.Sprintf("%x", sum), Bytes: h.Size, Recipients: h.Recipients, Quorum: h.Quorum, Sheets: h.Count, Keys: []backupKeyDocument{},
	}
	for _, k := range h.Keys {
		d.Keys = append(d.Keys, backupKeyDocument{
			Vault: k.Name, VaultID: k.Vault.String(), Key: fmt.Sprintf("%x", k.KeyID), Suite: k.Suite, EpochNumber: k.Epoch, Epoch: fmt.Sprintf("%x", k.Record), Mask: k.Mask != nil,
		})
	}
	return d
}

func (d backupDocument) print(w io.Writer, now time.Time) {
	what := fmt.Sprintf("%s of %s, circle %s, for place %s", d.Level, d.Operator, d.Circle, d.Place)
	if d.Quorum > 0 {
		what += fmt.Sprintf(", %d of %d sheets", d.Quorum, d.Sheets)
	}
	if t, err := time.Parse(time.RFC3339, d.Created); err == nil {
		what += fmt.Sprintf(", cut %s (%s ago)", d.Created, now.Sub(t).Round(time.Minute))
	}
	fmt.Fprintln(w, what)
	for _, k := range d.Keys {
		mask := "share and mask"
		if !k.Mask {
			mask = "share alone"
		}
		fmt.Fprintf(w, "  vault %s, %s, epoch %d: %s", k.Vault, k.Suite, k.EpochNumber, mask)
		if k.State != "" {
			fmt.Fprintf(w, "; %s", k.State)
		}
		if k.Why != "" {
			fmt.Fprintf(w, ": %s", k.Why)
		}
		fmt.Fprintln(w)
	}
}

func (a *app) cutExport(ctx context.Context, x cutting) error {
	switch {
	case statement.CheckLabel(x.place) != nil:
		return usage("give --place: where the backup is to lie, as the charter names it")
	case x.to == "":
		return usage("give --to: a folder, or s3://bucket/prefix")
	case len(x.recipients) == 0:
		return usage("give --recipient: the age1pq1… line of a key that you keep offline; `age-keygen -pq` makes one")
	}
	to, err := offsite.At(x.to, x.retain)
	if err != nil {
		return usage("--to: %w", err)
	}
	spool, err := to.Spool()
	if err != nil {
		return fmt.Errorf("make room for the export: %w", err)
	}
	defer os.Remove(spool.Name()) // nothing, once it has its name
	signed, h, err := a.receiveExport(ctx, x, spool)
	if err != nil {
		spool.Close()
		return unlisted(err)
	}
	where, err := to.Put(ctx, spool, exportName(h, offsite.SuffixExport))
	if err != nil {
		return err
	}
	if err := readBack(ctx, to, where, signed); err != nil {
		return unverified("look at the disk or bucket, and cut it again", "read back %s: %w", where, err)
	}
	if err := a.noteBackup(ctx, signed); err != nil {
		return fmt.Errorf("%s is written and whole, but your node did not note it: %w", where, err)
	}
	d := backupOf(where, signed, h)
	return a.show(d, func(w io.Writer) {
		d.print(w, time.Now())
		fmt.Fprintf(w, "It lies at %s, and your node has told the others.\n\nNext: `ostraka backup restore %s --identity FILE --check`, where the private key is, shows that it opens.\n", where, where)
	})
}

// unlisted says what to do about a place of which the charter knows nothing.
func unlisted(err error) error {
	if connect.CodeOf(err) != connect.CodePermissionDenied && connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "the charter lists no place") {
		return err
	}
	text := strings.Replace(plain(err).Error(), "it lists []", "it lists none", 1)
	return refused("`ostraka charter show` shows your places: give one of them as --place; an amendment of the charter adds one (`ostraka charter amend`); while an emergency holds a vault none is signed: amend it after CLOSED", "%s", text)
}

func exportName(h backup.Header, suffix string) string {
	circle := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '-'
	}, h.Circle)
	return fmt.Sprintf("%s_%s_%s_%s%s", circle, h.Operator, h.Place, h.Created.UTC().Format("20060102T150405Z"), suffix)
}

// receiveExport writes what the node streams into a file, whose front is kept free for the header.
func (a *app) receiveExport(ctx context.Context, x cutting, f *os.File) (signed []byte, h backup.Header, err error) {
	stream, err := client.Operator(a.dir).CutExport(ctx, connect.NewRequest(&v1.CutExportRequest{Place: x.place, Recipients: x.recipients, Classical: x.classical}))
	if err != nil {
		return nil, h, a.operatorError(err)
	}
	defer stream.Close()
	defer a.progressEnds()
	size, written := 0, int64(0)
	for stream.Receive() {
		m := stream.Msg()
		switch {
		case m.HeaderSize > 0 && size == 0 && m.HeaderSize <= backup.MaxHeader:
			size = int(m.HeaderSize)
			if _, err := f.Seek(int64(len(backup.Front(size))+size), io.SeekStart); err != nil {
				return nil, h, err
			}
		case len(m.Ciphertext) > 0 && size > 0 && signed == nil:
			n, err := f.Write(m.Ciphertext)
			if err != nil {
				return nil, h, fmt.Errorf("write the export: %w", err)
			}
			written += int64(n)
			a.progress("%.1f MB", float64(written)/1e6)
		case len(m.Header) == size && size > 0 && signed == nil:
			signed = m.Header
		default:
			return nil, h, errors.New("the node streams an export out of order")
		}
	}
	if err := stream.Err(); err != nil {
		return nil, h, a.operatorError(err)
	}
	if signed == nil {
		return nil, h, errors.New("the node ended the export without its header")
	}
	if h, err = backup.DecodeHeader(signed); err != nil {
		return nil, h, err
	}
	_, err = f.WriteAt(append(backup.Front(size), signed...), 0)
	return signed, h, err
}

// readBack looks at what lies where it was put.
func readBack(ctx context.Context, from offsite.Place, where string, signed []byte) error {
	r, err := from.Open(ctx, where)
	if err != nil {
		return err
	}
	defer r.Close()
	got, _, err := node.Look(r)
	if err == nil && backup.Hash(got) != backup.Hash(signed) {
		err = errors.New("another backup lies there")
	}
	return err
}

func (a *app) noteBackup(ctx context.Context, signed []byte) error {
	_, err := client.Operator(a.dir).NoteBackup(ctx, connect.NewRequest(&v1.NoteBackupRequest{Header: signed}))
	if err != nil {
		return a.operatorError(err)
	}
	return nil
}

func (a *app) backupRegisterCommand() *cobra.Command {
	return &cobra.Command{
		Use: "register FILE", Short: "Have your own node tell the others of a backup: of an export, or of sheets by their receipt", Args: exactly("FILE"),
		Long: "`backup cut` does it by itself for an export. Sheets of paper are made offline, where no node is: carry their receipt to your node. It holds no secret. The node tells\n" +
			"of a backup only if it is its own and of the epochs in force.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			if err := a.lookAs("", args[0], fileBackup); err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("read the backup: %w", err)
			}
			defer f.Close()
			signed, h, err := node.Look(f)
			if err != nil {
				return a.damagedFile("", args[0], fileBackup, err)
			}
			if err := a.noteBackup(ctx, signed); err != nil {
				return err
			}
			d := backupOf(filepath.Base(args[0]), signed, h)
			return a.show(d, func(w io.Writer) {
				d.print(w, time.Now())
				fmt.Fprintln(w, "Your node has told the others.")
			})
		},
	}
}
