// Command witnesslogs tells a litewitness of these tests which logs to cosign: it writes into the witness's SQLite file what its witnessctl would.
//
//	witnesslogs add FILE ORIGIN VKEY
//	witnesslogs list FILE              one log a line, in JSON
//
// witnessctl itself is not built: it imports a module for logs of another kind (sigsum) that is not to be had from every module proxy.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "witnesslogs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "add":
		return open(args[1], func(db *sqlite.Conn) error { return add(db, args[2], args[3]) })
	case len(args) == 2 && args[0] == "list":
		return open(args[1], list)
	}
	return errors.New("usage: witnesslogs add FILE ORIGIN VKEY | witnesslogs list FILE")
}

// open opens the file that the witness made: its tables are there, in the form of litewitness 0.9.0.
func open(file string, do func(*sqlite.Conn) error) (err error) {
	db, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

// add enters a log of which nothing was seen yet, whose root is that of an empty tree (RFC 6962), and its key.
func add(db *sqlite.Conn, origin, vkey string) error {
	empty := sha256.Sum256(nil)
	err := sqlitex.Execute(db, "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)",
		&sqlitex.ExecOptions{Args: []any{origin, base64.StdEncoding.EncodeToString(empty[:])}})
	if err != nil {
		return err
	}
	return sqlitex.Execute(db, "INSERT INTO key (origin, key) VALUES (?, ?)", &sqlitex.ExecOptions{Args: []any{origin, vkey}})
}

func list(db *sqlite.Conn) error {
	const query = `SELECT json_object('origin', origin, 'size', tree_size, 'root_hash', tree_hash) FROM log ORDER BY origin`
	return sqlitex.Execute(db, query, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		_, err := fmt.Println(s.ColumnText(0))
		return err
	}})
}
