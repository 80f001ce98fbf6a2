package deploy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// What the API server would be sent, by kind and name. A field that its types do not know is a failure.
func manifests(t *testing.T) map[string]any {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy/kubernetes"))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]func() any{
		"v1 Namespace":                       func() any { return new(core.Namespace) },
		"v1 ConfigMap":                       func() any { return new(core.ConfigMap) },
		"v1 Service":                         func() any { return new(core.Service) },
		"apps/v1 StatefulSet":                func() any { return new(apps.StatefulSet) },
		"apps/v1 Deployment":                 func() any { return new(apps.Deployment) },
		"networking.k8s.io/v1 NetworkPolicy": func() any { return new(network.NetworkPolicy) },
	}
	found := map[string]any{}
	for _, one := range built.Resources() {
		kind := one.GetApiVersion() + " " + one.GetKind()
		if types[kind] == nil {
			t.Fatalf("nobody expects a %s", kind)
		}
		text, err := one.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object := types[kind]()
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Errorf("%s %s: %v", kind, one.GetName(), err)
		}
		if one.GetKind() != "Namespace" && one.GetNamespace() != "mosaajii" {
			t.Errorf("%s %s is in no namespace of its own", kind, one.GetName())
		}
		found[one.GetKind()+" "+one.GetName()] = object
	}
	return found
}

func isTrue(value *bool) bool  { return value != nil && *value }
func isFalse(value *bool) bool { return value != nil && !*value }

// hardened holds a pod to what the restricted profile asks for, and to more: a read-only root, limits, probes.
func hardened(t *testing.T, where string, pod *core.PodSpec) {
	t.Helper()
	security := pod.SecurityContext
	if security == nil || !isTrue(security.RunAsNonRoot) || security.RunAsUser == nil || *security.RunAsUser != 10001 ||
		security.SeccompProfile == nil || security.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: the pod's security context is %+v", where, security)
	}
	if !isFalse(pod.AutomountServiceAccountToken) || !isFalse(pod.EnableServiceLinks) || pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Errorf("%s has a token, links or something of its host", where)
	}
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
		if volume.HostPath != nil {
			t.Errorf("%s mounts %s of its host", where, volume.HostPath.Path)
		}
	}
	for _, container := range pod.Containers {
		s := container.SecurityContext
		if s == nil || !isFalse(s.AllowPrivilegeEscalation) || !isTrue(s.ReadOnlyRootFilesystem) || s.Capabilities == nil ||
			!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 || s.Privileged != nil {
			t.Errorf("%s: the security context is %+v", where, s)
		}
		if container.Resources.Limits.Memory().IsZero() || container.Resources.Limits.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() {
			t.Errorf("%s has no limits", where)
		}
		if container.ReadinessProbe == nil || container.LivenessProbe == nil {
			t.Errorf("%s has no probes", where)
		}
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] && mount.Name != "state" {
				t.Errorf("%s mounts %s, which there is not", where, mount.Name)
			}
		}
		for _, variable := range container.Env {
			known(t, where, variable.Name)
		}
	}
}

func TestKubernetes(t *testing.T) {
	found := manifests(t)
	server, ok := found["StatefulSet mosaajii-server"].(*apps.StatefulSet)
	gateway, ok2 := found["Deployment mosaajii-gateway"].(*apps.Deployment)
	settings, ok3 := found["ConfigMap mosaajii-settings"].(*core.ConfigMap)
	if !ok || !ok2 || !ok3 {
		t.Fatalf("server, gateway or settings are missing")
	}
	hardened(t, "server", &server.Spec.Template.Spec)
	hardened(t, "gateway", &gateway.Spec.Template.Spec)
	if *server.Spec.Replicas != 1 || len(server.Spec.VolumeClaimTemplates) != 1 || server.Spec.VolumeClaimTemplates[0].Name != "state" {
		t.Errorf("the server is to be one, with one volume of its own")
	}
	for name := range settings.Data {
		known(t, "settings", name)
	}
	container := server.Spec.Template.Spec.Containers[0]
	if !slices.Equal(container.ReadinessProbe.Exec.Command[3:], []string{"mosaajii", "health"}) || container.StartupProbe == nil {
		t.Errorf("the server's probe is %v", container.ReadinessProbe.Exec.Command)
	}
	if container.EnvFrom[1].SecretRef.Name != "mosaajii-secrets" {
		t.Errorf("secrets come from %+v", container.EnvFrom)
	}
	probe := gateway.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet
	if probe.Path != "/readyz" || probe.Scheme != core.URISchemeHTTPS || !strings.HasSuffix(gateway.Spec.Template.Spec.Containers[0].Image, ":0.1.0") {
		t.Errorf("the gateway's probe is %+v", probe)
	}
}

// Services and policies find the pods that they are for, and name ports that these have.
func TestSelectorsAndPorts(t *testing.T) {
	found := manifests(t)
	pods := map[string]core.PodTemplateSpec{
		"mosaajii-server":  found["StatefulSet mosaajii-server"].(*apps.StatefulSet).Spec.Template,
		"mosaajii-gateway": found["Deployment mosaajii-gateway"].(*apps.Deployment).Spec.Template,
	}
	has := func(selector map[string]string, port intstr.IntOrString) error {
		for name, pod := range pods {
			if pod.Labels["app.kubernetes.io/name"] != name {
				return fmt.Errorf("the pod of %s is called %v", name, pod.Labels)
			}
			if selector["app.kubernetes.io/name"] == name {
				for _, one := range pod.Spec.Containers[0].Ports {
					if one.Name == port.String() {
						return nil
					}
				}
				return fmt.Errorf("%s has no port %s", name, port.String())
			}
		}
		return fmt.Errorf("%v selects nothing", selector)
	}
	denied := false
	for name, object := range found {
		switch o := object.(type) {
		case *core.Service:
			if err := has(o.Spec.Selector, o.Spec.Ports[0].TargetPort); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case *network.NetworkPolicy:
			if len(o.Spec.PolicyTypes) != 2 {
				t.Errorf("%s leaves a direction open", name)
			}
			denied = denied || len(o.Spec.PodSelector.MatchLabels) == 0 && len(o.Spec.Ingress) == 0 && len(o.Spec.Egress) == 0
			for _, rule := range o.Spec.Ingress {
				if err := has(o.Spec.PodSelector.MatchLabels, *rule.Ports[0].Port); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, rule := range o.Spec.Egress {
				for _, to := range rule.To {
					if err := has(to.PodSelector.MatchLabels, *rule.Ports[0].Port); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
	}
	if !denied {
		t.Errorf("no policy closes what is not named")
	}
}
