{{/* Rules of NetworkPolicies. */}}

{{/* Address ranges with what they leave out. Call with a dict of cidrs, except, pods. */}}
{{- define "fmdj.peers" -}}
{{- $except := .except | default list -}}
{{- range $cidr := .cidrs }}
- ipBlock:
    cidr: {{ $cidr | quote }}
    {{- $own := list }}
    {{- range $except }}{{ if eq (contains ":" .) (contains ":" $cidr) }}{{ $own = append $own . }}{{ end }}{{ end }}
    {{- with $own }}
    except:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- with .pods }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* TCP ports. Call with a list. */}}
{{- define "fmdj.ports" -}}
{{- range . }}
- protocol: TCP
  port: {{ int . }}
{{- end }}
{{- end -}}

{{/* One rule for egress to a target, nothing if there is no such address. Call with (dict "target" ... "ports" ...). */}}
{{- define "fmdj.egress" -}}
{{- if or .target.cidrs .target.pods }}
- to:
    {{- include "fmdj.peers" .target | trim | nindent 4 }}
  ports:
    {{- include "fmdj.ports" .ports | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Port of the object store. JSON list. */}}
{{- define "fmdj.objectStorePorts" -}}
{{- $ports := .Values.networkPolicy.objectStore.ports -}}
{{- if not $ports -}}
{{- $settings := include "fmdj.settings" . | fromYaml -}}
{{- $endpoint := dig "s3" "endpoint_url" "" $settings.storage | default "" -}}
{{- $host := ($endpoint | empty | ternary (dict "host" "" "scheme" "https") (urlParse $endpoint)) -}}
{{- if regexMatch ":[0-9]+$" $host.host -}}
{{- $ports = list (regexFind "[0-9]+$" $host.host | int) -}}
{{- else -}}
{{- $ports = list (eq $host.scheme "http" | ternary 80 443) -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* Egress to name servers and the object store with its credentials: all that a worker needs. */}}
{{- define "fmdj.workerEgress" -}}
{{- $policy := .Values.networkPolicy }}
- ports:
    {{- range $policy.dns.ports }}
    - protocol: UDP
      port: {{ int . }}
    - protocol: TCP
      port: {{ int . }}
    {{- end }}
  {{- with $policy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- include "fmdj.egress" (dict "target" $policy.objectStore "ports" (include "fmdj.objectStorePorts" . | fromJsonArray)) }}
{{- if .Values.evaluation.objectStore.enabled }}
- to:
    - podSelector:
        matchLabels:
          {{- include "fmdj.selector" (list . "evaluation-object-store") | nindent 10 }}
  ports:
    {{- include "fmdj.ports" (list 7070) | trim | nindent 4 }}
{{- end }}
{{- range $policy.credentialEndpoints }}
- to:
    - ipBlock:
        cidr: {{ .cidr | quote }}
  ports:
    {{- include "fmdj.ports" (list .port) | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Egress to the database. */}}
{{- define "fmdj.databaseEgress" -}}
{{- $database := .Values.networkPolicy.database }}
{{- $ports := $database.ports }}
{{- if not $ports }}{{ $ports = list 3306 5432 }}{{ with dig "port" 0 (.Values.settings.database | default dict) }}{{ $ports = list . }}{{ end }}{{ end }}
{{- include "fmdj.egress" (dict "target" $database "ports" $ports) }}
{{- if .Values.evaluation.mysql.enabled }}
- to:
    - podSelector:
        matchLabels:
          {{- include "fmdj.selector" (list . "evaluation-mysql") | nindent 10 }}
  ports:
    {{- include "fmdj.ports" (list 3306) | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Egress of controller, loader and short programs. Call with (list $ whether-it-talks-to-Kubernetes). */}}
{{- define "fmdj.programEgress" -}}
{{- $root := index . 0 }}
{{- if $root.Values.networkPolicy.restrictPrograms }}
{{- include "fmdj.workerEgress" $root }}
{{- include "fmdj.databaseEgress" $root }}
{{- if index . 1 }}
{{- $api := $root.Values.networkPolicy.apiServer }}
{{- include "fmdj.egress" (dict "target" $api "ports" $api.ports) }}
{{- end }}
{{- else }}
- {}
{{- end }}
{{- end -}}

{{/* Ingress of who shows metrics. */}}
{{- define "fmdj.metricsIngress" }}
- ports:
    - protocol: TCP
      port: status
  {{- with .Values.networkPolicy.metricsFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
