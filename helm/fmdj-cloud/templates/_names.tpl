{{/* Names and labels. `context` is always the root: $. */}}

{{/* Beginning of all names: at most 40 characters, since names of CronJobs have 52. */}}
{{- define "fmdj.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $name) -}}
{{- fail (printf "The release's name %q is longer than 40 characters or holds a dot: set fullnameOverride." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Namespace of Jobs, Lease and FacemapRuns. */}}
{{- define "fmdj.jobsNamespace" -}}
{{- (.Values.settings.kubernetes | default dict).namespace | default .Release.Namespace -}}
{{- end -}}

{{/* Labels that never change: Deployments can't be upgraded otherwise. Call with (list $ "component"). */}}
{{- define "fmdj.selector" -}}
app.kubernetes.io/name: fmdj-cloud
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object. Call with (list $ "component"). */}}
{{- define "fmdj.labels" -}}
{{ include "fmdj.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{/* Name of a ServiceAccount. Call with (list $ "component"). */}}
{{- define "fmdj.account" -}}
{{- $account := index (index . 0).Values.serviceAccounts (index . 1) -}}
{{- if $account.name -}}
{{- $account.name -}}
{{- else if $account.create -}}
{{- include "fmdj.name" (index . 0) }}-{{ index . 1 -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* Reference of an image. Call with (list $ "controller") or "worker". */}}
{{- define "fmdj.image" -}}
{{- $image := index (index . 0).Values.images (index . 1) -}}
{{- if $image.digest -}}
{{- printf "%s%s@%s" $image.repository ($image.tag | empty | ternary "" (printf ":%s" $image.tag)) $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
