{{- define "prima-api.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- /* The release's name, with the chart's unless it is part of it already. */}}
{{- define "prima-api.fullname" -}}
{{- $name := include "prima-api.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* A CronJob's name has at most 52 characters: a Job's is 11 more. */}}
{{- define "prima-api.sweep" -}}
{{- include "prima-api.fullname" . | trunc 46 | trimSuffix "-" -}}-sweep
{{- end }}

{{- /* The Service of the port of operators, which is also the job that Prometheus scrapes. */}}
{{- define "prima-api.admin" -}}
{{- include "prima-api.fullname" . -}}-admin
{{- end }}

{{- /* What a Service, a Deployment and a NetworkPolicy select pods by; it must never change. */}}
{{- define "prima-api.selector" -}}
app.kubernetes.io/name: {{ include "prima-api.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "prima-api.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "prima-api.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "prima-api.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- if .Values.image.digest -}}
{{- $image = printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- end -}}
{{- $image -}}
{{- end }}

{{- /* Probes use the operators' port: clients can fill the API's, and a busy pod must not be restarted. */}}
{{- define "prima-api.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end }}

{{- define "prima-api.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "prima-api.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "prima-api.sweepServiceAccount" -}}
{{- with .Values.sweep.serviceAccount -}}
{{- .name | default (include (ternary "prima-api.sweep" "prima-api.serviceAccount" .create) $) -}}
{{- end -}}
{{- end }}

{{- /* The Secret with static credentials; empty where a role is to be used. */}}
{{- define "prima-api.credentials" -}}
{{- with .Values.credentials -}}
{{- if .existingSecret -}}
{{- .existingSecret -}}
{{- else if or .accessKeyID .secretAccessKey -}}
{{- include "prima-api.fullname" $ -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Whole seconds, rounded up, of a duration in Go's notation such as 1m30s. */}}
{{- define "prima-api.seconds" -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- $end := $start | mustDateModify . | mustDateModify "999ms" -}}
{{- sub (unixEpoch $end) (unixEpoch $start) -}}
{{- end }}

{{- /* Bytes of an amount of memory such as 128Mi or 5MiB. */}}
{{- define "prima-api.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- mul (regexFind "^[0-9]+" .) (get $units (regexFind "[KMG]i" .) | default 1) -}}
{{- end }}

{{- /* SIGTERM comes after the preStop sleep; then the API drains, and then it finishes what runs. */}}
{{- define "prima-api.gracePeriod" -}}
{{- add .Values.rollout.preStopSleepSeconds (include "prima-api.seconds" .Values.config.DRAIN_TIME) (include "prima-api.seconds" .Values.config.SHUTDOWN_TIMEOUT) 5 -}}
{{- end }}

{{- /* GOMEMLIMIT of a container: (dict "resources" … "percent" …). */}}
{{- define "prima-api.goMemoryLimit" -}}
{{- div (mul (include "prima-api.bytes" .resources.requests.memory) .percent) 104857600 -}}MiB
{{- end }}

{{- /* Whether helm test can run: a guarded API takes a token. */}}
{{- define "prima-api.testable" -}}
{{- if or (eq .Values.access.mode "open") .Values.access.checkSecret -}}true{{- end -}}
{{- end }}
