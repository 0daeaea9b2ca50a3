package sevsnp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// A Report is what the secure processor signed, as far as anything is judged by it.
type Report struct {
	Version      uint32
	GuestSVN     uint32
	Policy       uint64
	FamilyID     [16]byte
	ImageID      [16]byte
	VMPL         uint32 // privilege level of who asked; 0xffffffff: the host
	PlatformInfo uint64
	Signer       Signer
	Data         [64]byte // what the guest had signed
	Measurement  [48]byte // of the guest's memory at its launch
	HostData     [32]byte
	IDKey        [48]byte // SHA-384 of the key that signed the launch; zero: none
	AuthorKey    [48]byte
	Agent        [32]byte // id of a migration agent; all ones: none
	Family       uint8    // of the processor; 0 before version 3
	Model        uint8
	ChipID       [64]byte

	current, reported, committed, launch [8]byte // TCB versions, whose form depends on the processor
	r, s                                 *big.Int
}

// A Signer is the kind of key that signs reports.
type Signer uint8

// Kinds of keys.
const (
	VCEK Signer = iota // of the chip
	VLEK               // given to a cloud by AMD, for its chips
)

func (s Signer) String() string { return [...]string{"vcek", "vlek"}[min(s, VLEK)] }

// Where fields stand (56860, ATTESTATION_REPORT). All numbers are little-endian.
const (
	atSVN          = 0x04
	atPolicy       = 0x08
	atFamilyID     = 0x10
	atImageID      = 0x20
	atVMPL         = 0x30
	atAlgorithm    = 0x34
	atCurrentTCB   = 0x38
	atPlatformInfo = 0x40
	atKey          = 0x48
	atData         = 0x50
	atMeasurement  = 0x90
	atHostData     = 0xc0
	atIDKey        = 0xe0
	atAuthorKey    = 0x110
	atAgent        = 0x160
	atReportedTCB  = 0x180
	atProcessor    = 0x188
	atChipID       = 0x1a0
	atCommittedTCB = 0x1e0
	atLaunchTCB    = 0x1f0
	atMitigations  = 0x1f8
	atSignature    = 0x2a0 // what stands before it is signed

	sizeOfNumber = 72 // of r and of s
)

// Bits of the policy that the guest's owner set at launch.
const (
	policySMT        = 1 << 16
	policyAlways     = 1 << 17
	policyMigration  = 1 << 18
	policyDebug      = 1 << 19
	policyOneSocket  = 1 << 20
	policyCXL        = 1 << 21
	policyAES256     = 1 << 22
	policyNoRAPL     = 1 << 23
	policyHidden     = 1 << 24
	policyNoSwap     = 1 << 25
	policyKnown      = 1<<26 - 1
	algorithmP384    = 1
	oldest, newest   = 2, 5
	versionProcessor = 3
	versionVectors   = 5
)

// Read reads a report's form. Nothing of it is verified.
func Read(raw []byte) (*Report, error) {
	if len(raw) != ReportSize {
		return nil, fmt.Errorf("report: has %d bytes, not %d", len(raw), ReportSize)
	}
	r := &Report{
		Version: u32(raw, 0), GuestSVN: u32(raw, atSVN), Policy: u64(raw, atPolicy), VMPL: u32(raw, atVMPL), PlatformInfo: u64(raw, atPlatformInfo),
	}
	for at, to := range map[int][]byte{
		atFamilyID: r.FamilyID[:], atImageID: r.ImageID[:], atData: r.Data[:], atMeasurement: r.Measurement[:], atHostData: r.HostData[:],
		atIDKey: r.IDKey[:], atAuthorKey: r.AuthorKey[:], atAgent: r.Agent[:], atChipID: r.ChipID[:],
		atCurrentTCB: r.current[:], atReportedTCB: r.reported[:], atCommittedTCB: r.committed[:], atLaunchTCB: r.launch[:],
	} {
		copy(to, raw[at:])
	}
	if r.Version < oldest || r.Version > newest {
		return nil, fmt.Errorf("report: version %d, %d to %d are known", r.Version, oldest, newest)
	}
	if a := u32(raw, atAlgorithm); a != algorithmP384 {
		return nil, fmt.Errorf("report: signature algorithm %d, not %d (ECDSA P-384 with SHA-384)", a, algorithmP384)
	}
	if err := r.readKey(u32(raw, atKey)); err != nil {
		return nil, err
	}
	if r.Version >= versionProcessor {
		r.Family, r.Model = raw[atProcessor], raw[atProcessor+1]
	}
	if err := reserved(raw, r.Version); err != nil {
		return nil, err
	}
	r.r, r.s = number(raw[atSignature:]), number(raw[atSignature+sizeOfNumber:])
	return r, nil
}

// readKey reads which key signed. With a masked key the processor signs nothing: the signature's bytes are zero.
func (r *Report) readKey(info uint32) error {
	switch key := info >> 2 & 7; {
	case info>>5 != 0:
		return fmt.Errorf("report: key information %#x has unknown bits", info)
	case info&2 != 0:
		return errors.New("report: the chip's key is masked, so that nothing was signed")
	case key > uint32(VLEK):
		return fmt.Errorf("report: signing key %d, only VCEK (0) and VLEK (1) sign", key)
	default:
		r.Signer = Signer(key)
	}
	return nil
}

// reserved checks what must be zero: what a reader does not know, no report may say.
func reserved(raw []byte, version uint32) error {
	processor, vectors := atProcessor, atMitigations
	if version >= versionProcessor {
		processor += 3
	}
	if version >= versionVectors {
		vectors += 16
	}
	for _, part := range [][2]int{
		{atKey + 4, atData}, {processor, atChipID}, {0x1eb, 0x1ec}, {0x1ef, 0x1f0}, {vectors, atSignature},
		{atSignature + 48, atSignature + sizeOfNumber}, {atSignature + sizeOfNumber + 48, ReportSize},
	} {
		if i := slices.IndexFunc(raw[part[0]:part[1]], func(b byte) bool { return b != 0 }); i >= 0 {
			return fmt.Errorf("report: byte %#x is reserved and not zero", part[0]+i)
		}
	}
	return nil
}

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// number is a number of 48 bytes, little-endian.
func number(b []byte) *big.Int {
	b = slices.Clone(b[:48])
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// A TCB says which versions of its firmware a processor has, per part.
type TCB struct {
	FMC        uint8 // on Turin alone
	Bootloader uint8
	TEE        uint8
	SNP        uint8
	Microcode  uint8
}

func (t TCB) String() string {
	return fmt.Sprintf("fmc=%d bootloader=%d tee=%d snp=%d microcode=%d", t.FMC, t.Bootloader, t.TEE, t.SNP, t.Microcode)
}

// Least says whether every part is at least what is asked for.
func (t TCB) Least(floor TCB) bool {
	return t.FMC >= floor.FMC && t.Bootloader >= floor.Bootloader && t.TEE >= floor.TEE && t.SNP >= floor.SNP && t.Microcode >= floor.Microcode
}

const familyTurin = 0x1a

// tcb reads a TCB version. Turin has another order than Milan and Genoa.
func tcb(field string, b [8]byte, turin bool) (TCB, error) {
	t, rest := TCB{Bootloader: b[0], TEE: b[1], SNP: b[6], Microcode: b[7]}, b[2:6]
	if turin {
		t, rest = TCB{FMC: b[0], Bootloader: b[1], TEE: b[2], SNP: b[3], Microcode: b[7]}, b[4:7]
	}
	if slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) {
		return TCB{}, fmt.Errorf("report: %s TCB %x has reserved bytes that are not zero", field, b)
	}
	return t, nil
}
