package stack

import (
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Images that only the tests of logs need.
const (
	fluentBitRef = "docker.io/fluent/fluent-bit:5.1.1"
	writerRef    = "ghcr.io/kubebot/logwriter:" + Version
	// WritersNamespace is where DeployWriter's pods run.
	WritersNamespace = "writers"
)

// LoadFluentBit gives the cluster the image of Fluent Bit: a tarball of it (a file that ends in .tar), or one that is made
// around a program of this machine and its libraries.
func (c *Cluster) LoadFluentBit(ctx context.Context, path string) error {
	if !strings.HasSuffix(path, ".tar") {
		tar := filepath.Join(c.Root, "bin", "fluent-bit-image.tar")
		args := []string{"image", "build", "--ref", fluentBitRef, "--binary", path, "--entrypoint", "/fluent-bit/bin/fluent-bit", "--user", "root", "-o", tar}
		libraries, err := c.libraries(ctx, path)
		if err != nil {
			return err
		}
		for _, l := range libraries {
			args = append(args, "--file", l+":"+l)
		}
		if _, err := c.run(ctx, "kubebot-cluster", args...); err != nil {
			return err
		}
		path = tar
	}
	_, err := c.run(ctx, "kubebot-cluster", "load", "--name", c.Name, path)
	return err
}

// libraries returns the shared libraries that a program needs, none for a static one.
func (c *Cluster) libraries(ctx context.Context, program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", program, err)
	}
	defer f.Close()
	if f.Section(".dynamic") == nil {
		return nil, nil
	}
	out, err := c.run(ctx, "ldd", program)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, word := range strings.Fields(out) {
		if strings.HasPrefix(word, "/") {
			paths = append(paths, word)
		}
	}
	return paths, nil
}

// DeployWriter runs a pod that writes numbered lines at a rate, and waits until it runs.
func (c *Cluster) DeployWriter(ctx context.Context, name string, rate, lines int) error {
	bin := filepath.Join(c.Root, "bin")
	build := c.command(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(bin, "logwriter"), "./test/logwriter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := c.output(build); err != nil {
		return err
	}
	tar := filepath.Join(bin, "logwriter-image.tar")
	if _, err := c.run(ctx, "kubebot-cluster", "image", "build", "--ref", writerRef, "--binary", filepath.Join(bin, "logwriter"), "-o", tar); err != nil {
		return err
	}
	if _, err := c.run(ctx, "kubebot-cluster", "load", "--name", c.Name, tar); err != nil {
		return err
	}
	if err := c.CreateNamespace(ctx, WritersNamespace); err != nil {
		return err
	}
	if err := c.Apply(ctx, fmt.Sprintf(writerManifest, name, WritersNamespace, writerRef, rate, lines)); err != nil {
		return err
	}
	return Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		_, err := c.Kubectl(ctx, "-n", WritersNamespace, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=1s")
		return err
	})
}

const writerManifest = `apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
  namespace: %[2]s
  labels: {app.kubernetes.io/name: %[1]s}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: writer
    image: %[3]s
    args: [--name=%[1]s, --rate=%[4]d, --lines=%[5]d]
    resources: {requests: {cpu: 10m}}
    securityContext: {runAsNonRoot: true, runAsUser: 65534, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
`

// LinesPerThousand counts in the Loki of a KubeBot how many of a writer's lines there are of each thousand.
func (c *Cluster) LinesPerThousand(ctx context.Context, kubebot, writer string) (map[int]int, error) {
	query := fmt.Sprintf(`sum by (thousand) (count_over_time({service_name=%[1]q} | regexp "line (?P<thousand>[0-9]{5})[0-9]{3} of "[15m]))`, writer)
	data, err := c.ServiceGet(ctx, Namespace, kubebot+"-loki:3100", "loki/api/v1/query", map[string]string{"query": query})
	if err != nil {
		return nil, fmt.Errorf("ask Loki for %s: %w", query, err)
	}
	var answer struct {
		Data struct {
			Result []Sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read Loki's answer to %s: %w", query, err)
	}
	counts := map[int]int{}
	for _, s := range answer.Data.Result {
		thousand, err := strconv.Atoi(s.Metric["thousand"])
		if err != nil {
			return nil, fmt.Errorf("read the label thousand: %w", err)
		}
		if counts[thousand], err = strconv.Atoi(fmt.Sprint(s.Value[1])); err != nil {
			return nil, fmt.Errorf("read a count: %w", err)
		}
	}
	return counts, nil
}
