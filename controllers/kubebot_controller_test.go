package controllers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

func TestAppliesThenRestsWithoutWrites(t *testing.T) {
	b := newBench(t, web(), agent()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	var deployment appsv1.Deployment
	b.get(&deployment, b.ns, "main-web")
	if !metav1.IsControlledBy(&deployment, kb) {
		t.Errorf("owners of the Deployment: %v", deployment.OwnerReferences)
	}
	var daemons appsv1.DaemonSet
	b.get(&daemons, b.nodes, "main-agent")
	if len(daemons.OwnerReferences) != 1 || daemons.OwnerReferences[0].Kind != "Namespace" {
		t.Errorf("owners of the DaemonSet: %v", daemons.OwnerReferences)
	}
	if len(kb.Status.Inventory) != 5 {
		t.Errorf("inventory %v, want Secret, Deployment, Service, ConfigMap and DaemonSet", kb.Status.Inventory)
	}
	if len(kb.Finalizers) != 1 || kb.Finalizers[0] != naming.Finalizer {
		t.Errorf("finalizers %v while a DaemonSet is outside", kb.Finalizers)
	}
	b.rests(kb)

	b.stop()
	b.start() // a manager that starts anew remembers nothing
	time.Sleep(2 * time.Second)
	if writes := b.writes.Take(); len(writes) > 0 {
		t.Errorf("writes of a manager that starts anew: %v", writes)
	}
	b.rests(kb)
}

func TestValueThatTheAPIServerWritesInAnotherFormIsNotWrittenAgainAndAgain(t *testing.T) {
	odd := &fake{name: "odd", build: func(in component.Input) ([]client.Object, error) {
		// A target port of 0 becomes the port.
		spec := corev1.ServiceSpec{Selector: naming.Selector(in.KubeBot, "odd"), Ports: []corev1.ServicePort{{Port: 80}}}
		return []client.Object{&corev1.Service{ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "odd", "odd"), Spec: spec}}, nil
	}}
	b := newBench(t, odd, web()).start()
	b.rests(b.ready(b.kubebot(b.ns, "main")))
}

// rests makes passes happen and checks that none writes.
func (b *bench) rests(kb *v1alpha1.KubeBot) {
	b.t.Helper()
	b.quietFor(3 * time.Second) // on a busy machine a pass may stand still for longer than a second
	for pass := range 3 {
		// A status written by somebody else is a change that starts a pass.
		var deployment appsv1.Deployment
		b.get(&deployment, b.ns, kb.Name+"-web")
		deployment.Status.ObservedGeneration = int64(100 + pass)
		if err := b.client.Status().Update(b.t.Context(), &deployment); err != nil {
			b.t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	if writes := b.writes.Take(); len(writes) > 0 {
		b.t.Errorf("writes at rest: %v", writes)
	}
}

// quiet waits until no write was made for a second.
func (b *bench) quiet() { b.quietFor(time.Second) }

// quietFor waits until nothing was written for so long.
func (b *bench) quietFor(d time.Duration) {
	b.t.Helper()
	for range 20 {
		b.writes.Take()
		time.Sleep(d)
		if len(b.writes.Take()) == 0 {
			return
		}
	}
	b.t.Fatal("the manager does not cease to write")
}

func TestDriftIsUndoneAndForeignFieldsStay(t *testing.T) {
	b := newBench(t, web()).start()
	b.ready(b.kubebot(b.ns, "main"))
	b.quiet()
	var deployment appsv1.Deployment
	b.get(&deployment, b.ns, "main-web")
	seven := int32(7)
	deployment.Spec.Replicas = &seven
	deployment.Annotations = map[string]string{"team": "a"}
	deployment.Spec.Template.Spec.Containers[0].Image = "evil:1"
	deployment.Spec.Template.Spec.Containers = append(deployment.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar", Image: "s:1"})
	delete(deployment.Labels, naming.LabelName)
	if err := b.client.Update(t.Context(), &deployment, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	b.eventually("the image to come back", func() error {
		b.get(&deployment, b.ns, "main-web")
		if got := deployment.Spec.Template.Spec.Containers[0].Image; got != "web:1" {
			return fmt.Errorf("image %s", got)
		}
		return nil
	})
	if *deployment.Spec.Replicas != 7 || deployment.Annotations["team"] != "a" || len(deployment.Spec.Template.Spec.Containers) != 2 {
		t.Errorf("fields that KubeBot does not set are lost: %+v", deployment.Spec)
	}
	if deployment.Labels[naming.LabelName] != "main" {
		t.Errorf("labels %v", deployment.Labels)
	}
	if err := b.client.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "main-web"}}); err != nil {
		t.Fatal(err)
	}
	b.get(&corev1.Service{}, b.ns, "main-web")
	b.rests(&v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main"}})
}

func TestDisabledComponentIsPrunedAndComesBack(t *testing.T) {
	b := newBench(t, web(), agent()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
	b.update(kb, func(kb *v1alpha1.KubeBot) {
		kb.Spec.Metrics.Alertmanager.Mode, kb.Spec.Metrics.NodeExporter.Mode = v1alpha1.ModeDisabled, "Disabled"
	})
	b.gone(&appsv1.Deployment{}, b.ns, "main-web")
	b.gone(&corev1.Service{}, b.ns, "main-web")
	b.gone(&appsv1.DaemonSet{}, b.nodes, "main-agent")
	b.eventually("finalizer and inventory to go", func() error {
		var live v1alpha1.KubeBot
		b.get(&live, b.ns, "main")
		if len(live.Finalizers) > 0 || len(live.Status.Inventory) != 1 {
			return fmt.Errorf("finalizers %v, inventory %v", live.Finalizers, live.Status.Inventory)
		}
		return nil
	})
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeManaged })
	b.get(&appsv1.Deployment{}, b.ns, "main-web")
}

func TestConfigurationStaysAsLongAsAPodMountsIt(t *testing.T) {
	b := newBench(t, web()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "old", Labels: naming.Selector(kb, "web")}}
	pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "main-web"},
	}}}}
	b.create(pod)
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled })
	b.gone(&appsv1.Deployment{}, b.ns, "main-web")
	b.gone(&corev1.Service{}, b.ns, "main-web")
	b.quiet()
	b.get(&corev1.ConfigMap{}, b.ns, "main-web")
	if err := b.client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	b.gone(&corev1.ConfigMap{}, b.ns, "main-web")
}

