package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Names of properties in a bill of materials.
const (
	propertyHash  = "ostraka:go.sum" // of a module: its hash as go.sum has it. It is of the module's files, not of one file
	propertyBuild = "ostraka:build:" // a setting of the build follows
)

// billOf writes a program's bill of materials, CycloneDX 1.6 in JSON, from what the program itself says. It follows from the
// program alone: no time, no serial number, all in order.
func billOf(info *debug.BuildInfo, version string, sum [32]byte) ([]byte, error) {
	below, ok := strings.CutPrefix(info.Path, info.Main.Path+"/")
	if !ok {
		return nil, fmt.Errorf("the program %s is not of the module %s", info.Path, info.Main.Path)
	}
	ref := purl(info.Main.Path, version) + "#" + below
	var settings []cdx.Property
	for _, s := range info.Settings {
		settings = append(settings, cdx.Property{Name: propertyBuild + s.Key, Value: s.Value})
	}
	slices.SortFunc(settings, func(a, b cdx.Property) int { return strings.Compare(a.Name, b.Name) })
	components, err := linked(info)
	if err != nil {
		return nil, err
	}
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeApplication, Name: info.Path, Version: version, PackageURL: ref,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}, Properties: &settings,
	}}
	b.Components = &components
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("write its bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// linked are the modules of a program, and Go's own packages.
func linked(info *debug.BuildInfo) ([]cdx.Component, error) {
	std := strings.TrimPrefix(info.GoVersion, "go")
	all := []cdx.Component{{
		BOMRef: purl("stdlib", std), Type: cdx.ComponentTypeLibrary, Name: "stdlib", Version: std, PackageURL: purl("stdlib", std),
		Description: "packages and runtime of the Go toolchain " + info.GoVersion,
	}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version == "" || m.Sum == "" {
			return nil, errors.New("the module " + m.Path + " is linked from a folder, without a hash: a release takes published modules alone")
		}
		all = append(all, cdx.Component{
			BOMRef: purl(m.Path, m.Version), Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl(m.Path, m.Version),
			Properties: &[]cdx.Property{{Name: propertyHash, Value: m.Sum}},
		})
	}
	slices.SortFunc(all, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	return all, nil
}

// purl names a module as a package URL: of type golang, in lower case, the version percent-encoded.
func purl(module, version string) string {
	return "pkg:golang/" + strings.ToLower(module) + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
}
