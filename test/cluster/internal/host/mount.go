package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

type mount struct{ point, fsType string }

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// parseMounts reads the text of /proc/<pid>/mountinfo; lines of another shape
// are passed over.
func parseMounts(mountinfo string) []mount {
	var mounts []mount
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, types := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(types) < 1 {
			continue
		}
		mounts = append(mounts, mount{point: unescape.Replace(fields[4]), fsType: types[0]})
	}
	return mounts
}

// UnmountUnder unmounts everything at or below dir in this mount namespace, the
// innermost first, and frees loop devices whose file lies below dir.
func UnmountUnder(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read the mounts: %w", err)
	}
	mounts := parseMounts(string(data))
	slices.Reverse(mounts)
	for _, m := range mounts {
		if !below(m.point, dir) {
			continue
		}
		if err := unix.Unmount(m.point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", m.point, err)
		}
	}
	return freeLoops(dir)
}

func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func freeLoops(dir string) error {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil
	}
	for _, file := range files {
		backing, err := os.ReadFile(file)
		if err != nil || !below(string(bytes.TrimSpace(backing)), dir) {
			continue
		}
		device := "/dev/" + strings.Split(file, "/")[3]
		if out, err := exec.Command("losetup", "-d", device).CombinedOutput(); err != nil {
			return fmt.Errorf("free %s: %w: %s", device, err, out)
		}
	}
	return nil
}

// OverlayWorks tells whether overlayfs can be mounted with its upper folder
// below dir, which must exist; on an overlay itself, as in many containers, it
// cannot.
func OverlayWorks(dir string) bool {
	tmp, err := os.MkdirTemp(dir, ".overlay-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(tmp)
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(filepath.Join(tmp, sub), 0o700) != nil {
			return false
		}
	}
	merged := filepath.Join(tmp, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", tmp)
	if unix.Mount("overlay", merged, "overlay", 0, options) != nil {
		return false
	}
	return unix.Unmount(merged, unix.MNT_DETACH) == nil
}
