package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubebot/kubebot/internal/component/collector"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/servicename"
)

// TestTheOpenTelemetryOperatorInstruments runs the real operator with its own resources and webhooks: it fills in the
// images of its agents, and gives a pod with a label of KubeBot the agent of that language, which sends to the collector.
func TestTheOpenTelemetryOperatorInstruments(t *testing.T) {
	b := newBench(t, collector.Component{})
	b.runOpenTelemetryOperator()
	b.policy()
	b.start().kubebot(b.ns, "main")
	b.instrumented("dotnet", "java", "nodejs", "python")

	for language, variable := range map[string]string{
		"dotnet": "CORECLR_PROFILER_PATH", "java": "JAVA_TOOL_OPTIONS", "nodejs": "NODE_OPTIONS", "python": "PYTHONPATH",
	} {
		pod := b.instrumentedPod(language)
		inits := pod.Spec.InitContainers
		if len(inits) != 1 || !strings.Contains(inits[0].Image, "autoinstrumentation-"+language+":") {
			t.Errorf("%s: no init container brings the agent: %v", language, inits)
			continue
		}
		app := pod.Spec.Containers[0]
		env := variables(t, app)
		if !strings.Contains(env[variable], "otel-auto-instrumentation-"+language) {
			t.Errorf("%s: %s=%q does not load the agent", language, variable, env[variable])
		}
		for name, want := range map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://main-collector." + b.ns + ".svc:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
			"OTEL_SERVICE_NAME": "shop", "OTEL_PROPAGATORS": "tracecontext,baggage", "OTEL_LOGS_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "parentbased_always_on",
		} {
			if env[name] != want {
				t.Errorf("%s: %s=%q, want %q", language, name, env[name], want)
			}
		}
		if resource := env["OTEL_RESOURCE_ATTRIBUTES"]; !strings.Contains(resource, "k8s.namespace.name=default,k8s.pod.name=$(KUBEBOT_POD_NAME)") || !strings.Contains(resource, "service.version=1") {
			t.Errorf("%s: the resource is %q", language, resource)
		}
		if second := variables(t, pod.Spec.Containers[1]); second[variable] != "" || second["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" {
			t.Errorf("%s: the second container, which the operator leaves alone, has %v", language, second)
		}
	}
	for _, c := range servicename.Cases() {
		// The operator itself names what the policy leaves, by the owner where the cluster has it, which here it has not.
		if got := b.serviceName(c, "disabled", map[string]string{injectJava: b.ns + "/main"}); c.Said && got != c.Want {
			t.Errorf("the operator calls the service of %s %q, want %q", c.Name, got, c.Want)
		}
	}
	if pod := b.instrumentedPod("enabled"); len(pod.Spec.InitContainers) > 0 || variables(t, pod.Spec.Containers[0])["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" {
		t.Errorf("without a language: %v", pod.Spec)
	}
}

// instrumentedPod is what becomes of a pod with a label once the policy is in force.
func (b *bench) instrumentedPod(label string) *corev1.Pod {
	b.t.Helper()
	var pod *corev1.Pod
	b.eventually("a pod to be instrumented by "+label, func() error {
		var err error
		if pod, err = b.pod("default", wish{pod: label}); err != nil {
			return err
		}
		if len(pod.Spec.Containers[0].Env) == 0 || label != "enabled" && len(pod.Spec.InitContainers) == 0 {
			return fmt.Errorf("its containers have %v", pod.Spec.Containers)
		}
		return nil
	})
	return pod
}

var reference = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// variables are a container's own, each there once and after those it refers to, as the kubelet expands no others.
func variables(t *testing.T, c corev1.Container) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, v := range c.Env {
		if _, twice := env[v.Name]; twice {
			t.Errorf("container %s has %s twice", c.Name, v.Name)
		}
		for _, r := range reference.FindAllStringSubmatch(v.Value, -1) {
			if _, before := env[r[1]]; !before {
				t.Errorf("container %s: %s=%s refers to what is not set before", c.Name, v.Name, v.Value)
			}
		}
		env[v.Name] = v.Value
	}
	return env
}

// runOpenTelemetryOperator runs the real program until the test ends, with its resources and webhooks at the API server.
func (b *bench) runOpenTelemetryOperator() {
	b.t.Helper()
	program := golden.Program(b.t, "opentelemetry-operator")
	files := filepath.Join(openTelemetryOperator(b.t), "config")
	b.t.Cleanup(b.install(filepath.Join(files, "crd", "bases")))

	hooks := envtest.WebhookInstallOptions{Paths: []string{filepath.Join(files, "webhook", "manifests.yaml")}, LocalServingHost: "127.0.0.1"}
	b.t.Cleanup(func() {
		for _, hook := range hooks.MutatingWebhooks {
			b.deleteIfThere(hook)
		}
		for _, hook := range hooks.ValidatingWebhooks {
			b.deleteIfThere(hook)
		}
		if err := hooks.Cleanup(); err != nil {
			b.t.Error(err)
		}
	})
	if err := hooks.Install(config); err != nil {
		b.t.Fatal(err)
	}

	// It looks for its certificates in a folder of this name, and for the API server in KUBECONFIG.
	temp := b.t.TempDir()
	if err := os.Mkdir(filepath.Join(temp, "k8s-webhook-server"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Symlink(hooks.LocalServingCertDir, filepath.Join(temp, "k8s-webhook-server", "serving-certs")); err != nil {
		b.t.Fatal(err)
	}
	b.t.Setenv("TMPDIR", temp)
	b.t.Setenv("KUBECONFIG", apitest.Kubeconfig(b.t, config))
	golden.Start(b.t, temp, program, "/readyz", func(address string) []string {
		return []string{"--health-probe-addr=" + address, "--metrics-addr=0", "--metrics-secure=false", fmt.Sprintf("--webhook-port=%d", hooks.LocalServingPort)}
	})
}

func (b *bench) deleteIfThere(obj client.Object) {
	b.t.Helper()
	if err := client.IgnoreNotFound(b.client.Delete(context.Background(), obj)); err != nil {
		b.t.Error(err)
	}
}

// openTelemetryOperator is the folder of the module of which the program is built.
func openTelemetryOperator(t *testing.T) string {
	t.Helper()
	const module = "github.com/open-telemetry/opentelemetry-operator"
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join("..", "test", "components", "opentelemetry-operator")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("download %s: %v\n%s", module, err, out)
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got.Dir
}
