package image

// Component is an image whose program comes from test/components, under the
// reference that KubeBot's manifests use. Paths, users and folders are those of
// the published image, so that manifests behave alike with both.
type Component struct {
	// Name is the folder in test/components.
	Name string
	// Program is the binary's file name in the cache.
	Program string
	Spec    Spec
}

// Base are the images without which no pod and no name resolution works.
func Base() []Component {
	return []Component{
		{Name: "pause", Program: "pause", Spec: Spec{
			Ref: PauseRef, Target: "/pause", User: "65535:65535",
		}},
		{Name: "coredns", Program: "coredns", Spec: Spec{
			Ref: CoreDNSRef, Target: "/coredns", User: "nonroot:nonroot",
			Ports: []string{"53/tcp", "53/udp"},
		}},
	}
}

// References of the images that the cluster itself needs.
const (
	PauseRef   = "registry.k8s.io/pause:3.10"
	CoreDNSRef = "registry.k8s.io/coredns/coredns:v1.15.0"
)

// Stack are the images of the programs that KubeBot deploys.
func Stack() []Component {
	return []Component{
		{Name: "prometheus", Program: "prometheus", Spec: Spec{
			Ref: "quay.io/prometheus/prometheus:v3.15.0", Target: "/bin/prometheus", User: "nobody",
			Cmd:        []string{"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"},
			WorkingDir: "/prometheus", Dirs: []string{"/etc/prometheus", "/prometheus"}, Ports: []string{"9090/tcp"},
		}},
		{Name: "alertmanager", Program: "alertmanager", Spec: Spec{
			Ref: "quay.io/prometheus/alertmanager:v0.31.1", Target: "/bin/alertmanager", User: "nobody",
			Cmd:        []string{"--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"},
			WorkingDir: "/alertmanager", Dirs: []string{"/alertmanager", "/etc/alertmanager"}, Ports: []string{"9093/tcp"},
		}},
		{Name: "prometheus-operator", Program: "prometheus-operator", Spec: Spec{
			Ref: "quay.io/prometheus-operator/prometheus-operator:v0.94.1", Target: "/bin/operator", User: "65534",
		}},
		{Name: "prometheus-operator", Program: "prometheus-config-reloader", Spec: Spec{
			Ref: "quay.io/prometheus-operator/prometheus-config-reloader:v0.94.1", Target: "/bin/prometheus-config-reloader", User: "65534",
		}},
		{Name: "kube-state-metrics", Program: "kube-state-metrics", Spec: Spec{
			Ref: "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0", Target: "/kube-state-metrics", User: "nobody",
			Entrypoint: []string{"/kube-state-metrics", "--port=8080", "--telemetry-port=8081"},
			Ports:      []string{"8080/tcp", "8081/tcp"},
		}},
		{Name: "node-exporter", Program: "node_exporter", Spec: Spec{
			Ref: "quay.io/prometheus/node-exporter:v1.12.1", Target: "/bin/node_exporter", User: "nobody",
			Ports: []string{"9100/tcp"},
		}},
		{Name: "collector", Program: "otelcol-contrib", Spec: Spec{
			Ref: "docker.io/otel/opentelemetry-collector-contrib:0.145.0", Target: "/otelcol-contrib", User: "10001",
			Cmd:   []string{"--config", "/etc/otelcol-contrib/config.yaml"},
			Ports: []string{"4317/tcp", "4318/tcp"},
		}},
		{Name: "loki", Program: "loki", Spec: Spec{
			Ref: "docker.io/grafana/loki:3.7.8", Target: "/usr/bin/loki", User: "10001",
			Cmd:  []string{"-config.file=/etc/loki/local-config.yaml"},
			Dirs: []string{"/etc/loki", "/loki"}, Ports: []string{"3100/tcp"},
		}},
		{Name: "jaeger", Program: "jaeger", Spec: Spec{
			Ref: "docker.io/jaegertracing/jaeger:2.2.0", Target: "/cmd/jaeger/jaeger-linux", User: "10001",
			Env:   []string{"JAEGER_LISTEN_HOST=0.0.0.0"},
			Ports: []string{"4317/tcp", "4318/tcp", "16686/tcp", "13133/tcp"},
		}},
	}
}

// References and paths of the images whose programs come from this repository
// and are therefore given by file.
const (
	KubeBotRef = "ghcr.io/kubebot/kubebot:v0.1.0"
	ShopRef    = "ghcr.io/kubebot/shop:v0.1.0"
)

// KubeBot is the image of KubeBot itself.
func KubeBot(binary string) Spec {
	return Spec{
		Ref: KubeBotRef, Binary: binary, Target: "/kubebot", User: "65532:65532",
		Labels: map[string]string{
			"org.opencontainers.image.title":  "KubeBot",
			"org.opencontainers.image.source": "https://github.com/kubebot/kubebot",
		},
	}
}

// Shop is the image of the small shop that demo and tests watch.
func Shop(binary string) Spec {
	return Spec{Ref: ShopRef, Binary: binary, Target: "/shop", User: "65532:65532"}
}
