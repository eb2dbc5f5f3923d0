// Package stack drives a whole KubeBot in a real cluster for the demo, the end-to-end tests and the benchmarks: the
// cluster, the chart, the Slack and webhook servers, the shop. Everything goes through what a user has: helm, kubectl
// and the Kubernetes API.
package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// Names of what is installed.
const (
	Release   = "kubebot"
	Namespace = "kubebot"
	Version   = "v0.1.0"
)

// Cluster is a Kubernetes cluster with what is needed to use it.
type Cluster struct {
	// Name of the local cluster; empty when an existing one is used.
	Name string
	// Kubeconfig is the path of its configuration file.
	Kubeconfig string
	// Root is the top of the source tree.
	Root string
	// Log takes what the programs print.
	Log io.Writer

	Config *rest.Config
	Client client.WithWatch
	Kube   kubernetes.Interface
}

// Existing tells whether CLUSTER=existing asks for the cluster of KUBECONFIG.
func Existing() bool { return os.Getenv("CLUSTER") == "existing" }

// Up boots a local cluster under the name, or takes the one of KUBECONFIG with CLUSTER=existing. Further options go to
// kubebot-cluster up.
func Up(ctx context.Context, name string, log io.Writer, options ...string) (*Cluster, error) {
	root, err := tree.Root()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Root: root, Log: log}
	if Existing() {
		c.Kubeconfig = os.Getenv("KUBECONFIG")
		if c.Kubeconfig == "" {
			return nil, errors.New("CLUSTER=existing needs KUBECONFIG to name the cluster's configuration file")
		}
		if err := c.connect(); err != nil {
			return nil, err
		}
		return c, c.MayTake(ctx, Namespace, SlackNamespace, ShopNamespace)
	}
	c.Name = name
	c.Kubeconfig = filepath.Join(root, "bin", name+".kubeconfig")
	args := append([]string{"up", "--name", name, "--kubeconfig", c.Kubeconfig, "--audit-log", c.AuditLog()}, options...)
	if _, err := c.run(ctx, "kubebot-cluster", args...); err != nil {
		return nil, err
	}
	return c, c.connect()
}

// Attach returns a local cluster that runs already.
func Attach(name string, log io.Writer) (*Cluster, error) {
	root, err := tree.Root()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Name: name, Root: root, Log: log, Kubeconfig: filepath.Join(root, "bin", name+".kubeconfig")}
	return c, c.connect()
}

// AuditLog is the path of the API server's audit log of a local cluster.
func (c *Cluster) AuditLog() string { return AuditLogOf(c.Root, c.Name) }

// AuditLogOf is the path of the audit log of the local cluster of a name.
func AuditLogOf(root, name string) string { return filepath.Join(root, "bin", name+"-audit.log") }

// Down removes the local cluster; an existing one is left alone.
func (c *Cluster) Down(ctx context.Context) error {
	if c.Name == "" {
		return nil
	}
	_, err := c.run(ctx, "kubebot-cluster", "down", "--name", c.Name)
	return err
}

func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Kubeconfig, err)
	}
	config.QPS = -1 // the tests wait for the API server, not for themselves
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("make scheme: %w", err)
	}
	c.Config = config
	if c.Client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if c.Kube, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	return nil
}

// image is an image that the tests bring along.
type image struct{ ref, binary, entrypoint string }

// LoadImages puts every image that the cluster needs into it. With an existing cluster it does nothing: images are
// pulled as usual.
func (c *Cluster) LoadImages(ctx context.Context) error {
	if c.Name == "" {
		return nil
	}
	if _, err := c.run(ctx, "kubebot-cluster", "load-components", "--name", c.Name); err != nil {
		return err
	}
	for _, img := range []image{
		{"ghcr.io/kubebot/kubebot:" + Version, "kubebot", "/kubebot"},
		{"ghcr.io/kubebot/shop:" + Version, "shop", "/shop"},
		{"ghcr.io/kubebot/slack-server:" + Version, "slack-server", "/slack-server"},
	} {
		bin := filepath.Join(c.Root, "bin")
		tar := filepath.Join(bin, img.binary+"-image.tar")
		if _, err := c.run(ctx, "kubebot-cluster", "image", "build", "--ref", img.ref, "--binary", filepath.Join(bin, img.binary),
			"--entrypoint", img.entrypoint, "--user", "65534", "-o", tar); err != nil {
			return err
		}
		if _, err := c.run(ctx, "kubebot-cluster", "load", "--name", c.Name, tar); err != nil {
			return err
		}
	}
	return nil
}

