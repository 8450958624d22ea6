{{- /* The identity and restrictions of all pods. */}}
{{- define "prima-api.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "prima-api.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Static credentials; empty if the pods use a role. */}}
{{- define "prima-api.credentialsEnv" -}}
{{- with include "prima-api.credentials" . -}}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: AWS_ACCESS_KEY_ID
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: AWS_SECRET_ACCESS_KEY
{{- if $.Values.credentials.existingSecret }}
- name: AWS_SESSION_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: AWS_SESSION_TOKEN
      optional: true
{{- end }}
{{- end -}}
{{- end }}

{{- /* The access tokens; empty with access.mode open. */}}
{{- define "prima-api.accessEnv" -}}
{{- with .Values.access -}}
{{- if eq .mode "token" -}}
- name: ACCESS_TOKENS
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | default (printf "%s-access" (include "prima-api.fullname" $)) | quote }}
      key: ACCESS_TOKENS
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The headers that the collector of traces needs. */}}
{{- define "prima-api.tracingEnv" -}}
{{- with .Values.tracing -}}
{{- if and .endpoint .headersSecret -}}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .headersSecret | quote }}
      key: OTEL_EXPORTER_OTLP_HEADERS
{{- end -}}
{{- end -}}
{{- end }}

{{- define "prima-api.resources" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $name, $amount := $amounts }}
  {{- with $amount }}
  {{ $name }}: {{ . | quote }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "prima-api.scheduling" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
