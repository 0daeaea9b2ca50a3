package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/evidence/tlog"
)

type openFlags struct {
	span
	to         []string
	vault, out string
}

func (a *app) logOpenCommand() *cobra.Command {
	var f openFlags
	c := &cobra.Command{
		Use: "open", Short: "Show an auditor the bodies of entries, encrypted to their key", Args: none,
		Long: "Writes one file, encrypted with age, that holds the bodies of the entries of a vault or a time, or of all, as far as the latest checkpoint. Bodies that\n" +
			"are withheld from the public go in as well: that is what it is for. --to takes an SSH public key (ssh-ed25519, ssh-rsa) or an age1… recipient, or a\n" +
			"file with one a line. The auditor reads it with `ostraka log read`; each body there is held to its leaf.",
		Example: "  ostraka log open --to auditor.pub --vault treasury --from 2026-10-01 --until 2026-10-31 -o october.age",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(f.to) == 0 {
				return usage("name the reader: --to KEYFILE or --to KEYLINE")
			}
			var to []age.Recipient
			for _, text := range f.to {
				some, err := recipients(text)
				if err != nil {
					return err
				}
				to = append(to, some...)
			}
			return a.logOpen(c.Context(), f, to)
		},
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.to, "to", nil, "who may read it: a public key, or a file with one a line (required; may be repeated)")
	fl.StringVar(&f.vault, "vault", "", "only entries of this vault, by name or id")
	f.ends(c, "until")
	fl.StringVarP(&f.out, "out", "o", "opened.age", "file to write")
	return c
}

const maxKeyFile = 64 << 10

// recipients reads a key line, or a file with one a line.
func recipients(text string) (all []age.Recipient, err error) {
	lines := text
	if cannotEncrypt(text) {
		return nil, usage("--to %.60s: %s", text, encrypting)
	}
	if !strings.HasPrefix(text, "age1") && !strings.HasPrefix(text, "ssh-") {
		b, err := readBounded(text, maxKeyFile)
		if err != nil {
			return nil, usage("--to %s is neither a key (age1…, ssh-ed25519 …, ssh-rsa …) nor a file: %w", text, err)
		}
		lines = string(b)
		if strings.HasPrefix(lines, "-----BEGIN") || strings.Contains(lines, "AGE-SECRET-KEY-") {
			clear(b)
			return nil, usage("--to %s is a private key: give %s.pub, and send nobody the other", text, text)
		}
	}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if cannotEncrypt(line) {
			return nil, usage("--to %.60s: %s", line, encrypting)
		}
		var r age.Recipient
		if strings.HasPrefix(line, "ssh-") {
			r, err = agessh.ParseRecipient(line)
		} else {
			var some []age.Recipient
			if some, err = age.ParseRecipients(strings.NewReader(line)); err == nil {
				r = some[0]
			}
		}
		if err != nil {
			return nil, usage("--to %.60s: %w", line, err)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, usage("--to %s holds no key", text)
	}
	return all, nil
}

const encrypting = "such keys cannot encrypt: ssh-ed25519, ssh-rsa or age1…"

// cannotEncrypt says that a line is a public key of a kind that only signs.
func cannotEncrypt(line string) bool {
	return strings.HasPrefix(line, "ecdsa-") || strings.HasPrefix(line, "sk-") || strings.HasPrefix(line, "webauthn")
}

func (a *app) logOpen(ctx context.Context, f openFlags, to []age.Recipient) error {
	q := query{}
	var err error
	if q.from, q.until, err = f.times(); err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, time.Hour)
	defer cancel()
	own, head, err := a.ownLog(ctx)
	if err != nil {
		return err
	}
	if len(head.Checkpoint) == 0 {
		return notReady("`ostraka log head` shows when it is there", "the log has no checkpoint yet")
	}
	n, err := a.vaultNames(ctx, own)
	if err != nil {
		return err
	}
	if q.vault, err = n.find(f.vault); err != nil {
		return err
	}
	q.end = head.CheckpointSize
	o, size := tlog.Opened{Origin: head.Origin, Checkpoint: head.Checkpoint}, 0
	_, _, err = a.walk(ctx, own, q, func(e logEntry) error {
		if len(e.Content) == 0 {
			return nil
		}
		if size += 256 + e.Body.Size(); size > tlog.MaxOpened || len(o.Leaves) == tlog.MaxOpenedLeaves {
			return fail(codeError, fmt.Errorf("more than %d MB of bodies, or %d entries", tlog.MaxOpened>>20, tlog.MaxOpenedLeaves), "open less at once: --vault, --from and --until")
		}
		o.Leaves = append(o.Leaves, tlog.OpenedLeaf{Index: int64(e.index), Filed: e.Filed})
		return nil
	})
	if err != nil {
		return err
	}
	if len(o.Leaves) == 0 {
		return fail(codeError, errors.New("no entry with a body is asked for"), "`ostraka log list` shows what there is")
	}
	plain, err := o.Encode()
	if err != nil {
		return err
	}
	sealed, err := encryptTo(plain, to)
	if err != nil {
		return err
	}
	if err := client.Replace(f.out, sealed, 0o600); err != nil {
		return err
	}
	doc := struct {
		File   string `json:"file"`
		Origin string `json:"origin"`
		Size   uint64 `json:"size"`
		Bodies int    `json:"bodies"`
		Bytes  int    `json:"bytes"`
	}{f.out, head.Origin, head.CheckpointSize, len(o.Leaves), len(sealed)}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprint(w, line("%s of log %s, below the checkpoint of %s, %s in %s: %d bytes, for who holds the key alone.\n\nNext: send it; the auditor runs `ostraka log read %s FOLDER -i PRIVATE-KEY --log-key '%s'`.\n",
			counted(doc.Bodies, "body", "bodies"), doc.Origin, counted(int(doc.Size), "entry", "entries"), plural(doc.Bodies, "is", "are"), doc.File, doc.Bytes, filepath.Base(doc.File), head.LogKey))
	})
}

