package hd
import "github.com/ostraka/ostraka/crypto/group"
import "github.com/ostraka/ostraka/crypto/group/secp256k1"
func Derive(root group.Point, cc [32]byte, path Path) (group.Point, group.Scalar, error) {
	x, err := Root(root.(*secp256k1.Point), cc)
	if err != nil { return nil, nil, err }
	k, e, err := x.Derive(path)
	if err != nil { return nil, nil, err }
	return k.Point, e, nil
}