func TestPruneSparesForeignObjects(t *testing.T) {
	b := newBench(t, web()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	b.stop()
	mine := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "main-web"}}
	if err := b.client.Delete(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "main-web"}})
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled })
	b.start()
	b.gone(&appsv1.Deployment{}, b.ns, "main-web")
	b.quiet()
	b.get(&corev1.ConfigMap{}, b.ns, "main-web")
}

func TestDeletionRemovesWhatIsOutside(t *testing.T) {
	for name, inRelease := range map[string]bool{
		"with the finalizer, in another namespace": false,
		"by labels, in the manager's namespace":    true,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, web(), agent())
			if inRelease {
				b.options.Namespaces, b.ns = []string{b.release}, b.release
			}
			b.start()
			kb := b.ready(b.kubebot(b.ns, "main"))
			b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
			if got := len(kb.Finalizers) > 0; got == inRelease {
				t.Errorf("finalizers %v", kb.Finalizers)
			}
			if err := b.client.Delete(t.Context(), kb); err != nil {
				t.Fatal(err)
			}
			b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
			b.gone(&appsv1.DaemonSet{}, b.nodes, "main-agent")
		})
	}
}

func TestObjectsOfKubeBotsThatWentMeanwhileAreRemovedAtStart(t *testing.T) {
	b := newBench(t, agent())
	b.options.Namespaces, b.ns = []string{b.release}, b.release
	b.start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
	b.stop()
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
	b.start()
	b.gone(&appsv1.DaemonSet{}, b.nodes, "main-agent")
}

func TestDeletionDoesNotHangWhenTheNamespaceOfNodesGoes(t *testing.T) {
	b := newBench(t, agent()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	if err := b.client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.nodes}}); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
}

func TestDeletionDoesNotHangWhenItsOwnNamespaceGoes(t *testing.T) {
	b := newBench(t, web(), agent()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	if err := b.client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.ns}}); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
	b.gone(&appsv1.DaemonSet{}, b.nodes, "main-agent")
}

func TestTheOldestKubeBotIsActiveAndTheNextTakesOver(t *testing.T) {
	b := newBench(t, web()).start()
	first := b.ready(b.kubebot(b.ns, "zulu"))
	time.Sleep(1100 * time.Millisecond) // creation times have a resolution of a second
	second := b.kubebot(b.ns, "alpha")
	stalled := b.condition(second, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonClusterScopeTaken)
	if n := len(stalled.Status.Inventory); n != 0 {
		t.Errorf("a KubeBot that is not active has %d objects", n)
	}
	if err := b.client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	b.ready(second)
	b.get(&appsv1.Deployment{}, b.ns, "alpha-web")
}

