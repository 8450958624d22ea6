{{- /*
The rule that lets the API reach an endpoint: a Service by its namespace, an IP address by itself, and
another name by its port, because policies do not know names. Empty is AWS itself. The port of a
Service must be that of its pods, because policies see only that.
*/}}
{{- define "prima-api.egress" -}}
{{- $url := urlParse (. | default "https://aws") -}}
{{- $host := $url.host | trimSuffix (regexFind ":[0-9]+$" $url.host) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
- ports:
    - protocol: TCP
      port: {{ $port }}
  to:
  {{- if and . (regexMatch "^[a-z0-9-]+$" $host) }}
    - podSelector: {}
  {{- else if regexMatch "^[a-z0-9-]+[.][a-z0-9-]+[.]svc([.].+)?$" $host }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ index (splitList "." $host) 1 | quote }}
  {{- else if regexMatch "^[a-z0-9-]+[.][a-z0-9-]+$" $host }}
    {{- /* A Service and its namespace, or a domain. */}}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ index (splitList "." $host) 1 | quote }}
    {{- include "prima-api.world" . | nindent 4 }}
  {{- else if regexMatch "^[0-9.]+$" $host }}
    - ipBlock:
        cidr: {{ $host }}/32
  {{- else }}
    {{- include "prima-api.world" . | nindent 4 }}
  {{- end }}
{{- if not . }}
# EKS Pod Identity (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html)
- ports:
    - protocol: TCP
      port: 80
  to:
    - ipBlock:
        cidr: 169.254.170.23/32
    - ipBlock:
        cidr: fd00:ec2::23/128
{{- end }}
{{- end }}

{{- define "prima-api.world" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    # The instance metadata service, whose role is the node's.
    except: [169.254.169.254/32]
- ipBlock:
    cidr: ::/0
    except: ['fd00:ec2::254/128']
{{- end }}

{{- /* What the API and the sweep may reach: DNS, the endpoints of AWS and networkPolicy.egress. */}}
{{- define "prima-api.egressRules" -}}
{{- with .Values.networkPolicy.dns }}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
  to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- $common := .Values.config.AWS_ENDPOINT_URL | default "" }}
{{- $dynamodb := .Values.config.AWS_ENDPOINT_URL_DYNAMODB | default $common }}
{{- $s3 := .Values.config.AWS_ENDPOINT_URL_S3 | default $common }}
{{- range list $dynamodb $s3 | uniq }}
{{ include "prima-api.egress" . }}
{{- end }}
{{- with .Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}
