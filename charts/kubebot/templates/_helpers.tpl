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
