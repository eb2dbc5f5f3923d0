// Package image finds images that can't be pulled, and says what the registry answered.
package image

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds image and registry errors.
var Detector = diagnosis.Detector{Name: "image", Doc: "images that can't be pulled: not found, refused, bad reference, registry out of reach", Detect: detect}

var reasons = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, uninspected: true,
	"RegistryUnavailable": true, "SignatureValidationFailed": true,
}

// refusal is what registries answer to who may not pull.
var refusal = regexp.MustCompile(`(?i)unauthorized|authentication required|access denied|denied:|403 forbidden|insufficient_scope|no basic auth`)

var (
	// short is what a container runtime says of a reference without a registry, before it asks any.
	short = regexp.MustCompile(`(?i)short[- ]name mode|unqualified-search registries|did not resolve to an alias|short-name resolution enforced`)
	// invalid is what it says of a reference that it can't read.
	invalid = regexp.MustCompile(`(?i)invalid reference format|couldn't parse image|InvalidImageName`)
)

// answers are what goes wrong with an image, the first that fits.
var answers = []struct {
	pattern *regexp.Regexp
	says    string
	fix     string
	// reference is set where another reference may mend it.
	reference bool
}{
	{regexp.MustCompile(`(?i)never`),
		"is not on node NODE, and imagePullPolicy is Never",
		"Load the image on the node, or let the kubelet pull it (imagePullPolicy: IfNotPresent).", false},
	{short, "names no registry, and node NODE does not guess one",
		"Write the registry's name in the reference: docker.io/team/app:1 rather than team/app:1.", true},
	{invalid, "is not a valid image reference", "Write the reference as registry/path:tag; registry and path are lower case.", true},
	{regexp.MustCompile(`(?i)toomanyrequests|too many requests|rate limit|\b429\b`),
		"can't be pulled: registry HOST limits the rate of requests",
		"Log in to the registry by an image pull secret, use a mirror, or wait.", false},
	{regexp.MustCompile(`(?i)no such host|server misbehaving|name resolution|lookup \S+`),
		"can't be pulled: the name of registry HOST does not resolve on node NODE",
		"Correct the registry's name in the reference, or the DNS of the node.", true},
	// Also repositories are called x509-certificate-exporter, and error messages hold their paths.
	{regexp.MustCompile(`x509: |failed to verify certificate|certificate (?:signed by|has expired|verify failed)|SSL certificate problem`),
		"can't be pulled: the certificate of registry HOST is not trusted",
		"Renew the registry's certificate, or let the nodes trust its issuer.", false},
	{refusal, "can't be pulled: registry HOST refuses access, or the repository does not exist",
		"Correct the image's name, or give the pod an image pull secret for the registry.", true},
	{regexp.MustCompile(`(?i)no match for platform|no matching manifest`),
		"has no variant for the processor architecture of node NODE", "Use an image that is built for the node's architecture.", true},
	{regexp.MustCompile(`(?i)not found|manifest unknown|name unknown|\b404\b`),
		"does not exist in registry HOST", "Correct the image's name or tag, or push the image.", true},
	{regexp.MustCompile(`(?i)connection refused|i/o timeout|deadline exceeded|unreachable|no route|connection reset|EOF|50[0234] `),
		"can't be pulled: registry HOST can't be reached from node NODE",
		"Check the registry, and the node's way to it (proxy, firewall).", false},
	{regexp.MustCompile(`(?i)no space left`), "can't be pulled: the disk of node NODE is full", "Free space on the node.", false},
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		reason, message := c.Waiting()
		switch {
		case !reasons[reason] || c.Pod.DeletionTimestamp != nil:
		case reason == uninspected && !short.MatchString(message) && !invalid.MatchString(message):
			out = append(out, lookup(f, c, message))
		default:
			out = append(out, explain(f, c, reason, message))
		}
	}
	return out
}

func explain(f *diagnosis.Facts, c diagnosis.Container, reason, message string) diagnosis.Finding {
	owner := f.Owner(c.Pod)
	detail := reason + " " + message
	evidence := []string{fmt.Sprintf("pod %s: container %s waits, %s: %s", c.Pod.Name, c.Spec.Name, reason, diagnosis.Shorten(message, 300))}
	for _, e := range f.PodEvents(c.Pod, "Failed", "InspectFailed", "ErrImageNeverPull") {
		if strings.Contains(e.Message, c.Spec.Image) {
			detail = e.Message + " " + detail
			evidence = append(evidence, diagnosis.EventEvidence(&e))
			break
		}
	}
	var missing login
	says, fix, reference := "can't be pulled: "+diagnosis.Shorten(message, 200), "Look at what the registry answered.", false
	quiet := strings.ReplaceAll(detail, c.Spec.Image, "") // a name such as team/not-found says nothing
	for _, a := range answers {
		if a.pattern.MatchString(quiet) {
			says, fix, reference = a.says, a.fix, a.reference
			if a.pattern == refusal {
				missing = missingLogin(f, c.Pod)
			}
			break
		}
	}
	if reason == "ErrImageNeverPull" {
		says, fix = answers[0].says, answers[0].fix
	}
	says = strings.NewReplacer("HOST", host(c.Spec.Image), "NODE", c.Pod.Spec.NodeName).Replace(says)
	out := diagnosis.Finding{
		Kind: diagnosis.KindImage, Object: owner.Object, Field: c.Path() + ".image", Value: c.Spec.Image,
		Sentence: fmt.Sprintf("Image %s %s; %s of %s uses it", c.Spec.Image, says, c.Noun(), owner.Object),
		Evidence: evidence, Score: diagnosis.ScoreCertain,
	}
	if len(missing.secrets) > 0 {
		return missing.explain(f, c, out)
	}
	another := func(old *corev1.PodSpec) bool {
		o := diagnosis.ContainerNamed(old, c.Spec.Name)
		return o != nil && o.Image != c.Spec.Image
	}
	out.Fix = diagnosis.Fix{Explanation: fix + f.Untried(another), Commands: f.Undo(another)}
	switch {
	case owner.Kind == "Job" || owner.Kind == "CronJob":
	case len(out.Fix.Commands) == 0 && reason == "ErrImageNeverPull" && owner.Kind != "Pod":
		out.Fix = diagnosis.ChangeContainer(owner, c, fix, diagnosis.Operation{Op: "replace", Path: "/imagePullPolicy", Value: "IfNotPresent"})
	case len(out.Fix.Commands) == 0 && !reference:
		out.Fix.Commands = []string{diagnosis.Kubectl(f.NS(), "describe", "pod", c.Pod.Name)}
	case len(out.Fix.Commands) == 0:
		if lower := strings.ToLower(c.Spec.Image); lower != c.Spec.Image && strings.Contains(quiet, "lowercase") {
			out.Fix = diagnosis.FixBy(fix, []diagnosis.Patch{owner.SetImage(c.Spec.Name, lower)})
		} else {
			out.Fix.Explanation += " IMAGE stands for the right reference."
			out.Fix.Commands = []string{owner.SetImage(c.Spec.Name, "IMAGE").Command()}
		}
	}
	return out
}

// host is the registry of a reference: the first part if it has a dot, a colon or is localhost.
func host(image string) string {
	first, _, ok := strings.Cut(image, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "docker.io"
}
