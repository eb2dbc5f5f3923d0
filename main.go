// Command kubebot is every process of KubeBot: see `kubebot help`.
package main

import (
	"os"

	"github.com/kubebot/kubebot/internal/cmd"
)

func main() {
	os.Exit(cmd.Main())
}
