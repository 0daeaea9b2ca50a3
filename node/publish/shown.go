package publish

import (
	"bytes"
	"slices"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// shown are the bodies of leaves, without those that are withheld.
func (l *Log) shown(leaves []tlog.Filed) []tlog.Body {
	bodies := make([]tlog.Body, len(leaves))
	publishes := map[statement.ID]bool{}
	for i, f := range leaves {
		if f.Vault != (statement.ID{}) && !open(f) {
			yes, asked := publishes[f.Vault]
			if !asked {
				yes = l.cfg.Publishes(f.Vault)
				publishes[f.Vault] = yes
			}
			if !yes {
				continue
			}
		}
		bodies[i] = f.Body
	}
	return bodies
}

// openKinds are those whose bodies are shown of every vault: who holds its keys, and in which epoch (spec/log 10.2). What is not named here
// nor in openStatements is the vault's own affair.
var openKinds = []string{
	tlog.KindSignature, tlog.KindWord, tlog.KindRecord, tlog.KindCert, tlog.KindFinal, tlog.KindFinalCert, tlog.KindHeartbeat, tlog.KindFence,
	tlog.KindMet, // on which evidence of hardware sessions rest
}

// openStatements are the kinds of statements that are: what a vault is, who holds it, and whether it may sign.
var openStatements = []statement.Kind{
	statement.Roster, statement.Charter, statement.Veto, statement.Revoke, statement.Freeze, statement.Unfreeze, statement.Vault, statement.Key,
	statement.Reshare, statement.Sighting, statement.Heartbeat, statement.Log, statement.Release,

	// All of SOS is public at once: a declaration that outsiders do not see could be used in silence.
	statement.SOSRequest, statement.SOSSupport, statement.SOSVeto, statement.SOSChallenge, statement.SOSAlive, statement.SOSSigned,
	statement.SOSStep, statement.SOSNoVeto, statement.SOSSeat, statement.SOSActivation, statement.SOSReleased, statement.SOSClose, statement.SOSEarlyRelease,
	statement.Backup, statement.BackupDrill,
}

// open says whether a leaf's body is shown whatever the charter says of its vault.
func open(f tlog.Filed) bool {
	if f.Kind != tlog.KindStatement {
		return slices.Contains(openKinds, f.Kind)
	}
	return slices.ContainsFunc(openStatements, func(k statement.Kind) bool {
		return bytes.HasPrefix(f.Content, []byte(statement.Version+" "+string(k)+"\n"))
	})
}