func encryptTo(plain []byte, to []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the bodies: %w", err)
	}
	return out.Bytes(), nil
}

func (a *app) logReadCommand() *cobra.Command {
	var identity, key string
	c := &cobra.Command{
		Use: "read FILE FOLDER", Short: "Decrypt what an operator opened to you, into a folder", Args: exactly("FILE", "FOLDER"),
		Long: "The folder gets body/ as a log publishes it (spec/log 8), with the bodies that were opened and none else, the checkpoint that they stand below, and\n" +
			"opened, all of it in one file (spec/log 11). Each body is held to its leaf here; that the leaf stands in the log, a copy of the log shows.\n" +
			"`ostraka log list --folder FOLDER` and `ostraka log show N --folder FOLDER` show what it says; `ostraka verify ADDRESS… --opened FOLDER` verifies it with\n" +
			"what everybody is shown.",
		Example: "  ostraka log read october.age october -i ~/.ssh/id_ed25519 --log-key 'ostraka.log/…'",
		RunE: func(_ *cobra.Command, args []string) error {
			if identity == "" {
				return usage("give your private key: -i FILE (SSH, or age's)")
			}
			ids, err := a.identities(identity)
			if err != nil {
				return err
			}
			sealed, err := readBounded(args[0], tlog.MaxOpened+tlog.MaxOpened/64+(1<<20))
			if err != nil {
				return err
			}
			o, raw, err := unseal(sealed, ids)
			if err != nil {
				return err
			}
			head, err := o.Head()
			if err != nil {
				return err
			}
			if key != "" {
				v, err := logKey("--log-key", key)
				if err != nil {
					return err
				}
				if _, _, err := tlog.OpenCheckpoint(o.Checkpoint, v, nil); err != nil {
					return unverified("believe nothing of it; ask the operator for its log's key by another way", "the checkpoint: %w", err)
				}
			}
			if err := writeOpened(args[1], o, raw); err != nil {
				return err
			}
			doc := struct {
				Folder string `json:"folder"`
				Origin string `json:"origin"`
				Size   int64  `json:"size"`
				Bodies int    `json:"bodies"`
				Signed bool   `json:"checkpoint_verified"` // with --log-key
			}{args[1], o.Origin, head.Size, len(o.Leaves), key != ""}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprint(w, line("%s of log %s, below its checkpoint of %s, %s in %s.\n",
					counted(doc.Bodies, "body", "bodies"), doc.Origin, counted(int(doc.Size), "entry", "entries"), plural(doc.Bodies, "is", "are"), doc.Folder))
				if !doc.Signed {
					fmt.Fprintln(w, "The checkpoint was not verified: give --log-key.")
				}
				fmt.Fprint(w, line("\nNext: `ostraka log list --folder %s`, then `ostraka log show N --folder %s`; and `ostraka verify ADDRESS… --opened %s`, which holds it to the log that everybody is shown\n",
					doc.Folder, doc.Folder, doc.Folder))
			})
		},
	}
	c.Flags().StringVarP(&identity, "identity", "i", "", "private key to read it with: an SSH key file, or age's (required)")
	c.Flags().StringVar(&key, "log-key", "", "the log's key, which begins ostraka.log/: the checkpoint must be signed with it")
	return c
}

// identities reads a private key file, asking for its passphrase where it has one.
func (a *app) identities(path string) ([]age.Identity, error) {
	b, err := a.readAs("--identity", path, fileIdentity, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, []byte("-----BEGIN")) {
		ids, err := a.ageIdentities(string(b))
		if err != nil {
			return nil, usage("%s is no private key of SSH or age: %w", path, err)
		}
		return ids, nil
	}
	id, err := agessh.ParseIdentity(b)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if locked.PublicKey == nil {
			return nil, usage("%s is locked, in a form that hides its public key: unlock a copy with `ssh-keygen -p`", path)
		}
		id, err = agessh.NewEncryptedSSHIdentity(locked.PublicKey, b, func() ([]byte, error) { return a.askSecret("Passphrase of " + path + ": ") })
	}
	if err != nil {
		return nil, usage("%s is no private key that opens such files: %w", path, err)
	}
	return []age.Identity{id}, nil
}

// unseal decrypts what log open wrote, and reads it.
func unseal(sealed []byte, ids []age.Identity) (o tlog.Opened, raw []byte, err error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return o, nil, fail(codeError, errors.New("the file is not for this key"), "name the private key of the public one that the operator was given")
	}
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(r, tlog.MaxOpened+1))
	}
	if err != nil {
		return o, nil, unverified("ask the operator for the file again", "decrypt: %w", err)
	}
	if o, err = tlog.DecodeOpened(raw); err != nil {
		return o, nil, unverified("ask the operator for the file again", "%w", err)
	}
	return o, raw, nil
}

// writeOpened fills a folder that has none of another log's files.
func writeOpened(dir string, o tlog.Opened, raw []byte) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fail(codeError, fmt.Errorf("%s is not empty", dir), "name a folder that is empty, or not there yet")
	}
	files, err := o.Bundles()
	if err != nil {
		return err
	}
	files[tlog.PathCheckpoint], files[tlog.PathOpened] = o.Checkpoint, raw
	for _, path := range names(files) {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := client.Replace(to, files[path], 0o600); err != nil {
			return err
		}
	}
	return nil
}
