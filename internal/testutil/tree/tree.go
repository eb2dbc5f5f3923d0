// Package tree tells tests and test programs where the source tree and the built real programs are.
package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Root finds the top of the source tree from the working directory. The paths of source files won't do: with -trimpath,
// by which clones in different folders share what was compiled, they are those of packages.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "PROJECT")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the source tree: run this inside a checkout of KubeBot")
		}
		dir = filepath.Dir(dir)
	}
}

// Cache is where test/components/build puts what it makes, programs in its folder bin.
func Cache() string {
	if dir := os.Getenv("KUBEBOT_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "kubebot")
}
