// Package image assembles container images from static binaries, without a
// container engine: one layer, as a docker-archive tarball that containerd
// imports and registry tools push.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Spec describes one image.
type Spec struct {
	// Ref is the reference under which the image is found, with a tag.
	Ref string
	// Binary is the static program on this machine.
	Binary string
	// Target is where the program lies in the image, an absolute path.
	Target string
	// Entrypoint and Cmd as in an image's configuration; an empty Entrypoint
	// is Target.
	Entrypoint, Cmd []string
	// Env are further variables of the environment, as NAME=value.
	Env []string
	// User is a name of the image's /etc/passwd (root, nobody, nonroot) or a
	// number; empty is root.
	User string
	// WorkingDir is the folder that the program starts in; empty is /.
	WorkingDir string
	// Files maps absolute paths in the image to files of this machine.
	Files map[string]string
	// Dirs are empty folders that User may write, absolute paths.
	Dirs []string
	// Ports such as 9090/tcp, for information.
	Ports []string
	// Labels of the image, for example org.opencontainers.image.source.
	Labels map[string]string
	// Arch is the processor architecture; empty is this machine's.
	Arch string
	// CABundle is the file of trusted roots; empty is this machine's, left out
	// when it has none.
	CABundle string
}

// hostBundle is where Debian, Ubuntu and Alpine keep the trusted roots.
const hostBundle = "/etc/ssl/certs/ca-certificates.crt"

const passwd = `root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
`

const group = "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"

// epoch dates everything in an image, so that equal inputs give equal bytes.
var epoch = time.Unix(0, 0).UTC()

// WriteFile writes the image to a file, whole or not at all.
func WriteFile(file string, spec Spec) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("write image %s: %w", spec.Ref, err)
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(Write(tmp, spec), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return fmt.Errorf("write image %s: %w", spec.Ref, err)
	}
	return nil
}

// Write writes the image as a docker-archive.
func Write(w io.Writer, spec Spec) error {
	if err := spec.check(); err != nil {
		return fmt.Errorf("image %q: %w", spec.Ref, err)
	}
	var layer bytes.Buffer
	if err := writeLayer(&layer, spec); err != nil {
		return fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	sum := sha256.Sum256(layer.Bytes())
	digest := hex.EncodeToString(sum[:])
	config, err := json.Marshal(configOf(spec, digest))
	if err != nil {
		return fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	configSum := sha256.Sum256(config)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	layerName := digest + "/layer.tar"
	manifest, err := json.Marshal([]archiveManifest{{Config: configName, RepoTags: []string{spec.Ref}, Layers: []string{layerName}}})
	if err != nil {
		return fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	out := tar.NewWriter(w)
	for _, entry := range []struct {
		name string
		data []byte
	}{{layerName, layer.Bytes()}, {configName, config}, {"manifest.json", manifest}} {
		if err := addFile(out, entry.name, 0o644, entry.data); err != nil {
			return fmt.Errorf("image %s: %w", spec.Ref, err)
		}
	}
	return out.Close()
}

func (s Spec) check() error {
	name, tag, ok := strings.Cut(s.Ref[strings.LastIndexByte(s.Ref, '/')+1:], ":")
	if !ok || name == "" || tag == "" {
		return errors.New("the reference needs a name and a tag, such as ghcr.io/kubebot/kubebot:v0.1.0")
	}
	paths := append([]string{s.Target}, s.Dirs...)
	for p := range s.Files {
		paths = append(paths, p)
	}
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			return fmt.Errorf("%q is not a clean absolute path", p)
		}
	}
	return nil
}

type archiveManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// imageConfig is the part of the OCI image configuration that is used here.
type imageConfig struct {
	Created      time.Time     `json:"created"`
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Config       runConfig     `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
	History      []historyItem `json:"history"`
}

type runConfig struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env"`
	Entrypoint   []string            `json:"Entrypoint"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type historyItem struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

func configOf(spec Spec, layerDigest string) imageConfig {
	arch := spec.Arch
	if arch == "" {
		arch = runtime.GOARCH
	}
	entrypoint := spec.Entrypoint
	if len(entrypoint) == 0 {
		entrypoint = []string{spec.Target}
	}
	var ports map[string]struct{}
	if len(spec.Ports) > 0 {
		ports = map[string]struct{}{}
		for _, p := range spec.Ports {
			ports[p] = struct{}{}
		}
	}
	return imageConfig{
		Created: epoch, Architecture: arch, OS: "linux",
		Config: runConfig{
			User: spec.User, ExposedPorts: ports, Entrypoint: entrypoint, Cmd: spec.Cmd,
			Env:        append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, spec.Env...),
			WorkingDir: spec.WorkingDir, Labels: spec.Labels,
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{"sha256:" + layerDigest}},
		History: []historyItem{{Created: epoch, CreatedBy: "kubebot-cluster image build"}},
	}
}

// bundle is the content of the trusted roots, nil when there are none.
func (s Spec) bundle() ([]byte, error) {
	if s.CABundle != "" {
		return os.ReadFile(s.CABundle)
	}
	data, err := os.ReadFile(hostBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
