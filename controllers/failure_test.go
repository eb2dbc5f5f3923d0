package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestASecretOfSomebodyElseIsToldAndNotTaken(t *testing.T) {
	theirs := metav1.OwnerReference{APIVersion: "external-secrets.io/v1", Kind: "ExternalSecret", Name: "theirs", UID: "1", Controller: new(true)}
	for name, earlier := range map[string]bool{"before the KubeBot is there": false, "while the KubeBot is ready": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, web()).start()
			secret := &corev1.Secret{}
			if earlier {
				b.ready(b.kubebot(b.ns, "main"))
				b.get(secret, b.ns, "main-credentials")
				secret.OwnerReferences = []metav1.OwnerReference{theirs}
				if err := b.client.Update(t.Context(), secret); err != nil {
					t.Fatal(err)
				}
			} else {
				secret.ObjectMeta = metav1.ObjectMeta{Namespace: b.ns, Name: "main-credentials", OwnerReferences: []metav1.OwnerReference{theirs}}
				b.create(secret)
				b.kubebot(b.ns, "main")
			}
			kb := &v1alpha1.KubeBot{}
			b.get(kb, b.ns, "main")
			change := func(name string) { b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = name }) }
			change("one")
			kb = b.condition(kb, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNameTaken)
			stalled := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionStalled)
			if stalled == nil || !strings.Contains(stalled.Message, "main-credentials belongs to ExternalSecret theirs") {
				t.Errorf("Stalled is %+v", stalled)
			}
			if had := meta.FindStatusCondition(kb.Status.Conditions, "WebReady"); (had != nil) != earlier {
				t.Errorf("what was known of the component: %+v", had)
			}
			b.get(secret, b.ns, "main-credentials")
			if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].Name != "theirs" {
				t.Errorf("owners %+v", secret.OwnerReferences)
			}
			if err := b.client.Delete(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			change("two")
			b.ready(kb)
		})
	}
}

// An admission webhook that is down is an error of the API server that may pass by itself, and often does not.
func TestAFailureThatMayPassIsToldWhenItLasts(t *testing.T) {
	b := newBench(t, web())
	kinds := admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}}
	hook := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: b.ns},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "down.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
			Rules:             []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.OperationAll}, Rule: kinds}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: b.ns}},
			SideEffects:       new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}
	b.create(hook)
	b.eventually("the API server to ask the webhook", func() error {
		probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "probe"}}
		if err := b.client.Create(t.Context(), probe, client.DryRunAll); err == nil {
			return errors.New("it takes a Secret without asking")
		}
		return nil
	})
	b.writes.Take()
	kb := b.start().kubebot(b.ns, "main")
	tries := 0
	b.eventually("some tries", func() error {
		for _, w := range b.writes.Take() {
			if strings.Contains(w, "/secrets/") {
				tries++
			}
		}
		if tries < 5 {
			return fmt.Errorf("%d tries", tries)
		}
		return nil
	})
	b.get(kb, b.ns, "main")
	if ready := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		t.Errorf("told after a moment: %+v", ready)
	}
	b.clock.forward(2 * time.Minute)
	kb = b.condition(kb, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	if ready := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(ready.Message, "down.example.com") {
		t.Errorf("Ready is %+v", ready)
	}
	if err := b.client.Delete(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	b.ready(kb)
}