func TestNamespaceThatIsNotServed(t *testing.T) {
	b := newBench(t, web()).start()
	elsewhere := b.kubebot(b.nodes, "main")
	live := b.condition(elsewhere, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNamespaceNotServed)
	if message := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionStalled).Message; !contains(message, "--reset-then-reuse-values") {
		t.Errorf("the message is %q", message)
	}
	time.Sleep(1100 * time.Millisecond)
	b.ready(b.kubebot(b.ns, "main")) // the older one, which is not served, does not hold the cluster
}

func TestNamespaceThatIsNoLongerServed(t *testing.T) {
	b := newBench(t, web(), agent()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
	b.stop()
	b.options.Namespaces = []string{b.release}
	b.start()
	live := b.condition(kb, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNamespaceNotServed)
	b.gone(&appsv1.DaemonSet{}, b.nodes, "main-agent")
	if len(live.Finalizers) > 0 || len(live.Status.Inventory) != 4 {
		t.Errorf("finalizers %v, inventory %v", live.Finalizers, live.Status.Inventory)
	}
	b.get(&appsv1.Deployment{}, b.ns, "main-web")
	b.ready(b.kubebot(b.release, "next"))
	b.get(&appsv1.DaemonSet{}, b.nodes, "next-agent")
}

func TestSuspendLeavesEverythingAsItIs(t *testing.T) {
	b := newBench(t, web()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Suspend = true })
	b.condition(kb, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	b.quiet()
	var deployment appsv1.Deployment
	b.get(&deployment, b.ns, "main-web")
	deployment.Spec.Template.Spec.Containers[0].Image = "mine:1"
	if err := b.client.Update(t.Context(), &deployment, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled })
	b.condition(kb, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	b.get(&deployment, b.ns, "main-web")
	if got := deployment.Spec.Template.Spec.Containers[0].Image; got != "mine:1" {
		t.Errorf("image %s: changed while suspended", got)
	}
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Suspend = false })
	b.gone(&appsv1.Deployment{}, b.ns, "main-web")
}

func TestErrorOfOneComponentMarksItAloneAndSparesItsObjects(t *testing.T) {
	choosy := &fake{name: "choosy", build: func(in component.Input) ([]client.Object, error) {
		if in.KubeBot.Spec.ClusterName == "bad" {
			return nil, &component.InvalidError{Field: "spec.clusterName", Message: "bad is not good; choose another"}
		}
		return []client.Object{&corev1.ConfigMap{ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "choosy", "choosy")}}, nil
	}}
	refused := &fake{name: "refused", build: func(in component.Input) ([]client.Object, error) {
		return []client.Object{&corev1.Service{ObjectMeta: objectMeta(in, in.KubeBot.Namespace, "refused", "refused")}}, nil
	}}
	broken := &fake{name: "broken", build: func(component.Input) ([]client.Object, error) { return nil, errors.New("out of ideas") }}
	b := newBench(t, choosy, refused, broken, web()).start()
	kb := b.kubebot(b.ns, "main")
	b.condition(kb, "ChoosyReady", metav1.ConditionTrue, v1alpha1.ReasonReady)
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = "bad" })
	live := b.condition(kb, "ChoosyReady", metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	b.condition(kb, "RefusedReady", metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	b.condition(kb, "BrokenReady", metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	b.condition(kb, "WebReady", metav1.ConditionTrue, v1alpha1.ReasonReady)
	b.condition(kb, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	b.get(&corev1.ConfigMap{}, b.ns, "main-choosy")
	var web corev1.ConfigMap
	b.eventually("the change to reach the other component", func() error {
		b.get(&web, b.ns, "main-web")
		if web.Data["cluster"] != "bad" {
			return fmt.Errorf("data %v", web.Data)
		}
		return nil
	})
	found := false
	for _, ref := range live.Status.Inventory {
		found = found || ref.Name == "main-choosy"
	}
	if !found {
		t.Errorf("inventory %v lost the object of the component that could not be built", live.Status.Inventory)
	}
	b.eventually("an event", func() error {
		var list corev1.EventList
		if err := b.client.List(t.Context(), &list, client.InNamespace(b.ns)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == v1alpha1.ReasonInvalidSpec && e.InvolvedObject.Name == "main" {
				return nil
			}
		}
		return fmt.Errorf("none with reason InvalidSpec among %d", len(list.Items))
	})
}

func TestCredentialsAreGeneratedKeptAndRotated(t *testing.T) {
	b := newBench(t, web()).start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	var first, secret corev1.Secret
	b.get(&first, b.ns, "main-credentials")
	for _, key := range []string{credentials.KeyToken, credentials.KeyCA, credentials.KeyCert, credentials.KeyKey} {
		if len(first.Data[key]) == 0 {
			t.Errorf("%s is empty", key)
		}
	}
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = "other" })
	b.ready(kb)
	b.get(&secret, b.ns, "main-credentials")
	if secret.ResourceVersion != first.ResourceVersion {
		t.Error("the Secret was written again without need")
	}
	step := func(name string, ahead time.Duration, done func() bool) {
		b.clock.forward(ahead)
		b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = name })
		b.eventually("the step "+name, func() error {
			b.get(&secret, b.ns, "main-credentials")
			if !done() {
				return errors.New("not done")
			}
			return nil
		})
	}
	step("prepare", 250*24*time.Hour, func() bool { return len(secret.Data[credentials.KeyNextCert]) > 0 })
	if string(secret.Data[credentials.KeyToken]) != string(first.Data[credentials.KeyToken]) {
		t.Error("the new token is used before everybody accepts it")
	}
	step("rotate", 2*time.Hour, func() bool { return len(secret.Data[credentials.KeyNextCert]) == 0 })
	if string(secret.Data[credentials.KeyTokenPrevious]) != string(first.Data[credentials.KeyToken]) {
		t.Error("the previous token is not kept")
	}
	live := b.ready(kb)
	raw, err := json.Marshal(live)
	if err != nil {
		t.Fatal(err)
	}
	if token := string(secret.Data[credentials.KeyToken]); token == "" || contains(string(raw), token) {
		t.Error("the token is in the KubeBot")
	}
}

