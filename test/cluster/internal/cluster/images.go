package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

// LoadFiles imports image tarballs into a cluster.
func LoadFiles(ctx context.Context, base, name string, files []string) error {
	s, err := Load(base, name)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := s.importImage(ctx, base, file); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) importImage(ctx context.Context, base, file string) error {
	p := s.Plan(base)
	args := []string{"--address", p.Containerd(), "--namespace", "k8s.io", "images", "import", "--local", "--snapshotter", s.snapshotter(base), file}
	out, err := exec.CommandContext(ctx, filepath.Join(s.Bin["ctr"], "ctr"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("load %s into cluster %s: %w: %s", file, s.Options.Name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// snapshotter is the one that containerd was configured with.
func (s *State) snapshotter(base string) string {
	data, err := os.ReadFile(s.Plan(base).Path("containerd.toml"))
	if err == nil && strings.Contains(string(data), `snapshotter = "native"`) {
		return "native"
	}
	return "overlayfs"
}

// loadBase imports the images that the cluster itself needs.
func (s *State) loadBase(ctx context.Context, base string) error {
	for _, c := range image.Base() {
		file, err := Assemble(c)
		if err != nil {
			return err
		}
		if err := s.importImage(ctx, base, file); err != nil {
			return err
		}
	}
	return nil
}

// Assemble makes the tarball of a component's image, or finds the one made
// before from the same program and description.
func Assemble(c image.Component) (string, error) {
	dir, err := FindProgram(c.Program, c.Name)
	if err != nil {
		return "", err
	}
	c.Spec.Binary = filepath.Join(dir, c.Program)
	return AssembleSpec(c.Spec)
}

// AssembleSpec is Assemble for an image whose program is given by file. The
// program's time and size stand for its content.
func AssembleSpec(spec image.Spec) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(spec.Binary)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	key, err := json.Marshal([]any{spec, info.ModTime(), info.Size(), runtime.Version()})
	if err != nil {
		return "", fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	sum := sha256.Sum256(key)
	name := strings.NewReplacer("/", "_", ":", "_").Replace(spec.Ref)
	file := filepath.Join(cache, "images", name+"-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	old, err := filepath.Glob(filepath.Join(cache, "images", name+"-*.tar"))
	if err != nil {
		return "", fmt.Errorf("image %s: %w", spec.Ref, err)
	}
	if err := image.WriteFile(file, spec); err != nil {
		return "", err
	}
	// Programs under development make many tarballs; one that was made lately
	// may just be on its way into another cluster.
	for _, f := range old {
		if info, err := os.Stat(f); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(f)
		}
	}
	return file, nil
}
