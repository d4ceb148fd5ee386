{{- define "webcast-exporter.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "webcast-exporter.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "webcast-exporter.labels" -}}
{{ include "webcast-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "webcast-exporter.secretName" -}}
{{ .Values.existingSecret | default (include "webcast-exporter.fullname" .) }}
{{- end }}

{{- /* What cannot work is refused when the chart is rendered. */ -}}
{{- define "webcast-exporter.validate" -}}
{{- if not (has .Values.state.kind (list "sqlite" "postgresql")) }}{{ fail "state.kind: must be sqlite or postgresql" }}{{ end }}
{{- if and (eq .Values.state.kind "postgresql") (not .Values.state.postgresql.url) }}{{ fail "state.postgresql.url: is required with state.kind postgresql" }}{{ end }}
{{- if and .Values.standby.enabled (ne .Values.state.kind "postgresql") }}{{ fail "standby.enabled: needs state.kind postgresql" }}{{ end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}{{ fail "podMonitor.enabled: switch serviceMonitor.enabled off, one of both is enough" }}{{ end }}
{{- if and .Values.existingSecret .Values.secret }}{{ fail "secret: is not used together with existingSecret" }}{{ end }}
{{- if hasKey .Values.config "state" }}{{ fail "config.state: is set by the values below state" }}{{ end }}
{{- if and .Values.callbackIngress.enabled (dig "callbacks" "listen_address" "" .Values.config) }}{{ fail "callbackIngress.enabled: needs config without callbacks.listen_address, a port that the Service has not" }}{{ end }}
{{- if hasKey .Values.config "ha" }}{{ fail "config.ha: is set by standby.enabled" }}{{ end }}
{{- end }}

{{- define "webcast-exporter.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if eq .Values.state.kind "postgresql" }}
{{- $_ := set $config "state" (dict "url" .Values.state.postgresql.url) }}
{{- if .Values.standby.enabled }}{{ $_ := set $config "ha" (dict "enabled" true) }}{{ end }}
{{- else }}
{{- $_ := set $config "state" (dict "url" "sqlite:////state/webcast-exporter.db") }}
{{- end }}
{{- toYaml $config }}
{{- end }}