func TestVolumeClaimsStayOrGoAsTheSpecSays(t *testing.T) {
	claim := func(b *bench, name string) *corev1.PersistentVolumeClaim {
		pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name, Labels: map[string]string{
			naming.LabelName: "main", naming.LabelNamespace: b.ns, naming.LabelComponent: "prometheus",
		}}}
		pvc.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		pvc.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}
		b.create(pvc)
		return pvc
	}
	b := newBench(t, web())
	claim(b, "data")
	b.start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	var pvc corev1.PersistentVolumeClaim
	owned := func(want int) {
		t.Helper()
		b.eventually(fmt.Sprintf("%d owners", want), func() error {
			b.get(&pvc, b.ns, "data")
			if len(pvc.OwnerReferences) != want || pvc.DeletionTimestamp != nil {
				return fmt.Errorf("owners %v, deleted %v", pvc.OwnerReferences, pvc.DeletionTimestamp)
			}
			return nil
		})
	}
	mode := func(mode v1alpha1.Mode, when v1alpha1.WhenDeleted) {
		b.update(kb, func(kb *v1alpha1.KubeBot) {
			kb.Spec.Metrics.Prometheus.Mode, kb.Spec.Metrics.Prometheus.Storage.WhenDeleted = mode, when
		})
		b.ready(kb)
	}
	mode(v1alpha1.ModeManaged, v1alpha1.WhenDeletedDelete)
	owned(1)
	mode(v1alpha1.ModeManaged, v1alpha1.WhenDeletedRetain)
	owned(0)
	mode(v1alpha1.ModeDisabled, v1alpha1.WhenDeletedRetain)
	b.quiet()
	owned(0)
	mode(v1alpha1.ModeDisabled, v1alpha1.WhenDeletedDelete)
	b.eventually("the claim to go", func() error {
		err := b.client.Get(t.Context(), client.ObjectKeyFromObject(&pvc), &pvc)
		if err == nil && pvc.DeletionTimestamp == nil {
			return errors.New("still there")
		}
		return nil
	})
}

func TestOneOfTwoManagersWorksAndTheOtherTakesOver(t *testing.T) {
	b := newBench(t, web())
	b.options.LeaderElect = true
	b.start()
	kb := b.ready(b.kubebot(b.ns, "main"))
	stopFirst := b.stop

	first := &b.writes
	second := apitest.Writes{}
	b.options.Config = second.Wrap(config)
	b.start()
	b.quiet()
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = "one" })
	b.ready(kb)
	if writes := second.Take(); len(writes) > 0 {
		t.Errorf("the manager that does not lead writes: %v", writes)
	}
	stopFirst()
	first.Take()
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = "two" })
	b.ready(kb)
	if len(second.Take()) == 0 || len(first.Take()) > 0 {
		t.Error("the second manager did not take over")
	}
}
