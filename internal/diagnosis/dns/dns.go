// Package dns finds names that do not resolve, from log lines: a Service that does not exist, or a cluster DNS that does
// not answer.
package dns

import (
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/mask"
)

// Detector finds names that do not resolve.
var Detector = diagnosis.Detector{Name: "dns", Doc: "names that do not resolve, and a DNS that does not answer", Detect: detect}

// silent is what a DNS that does not answer looks like.
var silent = regexp.MustCompile(
	`(?i)lookup .*(?:i/o timeout|connection refused|deadline exceeded|server misbehaving)|EAI_AGAIN|temporary failure in name resolution|server host '[^']+' \(-3\)`)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range calls.Of(f, logline.ClassDNS) {
		host := c.Endpoint.Host
		if host == "" || net.ParseIP(host) != nil {
			continue
		}
		x := diagnosis.Finding{
			Kind: diagnosis.KindDNS, Object: f.Workload.Object, Field: "name", Value: host, Score: diagnosis.ScoreLikely,
			Evidence: []string{c.Evidence()},
		}
		name, local := calls.Name(f, host)
		switch {
		case local && f.Service(name) == nil && f.Knows("Service"):
			out = append(out, noService(f, x, host, name))
		case ownResolver(f) != "":
			y := otherResolver(f, x, c, host)
			if i := slices.IndexFunc(out, func(o diagnosis.Finding) bool { return o.Field == y.Field }); i >= 0 {
				out[i].Evidence = append(out[i].Evidence, y.Evidence...) // one resolver, another name
				continue
			}
			out = append(out, y)
		case silent.MatchString(c.Line):
			out = append(out, noAnswer(f, x, host))
		default:
			x.Sentence = fmt.Sprintf("The name %s, which %s calls, does not resolve", host, f.Workload.Object)
			if s, ok := calls.SettingOf(f, host); ok {
				x.Field, x.Value = field(s), mask.Value(s.Name, s.Value)
				x.Sentence += fmt.Sprintf("; environment variable %s of container %s has it", s.Name, s.Container)
			}
			x.Fix = diagnosis.Fix{Explanation: "Correct the name, or make its DNS record.", Commands: logs(f, c)}
			out = append(out, x)
		}
	}
	return out
}

func field(s calls.Setting) string { return fmt.Sprintf("containers[%s].env[%s]", s.Container, s.Name) }

func logs(f *diagnosis.Facts, c calls.Call) []string {
	return []string{c.LogsCommand(f.NS())}
}

func noService(f *diagnosis.Facts, x diagnosis.Finding, host, name string) diagnosis.Finding {
	x.Score = diagnosis.ScoreStrong
	x.Sentence = fmt.Sprintf("Service %s does not exist in namespace %s, so the name %s that %s calls does not resolve", name, f.NS(), host, f.Workload.Object)
	x.Fix = diagnosis.Fix{Explanation: "Make the Service, or correct the name.", Commands: []string{diagnosis.Kubectl(f.NS(), "get", "services")}}
	s, ok := calls.SettingOf(f, host)
	if !ok {
		return x
	}
	shown := mask.Value(s.Name, s.Value)
	x.Field, x.Value = field(s), shown
	x.Sentence += fmt.Sprintf("; its environment variable %s is %q", s.Name, shown)
	var services []string
	for _, svc := range f.Services {
		services = append(services, svc.Name)
	}
	if near := diagnosis.Near(name, services); near != "" && f.Workload.Kind != "Pod" && f.Workload.Kind != "Job" && shown == s.Value {
		x.Fix = diagnosis.FixBy(fmt.Sprintf("Make the Service, or call the like-named %s, which exists.", near),
			[]diagnosis.Patch{f.Workload.SetEnv(s.Container, s.Name, strings.Replace(s.Value, name, near, 1))})
	}
	return x
}

// ownResolver is the DNS policy by which the pods do not ask the cluster's DNS first; empty where they do.
func ownResolver(f *diagnosis.Facts) corev1.DNSPolicy {
	spec := &f.Workload.Template.Spec
	if spec.DNSPolicy == corev1.DNSNone || spec.DNSPolicy == corev1.DNSDefault || spec.DNSPolicy == corev1.DNSClusterFirst && spec.HostNetwork {
		return spec.DNSPolicy
	}
	return ""
}

// otherResolver is for pods whose own settings lead past the cluster's DNS.
func otherResolver(f *diagnosis.Facts, x diagnosis.Finding, c calls.Call, host string) diagnosis.Finding {
	spec := &f.Workload.Template.Spec
	x.Field, x.Value = "dnsPolicy", string(spec.DNSPolicy)
	asks := "their node's DNS (dnsPolicy Default)"
	switch spec.DNSPolicy {
	case corev1.DNSClusterFirst:
		asks = "their node's DNS (hostNetwork with dnsPolicy ClusterFirst)"
	case corev1.DNSNone:
		var servers []string
		if spec.DNSConfig != nil {
			servers = spec.DNSConfig.Nameservers
		}
		x.Field, x.Value = "dnsConfig.nameservers", strings.Join(servers, ", ")
		asks = "the nameservers " + x.Value + " of their own dnsConfig (dnsPolicy None)"
	}
	does := "and do not get " + host + " resolved"
	if silent.MatchString(c.Line) {
		does = "and get no answer about " + host
		x.Score = diagnosis.ScoreStrong
	}
	if name, local := calls.Name(f, host); local && f.Service(name) != nil {
		does += ", a Service of the cluster"
		x.Score = diagnosis.ScoreStrong
	}
	x.Sentence = fmt.Sprintf("Pods of %s ask %s, %s", f.Workload.Object, asks, does)
	x.Fix = diagnosis.Fix{
		Explanation: "Let the pods ask the cluster's DNS: dnsPolicy ClusterFirst, or ClusterFirstWithHostNet with hostNetwork; or correct the nameservers.",
		Commands: append(f.Undo(func(old *corev1.PodSpec) bool {
			return old.DNSPolicy != spec.DNSPolicy || !reflect.DeepEqual(old.DNSConfig, spec.DNSConfig)
		}), logs(f, c)...),
	}
	return x
}

func noAnswer(f *diagnosis.Facts, x diagnosis.Finding, host string) diagnosis.Finding {
	x.Object = diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "kube-system", Name: "kube-dns"}
	x.Field = "endpoints"
	x.Sentence = fmt.Sprintf("The cluster's DNS does not answer %s when it looks up %s", f.Workload.Object, host)
	x.Fix = diagnosis.Fix{Explanation: "Check that the DNS pods are ready, and that no network policy cuts port 53.", Commands: []string{
		diagnosis.Kubectl("kube-system", "get", "pods,endpointslices", "-l", "k8s-app=kube-dns"),
		diagnosis.Kubectl(f.NS(), "get", "networkpolicies"),
	}}
	return x
}
