package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HasCapability tells whether this process holds a capability in effect, for
// example unix.CAP_SYS_RESOURCE.
func HasCapability(capability int) (bool, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, fmt.Errorf("read the capabilities: %w", err)
	}
	return capabilityIn(string(data), capability)
}

func capabilityIn(status string, capability int) (bool, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return false, fmt.Errorf("read the capabilities: %w", err)
		}
		return mask&(1<<capability) != 0, nil
	}
	return false, fmt.Errorf("no CapEff line in the process's status")
}

// Missing lists, by name, what a cluster cannot do without on this machine.
func Missing() []string {
	var missing []string
	if os.Geteuid() != 0 {
		return []string{"root"}
	}
	for name, capability := range map[string]int{"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		if has, err := HasCapability(capability); err != nil || !has {
			missing = append(missing, name)
		}
	}
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		missing = append(missing, "/dev/kmsg, which kubelet reads")
	}
	return missing
}
