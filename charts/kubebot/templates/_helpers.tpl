{{- define "kubebot.fullname" -}}
{{- if contains "kubebot" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-kubebot" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kubebot.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "kubebot.nodesNamespace" -}}
{{ .Values.nodesNamespace | default (printf "%s-nodes" .Release.Name) }}
{{- end }}

{{- /* The served namespaces, separated by commas. */}}
{{- define "kubebot.namespaces" -}}
{{ .Values.namespaces | default (list .Release.Namespace) | join "," }}
{{- end }}

{{- /* The ports by which NetworkPolicies name the API server, separated by commas. */}}
{{- define "kubebot.apiServerPorts" -}}
{{ dig "apiServerPorts" (list 443 6443) .Values.networkPolicies | join "," }}
{{- end }}

{{- define "kubebot.labels" -}}
app.kubernetes.io/name: kubebot
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "kubebot.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- /* Whether pods shall be given the environment of an OpenTelemetry SDK: "true" or nothing. A release of before the value has none. */}}
{{- define "kubebot.instruments" -}}
{{- if dig "install" true (.Values.instrumentation | default dict) }}true{{ end }}
{{- end }}

{{- /* The version in which the cluster has mutating admission policies: v1 from Kubernetes 1.36 on, v1beta1 in 1.34 and 1.35
where somebody has switched it on, else nothing. */}}
{{- define "kubebot.admissionPolicies" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
admissionregistration.k8s.io/v1
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy" -}}
admissionregistration.k8s.io/v1beta1
{{- end }}
{{- end }}

{{- /* Where the chart's pods run. */}}
{{- define "kubebot.place" -}}
nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") .Values.manager.nodeSelector | toYaml | nindent 2 }}
{{- with .Values.manager.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.manager.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "kubebot.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kubebot.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
