{{- define "localstack.selector" -}}
app.kubernetes.io/name: localstack
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "localstack.metadata" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "localstack.selector" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
