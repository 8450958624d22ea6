{{- /*
Adds the defaults that .Values lacks. `helm upgrade --reuse-values` passes the values of the last
release, which lack those that the chart has got since.
*/}}
{{- define "prima-api.defaults" -}}
{{- include "prima-api.complete" (list .Values (.Files.Get "defaults.yaml" | fromYaml)) -}}
{{- end }}

{{- /* Adds missing defaults, except annotations, labels and CPU amounts, which users may have removed. */}}
{{- define "prima-api.complete" -}}
{{- $values := index . 0 -}}
{{- range $key, $default := index . 1 -}}
{{- if not (or (hasKey $values $key) (eq $key "cpu")) -}}
{{- $_ := set $values $key $default -}}
{{- else if and (kindIs "map" $default) (not (has $key (list "annotations" "labels"))) -}}
{{- include "prima-api.complete" (list (get $values $key) $default) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "prima-api.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- /* The release's name, with the chart's unless it is part of it already. */}}
{{- define "prima-api.fullname" -}}
{{- $name := include "prima-api.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- include "prima-api.short" (list (printf "%s-%s" .Release.Name $name) 53) -}}
{{- end -}}
{{- end }}

{{- /* A name of at most n characters, (list "a-long-name" 46). A hash tells long names apart. */}}
{{- define "prima-api.short" -}}
{{- $name := index . 0 -}}
{{- $most := index . 1 -}}
{{- if gt (len $name) $most -}}
{{- printf "%s-%s" ($name | trunc (int (sub $most 9)) | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end }}

{{- /* A CronJob's name has at most 52 characters: a Job's is 11 more. */}}
{{- define "prima-api.sweep" -}}
{{- include "prima-api.short" (list (include "prima-api.fullname" .) 46) -}}-sweep
{{- end }}

{{- /* The Service of the operators' port, and the job that Prometheus scrapes. */}}
{{- define "prima-api.admin" -}}
{{- include "prima-api.fullname" . -}}-admin
{{- end }}

{{- /* The labels that select pods; they must never change. */}}
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

{{- /* Labels or annotations of several sources, (list dict dict …). The last source wins. */}}
{{- define "prima-api.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{- /* Labels of the pods of a component, (list . "api"). Users may not set those of its selector. */}}
{{- define "prima-api.podLabels" -}}
{{- $values := (index . 0).Values -}}
{{- $selector := include "prima-api.selector" (index . 0) | fromYaml -}}
{{- $_ := set $selector "app.kubernetes.io/component" (index . 1) -}}
{{- range $key, $_ := $selector -}}
{{- if hasKey $values.podLabels $key -}}
{{- fail (printf "podLabels: the chart selects its pods by %s" $key) -}}
{{- end -}}
{{- end -}}
{{- include "prima-api.merged" (list $selector $values.podLabels) -}}
{{- end }}

{{- define "prima-api.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- if .Values.image.digest -}}
{{- $image = printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- end -}}
{{- $image -}}
{{- end }}

{{- /* Probes use the operators' port: if clients filled the API's, Kubernetes would restart a busy pod. */}}
{{- define "prima-api.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end }}

{{- define "prima-api.serviceAccount" -}}
{{- $default := ternary (include "prima-api.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end }}

{{- define "prima-api.sweepServiceAccount" -}}
{{- with .Values.sweep.serviceAccount -}}
{{- .name | default (include (ternary "prima-api.sweep" "prima-api.serviceAccount" .create) $) -}}
{{- end -}}
{{- end }}

{{- /* The Secret with static credentials; empty if the pods use a role. */}}
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

{{- /* The preStop sleep, then SIGTERM: the API drains and finishes its requests. */}}
{{- define "prima-api.gracePeriod" -}}
{{- $drain := include "prima-api.seconds" .Values.config.DRAIN_TIME -}}
{{- $shutdown := include "prima-api.seconds" .Values.config.SHUTDOWN_TIMEOUT -}}
{{- add .Values.rollout.preStopSleepSeconds $drain $shutdown 5 -}}
{{- end }}

{{- /* GOMEMLIMIT of a container: (dict "resources" … "percent" …). */}}
{{- define "prima-api.goMemoryLimit" -}}
{{- div (mul (include "prima-api.bytes" .resources.requests.memory) .percent) 104857600 -}}MiB
{{- end }}

{{- /* Whether helm test can run: with access.mode token it needs one. */}}
{{- define "prima-api.testable" -}}
{{- if or (eq .Values.access.mode "open") .Values.access.checkSecret -}}true{{- end -}}
{{- end }}
