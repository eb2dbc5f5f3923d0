package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testSpec(t *testing.T) Spec {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return Spec{
		Ref: "example.test/team/app:v1", Binary: file("app", "program", 0o700), Target: "/bin/app",
		Entrypoint: []string{"/bin/app", "serve"}, Cmd: []string{"--fast"}, User: "nobody", WorkingDir: "/data",
		Files: map[string]string{"/etc/app/conf.yaml": file("conf.yaml", "a: 1\n", 0o644), "/bin/hook": file("hook", "x", 0o755)},
		Dirs:  []string{"/data"}, Ports: []string{"8080/tcp"}, Labels: map[string]string{"org.opencontainers.image.title": "App"},
		Arch: "amd64", CABundle: file("roots.pem", "roots\n", 0o644),
	}
}

func readTar(t *testing.T, data []byte) (names []string, files map[string][]byte, listing string) {
	t.Helper()
	files = map[string][]byte{}
	var out strings.Builder
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names, files, out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names, files[h.Name] = append(names, h.Name), content
		fmt.Fprintf(&out, "%c %04o %d:%d %d %s %s\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.ModTime.UTC().Format("2006-01-02"), h.Name)
	}
}

func TestArchiveHoldsConfigurationAndLayerAsDescribed(t *testing.T) {
	var archive bytes.Buffer
	if err := Write(&archive, testSpec(t)); err != nil {
		t.Fatal(err)
	}
	_, files, _ := readTar(t, archive.Bytes())
	var manifest []archiveManifest
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest %s: %v", files["manifest.json"], err)
	}
	layer := files[manifest[0].Layers[0]]
	names, _, listing := readTar(t, layer)
	for i, name := range names {
		parent := filepath.Dir(strings.TrimSuffix(name, "/"))
		if parent != "." && !slices.Contains(names[:i], parent+"/") {
			t.Errorf("%s comes before its folder", name)
		}
	}
	var config bytes.Buffer
	if err := json.Indent(&config, files[manifest[0].Config], "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "config.json", config.String()+"\n")
	golden(t, "layer.txt", listing)

	sum := sha256.Sum256(layer)
	if want := "sha256:" + hex.EncodeToString(sum[:]); !strings.Contains(config.String(), want) {
		t.Errorf("the configuration does not name its layer %s", want)
	}
	if got := manifest[0].RepoTags; !slices.Equal(got, []string{"example.test/team/app:v1"}) {
		t.Errorf("tags %q", got)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestEqualInputsGiveEqualBytes(t *testing.T) {
	spec := testSpec(t)
	var first bytes.Buffer
	if err := Write(&first, spec); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		var again bytes.Buffer
		if err := Write(&again, spec); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatal("two archives of the same image differ")
		}
	}
}

func TestBadDescriptionsAreRefusedAndLeaveNoFile(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"no tag":             func(s *Spec) { s.Ref = "example.test:5000/app" },
		"no program":         func(s *Spec) { s.Binary = "/does/not/exist" },
		"relative target":    func(s *Spec) { s.Target = "app" },
		"path that climbs":   func(s *Spec) { s.Files = map[string]string{"/etc/../../x": s.Binary} },
		"unknown user":       func(s *Spec) { s.User = "somebody" },
		"missing file":       func(s *Spec) { s.Files = map[string]string{"/x": "/does/not/exist"} },
		"missing CA bundle":  func(s *Spec) { s.CABundle = "/does/not/exist" },
		"folder without end": func(s *Spec) { s.Dirs = []string{"/data/"} },
	} {
		spec := testSpec(t)
		change(&spec)
		dir := t.TempDir()
		if err := WriteFile(filepath.Join(dir, "x.tar"), spec); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v (%v)", name, left, err)
		}
	}
}

func TestTableIsUsableAndNonRoot(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range append(Base(), Stack()...) {
		c.Spec.Binary = "x"
		if err := c.Spec.check(); err != nil {
			t.Errorf("%s: %v", c.Spec.Ref, err)
		}
		if uid, err := uidOf(c.Spec.User); err != nil || uid == 0 {
			t.Errorf("%s runs as user %d (%v)", c.Spec.Ref, uid, err)
		}
		if seen[c.Spec.Ref] {
			t.Errorf("%s is there twice", c.Spec.Ref)
		}
		seen[c.Spec.Ref] = true
		conf, err := os.ReadFile(filepath.Join("../../../components", c.Name, "build.conf"))
		if err != nil {
			t.Errorf("%s: %v", c.Spec.Ref, err)
			continue
		}
		tag := c.Spec.Ref[strings.LastIndexByte(c.Spec.Ref, ':')+1:]
		if want := "version=" + strings.TrimPrefix(tag, "v") + "\n"; !strings.Contains(string(conf), want) {
			t.Errorf("%s: the pinned component has another version:\n%s", c.Spec.Ref, conf)
		}
	}
}
