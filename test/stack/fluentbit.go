package stack

import (
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"maps"
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
		// The C library loads this one by name when a thread ends, and without it ends the program.
		if unwinder := filepath.Join(filepath.Dir(word), "libgcc_s.so.1"); strings.HasPrefix(filepath.Base(word), "libc.so.") {
			if _, err := os.Stat(unwinder); err == nil {
				paths = append(paths, unwinder)
			}
		}
	}
	return paths, nil
}

// Writer is a pod that writes numbered lines.
type Writer struct {
	Name string
	// Rate is in lines a second, Lines how many there are in all.
	Rate, Lines         int
	Labels, Annotations map[string]string
}

// DeployWriter runs a writer, and waits until it runs.
func (c *Cluster) DeployWriter(ctx context.Context, w Writer) error {
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
	labels := map[string]string{"app.kubernetes.io/name": w.Name}
	maps.Copy(labels, w.Labels)
	marks, err := json.Marshal(map[string]any{"labels": labels, "annotations": w.Annotations, "name": w.Name, "namespace": WritersNamespace})
	if err != nil {
		return fmt.Errorf("write the metadata of %s: %w", w.Name, err)
	}
	if err := c.Apply(ctx, fmt.Sprintf(writerManifest, w.Name, marks, writerRef, w.Rate, w.Lines)); err != nil {
		return err
	}
	return Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		_, err := c.Kubectl(ctx, "-n", WritersNamespace, "wait", "--for=condition=Ready", "pod/"+w.Name, "--timeout=1s")
		return err
	})
}

const writerManifest = `apiVersion: v1
kind: Pod
metadata: %[2]s
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

// LineBlock is how many of a writer's lines WriterLines takes as one, so that what it asks for are fewer series than Loki
// returns at most (max_query_series, 500).
const LineBlock = 10_000

// WriterLines counts in the Loki of a KubeBot how many of a writer's lines there are of each block of LineBlock.
func (c *Cluster) WriterLines(ctx context.Context, kubebot, writer string) (map[int]int, error) {
	query := fmt.Sprintf(`sum by (block) (count_over_time({service_name=%[1]q} | regexp "line (?P<block>[0-9]{4})[0-9]{4} of "[30m]))`, writer)
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
		block, err := strconv.Atoi(s.Metric["block"])
		if err != nil {
			return nil, fmt.Errorf("read the label block: %w", err)
		}
		if counts[block], err = strconv.Atoi(fmt.Sprint(s.Value[1])); err != nil {
			return nil, fmt.Errorf("read a count: %w", err)
		}
	}
	return counts, nil
}
