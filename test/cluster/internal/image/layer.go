package image

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// entry is one file or, where data is nil, one folder of the layer.
type entry struct {
	mode int64
	uid  int
	data []byte
}

// writeLayer writes the image's file system, parents before children.
func writeLayer(w io.Writer, spec Spec) error {
	entries, err := layerEntries(spec)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		if e.data != nil {
			err = addFile(out, name, e.mode, e.data)
		} else {
			err = out.WriteHeader(&tar.Header{
				Typeflag: tar.TypeDir, Name: name + "/", Mode: e.mode, Uid: e.uid, Gid: e.uid, ModTime: epoch,
			})
		}
		if err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
	}
	return out.Close()
}

func layerEntries(spec Spec) (map[string]entry, error) {
	uid, err := uidOf(spec.User)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(spec.Binary)
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	entries := map[string]entry{
		"etc/passwd":        {mode: 0o644, data: []byte(passwd)},
		"etc/group":         {mode: 0o644, data: []byte(group)},
		"etc/nsswitch.conf": {mode: 0o644, data: []byte("hosts: files dns\n")},
		"tmp":               {mode: 0o1777},
		inTar(spec.Target):  {mode: 0o755, data: binary},
	}
	roots, err := spec.bundle()
	if err != nil {
		return nil, fmt.Errorf("read the trusted roots: %w", err)
	}
	if roots != nil {
		entries[inTar(hostBundle)] = entry{mode: 0o644, data: roots}
	}
	for _, dir := range spec.Dirs {
		entries[inTar(dir)] = entry{mode: 0o755, uid: uid}
	}
	for target, source := range spec.Files {
		e, err := readEntry(source)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", source, err)
		}
		entries[inTar(target)] = e
	}
	addParents(entries)
	return entries, nil
}

func readEntry(file string) (entry, error) {
	info, err := os.Stat(file)
	if err != nil {
		return entry{}, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return entry{}, err
	}
	if data == nil {
		data = []byte{}
	}
	// What runs on this machine runs in the image; nobody else may write it.
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return entry{mode: mode, data: data}, nil
}

func addParents(entries map[string]entry) {
	for _, name := range slices.Collect(maps.Keys(entries)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := entries[dir]; !ok {
				entries[dir] = entry{mode: 0o755}
			}
		}
	}
}

// uidOf resolves the user by the image's own /etc/passwd.
func uidOf(user string) (int, error) {
	name, _, _ := strings.Cut(user, ":")
	if name == "" {
		return 0, nil
	}
	if uid, err := strconv.Atoi(name); err == nil {
		return uid, nil
	}
	for line := range strings.Lines(passwd) {
		fields := strings.Split(line, ":")
		if fields[0] == name {
			return strconv.Atoi(fields[2])
		}
	}
	return 0, fmt.Errorf("user %q is neither a number nor one of root, nobody and nonroot", user)
}

func inTar(p string) string { return strings.TrimPrefix(p, "/") }

func addFile(out *tar.Writer, name string, mode int64, data []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: epoch}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}