// Helm runs helm against the cluster.
func (c *Cluster) Helm(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, "helm", args...)
}

// Kubectl runs kubectl against the cluster.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, "kubectl", args...)
}

// Apply applies a manifest by kubectl.
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	cmd := c.command(ctx, "kubectl", "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	_, err := c.output(cmd)
	return err
}

func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := name
	if built := filepath.Join(tree.Cache(), "bin", name); fileExists(built) {
		path = built
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	return cmd
}

func (c *Cluster) run(ctx context.Context, name string, args ...string) (string, error) {
	return c.output(c.command(ctx, name, args...))
}

func (c *Cluster) output(cmd *exec.Cmd) (string, error) {
	var out, both bytes.Buffer
	cmd.Stdout = io.MultiWriter(&out, &both)
	cmd.Stderr = &both
	if c.Log != nil {
		cmd.Stderr = io.MultiWriter(&both, c.Log)
	}
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(both.String()))
	}
	return out.String(), nil
}

// ServiceGet asks a Service through the API server: name is name:port.
func (c *Cluster) ServiceGet(ctx context.Context, namespace, name, path string, query map[string]string) ([]byte, error) {
	svc, port, _ := strings.Cut(name, ":")
	return c.Kube.CoreV1().Services(namespace).ProxyGet("http", svc, port, path, query).DoRaw(ctx)
}

// ServicePost posts a JSON body to a Service through the API server.
func (c *Cluster) ServicePost(ctx context.Context, namespace, name, path string, body []byte) ([]byte, error) {
	return c.Kube.CoreV1().RESTClient().Post().Namespace(namespace).Resource("services").Name(name).
		SubResource("proxy").Suffix(path).SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
}

// Eventually asks every interval until ok, and returns the last error when the time is up.
func Eventually(ctx context.Context, timeout, interval time.Duration, ask func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, interval, timeout, true, func(ctx context.Context) (bool, error) {
		err := ask(ctx)
		if err == nil || last == nil || ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		return err == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("after %s: %w", timeout, last)
	}
	return err
}

// PodsReady returns an error while a pod of the namespace is not ready, or fewer than want exist.
func (c *Cluster) PodsReady(ctx context.Context, namespace string, want int, opts ...client.ListOption) error {
	var pods corev1.PodList
	if err := c.Client.List(ctx, &pods, append(opts, client.InNamespace(namespace))...); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	ready := 0
	for _, pod := range pods.Items {
		for _, cond := range pod.Status.Conditions {
			if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	if ready < want || ready < len(pods.Items) {
		return fmt.Errorf("%d of %d pods in namespace %s are ready, %d wanted", ready, len(pods.Items), namespace, want)
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// PauseAPIServer takes the API server of a local cluster away for a while.
func (c *Cluster) PauseAPIServer(ctx context.Context, pause time.Duration) error {
	_, err := c.run(ctx, "kubebot-cluster", "pause-apiserver", "--name", c.Name, "--seconds", fmt.Sprint(int(pause.Seconds())))
	return err
}

// RestartKubelet starts the kubelet of a local cluster again, with a soft eviction threshold such as memory.available<2Gi,
// or as usual where it is empty.
func (c *Cluster) RestartKubelet(ctx context.Context, evictionSoft string) error {
	_, err := c.run(ctx, "kubebot-cluster", "kubelet", "--name", c.Name, "--eviction-soft", evictionSoft)
	return err
}

// Exec runs a program in the network of a local cluster's node.
func (c *Cluster) Exec(ctx context.Context, program ...string) error {
	_, err := c.run(ctx, "kubebot-cluster", append([]string{"exec", "--name", c.Name, "--"}, program...)...)
	return err
}
