package collector

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// IDs of the receivers' components.
const (
	idAttributes = "k8sattributes"
	idUnnamed    = "transform/unnamed"
	idNamed      = "transform/named"
	idLift       = "groupbyattrs"
	idCluster    = "resource/cluster"
	idBalancer   = "loadbalancing"
	idSamplers   = "otlp_grpc/samplers"
	idEvents     = endpoints.EventsReceiver
	idMapEvents  = "transform/events"
	idOldEvents  = "filter/old-events"
	idObserved   = "transform/observed"
	idSendEvents = "otlp_grpc/events"
)

// clusterAttribute is the resource attribute with the cluster's name.
const clusterAttribute = "k8s.cluster.name"

// receiverConfig takes OTLP in, says which pod it came from and hands it to the samplers. Spans go by their trace's ID
// through a short queue in memory; logs, metrics and events are acknowledged only when a sampler has them on disk, so
// that none is lost with a receiver.
func receiverConfig(in component.Input) otelcol.Config {
	kb := in.KubeBot
	c := otelcol.Base()
	c.Receivers[otelcol.OTLPID] = otelcol.OTLPReceiver{Protocols: otelcol.Protocols{GRPC: otelcol.GRPC(receiverAge), HTTP: otelcol.HTTP()}}
	c.Processors[idUnnamed], c.Processors[idNamed] = resources(takeUnknown), named()
	c.Processors[idAttributes] = attributes()
	c.Processors[idCluster] = clusterName(in)
	c.Exporters[idBalancer] = balancer(kb)
	c.Exporters[idSamplers] = samplersExporter(kb, patience)

	names := []string{idUnnamed, idAttributes, idNamed, idCluster}
	processors := append([]string{otelcol.MemoryLimiterID}, names...)
	c.Service.Pipelines["traces"] = otelcol.Pipeline{Receivers: []string{otelcol.OTLPID}, Processors: processors, Exporters: []string{idBalancer}}
	c.Service.Pipelines["metrics"] = otelcol.Pipeline{Receivers: []string{otelcol.OTLPID}, Processors: processors, Exporters: []string{idSamplers}}
	// Fluent Bit says with each record which container it is of; before that is lifted, every line would be the shipper's.
	c.Processors[idLift] = groupByAttributes{Keys: endpoints.LogResourceKeys}
	c.Service.Pipelines["logs"] = otelcol.Pipeline{
		Receivers: []string{otelcol.OTLPID}, Processors: append([]string{otelcol.MemoryLimiterID, idLift}, names...), Exporters: []string{idSamplers},
	}
	return c
}

func clusterName(in component.Input) otelcol.Attributes {
	return otelcol.Attributes{Attributes: []otelcol.AttributeAction{{Key: clusterAttribute, Value: in.ClusterName, Action: "upsert"}}}
}

func watchesEvents(kb *v1alpha1.KubeBot) bool {
	return kb.Spec.Events.Collection != v1alpha1.SwitchDisabled
}

// balancer finds the samplers by DNS, which leaves out those that are going. Only when one has not answered for longer
// than that takes are spans given to another: what is repeated then counts twice in span metrics.
func balancer(kb *v1alpha1.KubeBot) loadBalancing {
	return loadBalancing{
		RoutingKey: "traceID",
		Protocol: protocol{OTLP: endpointExporter{
			TLS: insecure, Compression: "none",
			Retry: otelcol.Retry{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: endpointPatience},
		}},
		Resolver: resolver{DNS: dnsResolver{
			Hostname: serviceHost(kb, samplerName), Port: strconv.Itoa(endpoints.OTLPGRPCPort), Interval: resolveInterval, Timeout: resolveInterval,
		}},
		Retry: otelcol.Retry{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second},
		Queue: otelcol.Queue{Enabled: true, Sizer: "bytes", QueueSize: queueBytes},
	}
}

// samplersExporter reaches the samplers through a Service with an address of its own: the connection's end leads to
// another of those that are ready.
func samplersExporter(kb *v1alpha1.KubeBot, patience time.Duration) otelcol.OTLPExporter {
	return otelcol.OTLPExporter{
		Endpoint: fmt.Sprintf("%s:%d", serviceHost(kb, balancedName), endpoints.OTLPGRPCPort),
		TLS:      insecure, Compression: "none", Timeout: 5 * time.Second,
		Retry: otelcol.Retry{Enabled: true, InitialInterval: 250 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: patience},
	}
}

func serviceHost(kb *v1alpha1.KubeBot, suffix string) string {
	return fmt.Sprintf("%s.%s.svc", naming.Object(kb, suffix), kb.Namespace)
}

// An SDK that is told no name calls its service unknown_service:<program>, the same for all programs of a language. The pod
// names it better, but what names it by the pod leaves a name that is there alone; so that one steps aside, and comes back
// where the pod is not known.
const unknownService = `resource.attributes["kubebot.unknown_service"]`

var (
	takeUnknown = []string{
		`set(` + unknownService + `, resource.attributes["service.name"]) where IsMatch(resource.attributes["service.name"], "^unknown_service")`,
		`delete_key(resource.attributes, "service.name") where ` + unknownService + ` != nil`,
	}
	giveUnknown = []string{
		`set(resource.attributes["service.name"], ` + unknownService + `) where resource.attributes["service.name"] == nil`,
		`delete_key(resource.attributes, "kubebot.unknown_service")`,
	}
)

// named gives back the name that is better than none. Lines whose pod neither Fluent Bit nor the receivers know have none:
// they are their pod's.
func named() otelcol.Transform {
	t := resources(giveUnknown)
	t.LogStatements = append(slices.Clip(giveUnknown),
		`set(resource.attributes["service.name"], resource.attributes["k8s.pod.name"]) where resource.attributes["service.name"] == nil`)
	return t
}

// resources changes the resources of every signal.
func resources(statements []string) otelcol.Transform {
	return otelcol.Transform{ErrorMode: "ignore", TraceStatements: statements, LogStatements: statements, MetricStatements: statements}
}

// attributes finds the pod by what a shipper of logs says, or an SDK, else by the address that the data came from. The
// Deployment's name is that of the ReplicaSet's owner: the option to cut it off the ReplicaSet's name expects a hash of
// ten characters, and there are shorter ones.
func attributes() k8sAttributes {
	byAttributes := func(names ...string) association {
		var a association
		for _, name := range names {
			a.Sources = append(a.Sources, source{From: "resource_attribute", Name: name})
		}
		return a
	}
	return k8sAttributes{
		AuthType: "serviceAccount", WaitForMeta: true, WaitTimeout: metadataPatience,
		Extract: extract{
			Metadata: []string{
				"k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.node.name", "k8s.container.name",
				"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.cronjob.name",
				"service.name",
			},
			// It wins over the labels app.kubernetes.io/instance and name and the workload, of which service.name is else made.
			Annotations: []extractedField{{TagName: "service.name", Key: "resource.opentelemetry.io/service.name", From: "pod"}},
		},
		PodAssociation: []association{
			byAttributes("k8s.pod.uid"),
			byAttributes("k8s.pod.name", "k8s.namespace.name"),
			byAttributes("k8s.pod.ip"),
			{Sources: []source{{From: "connection"}}},
		},
	}
}
