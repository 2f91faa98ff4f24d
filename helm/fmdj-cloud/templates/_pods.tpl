{{/* What pods have in common. */}}

{{/* Who a pod is: restricted Pod Security, whatever the user's id. */}}
{{- define "fmdj.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.security.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.security.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
{{- with .Values.security.fsGroup }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- with .Values.security.supplementalGroups }}
supplementalGroups: {{ range . }}
  - {{ int64 . }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "fmdj.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end -}}

{{/* Secrets with registry credentials. */}}
{{- define "fmdj.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets: {{ range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Image of controller and loader with its policy. */}}
{{- define "fmdj.programImage" -}}
image: {{ include "fmdj.image" (list . "controller") }}
{{- with .Values.images.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* Where a program's settings are. Call with (list $ secrets), secrets as "fmdj.fromSecrets" returns them. */}}
{{- define "fmdj.env" -}}
- name: FMDJ_CONFIG
  value: /etc/fmdj/config/fmdj.yaml
{{- if index . 1 }}
- name: FMDJ_SECRETS_DIR
  value: /etc/fmdj/secrets
{{- end }}
- name: HOME
  value: /tmp
{{- end -}}

{{/* Mounts of a program. Call with (list $ secrets). */}}
{{- define "fmdj.mounts" -}}
- name: config
  mountPath: /etc/fmdj/config
  readOnly: true
{{- if index . 1 }}
- name: secrets
  mountPath: /etc/fmdj/secrets
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- range $index, $mount := (((index . 0).Values.settings.kubernetes | default dict).mounts | default list) }}
- name: mount-{{ $index }}
  mountPath: {{ $mount.path }}
  {{- with $mount.sub_path }}
  subPath: {{ . }}
  {{- end }}
  {{- if or $mount.read_only $mount.config_map $mount.secret }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end -}}

{{/* Volumes of a program. Call with (list $ secrets name-of-its-ConfigMap). */}}
{{- define "fmdj.volumes" -}}
- name: config
  configMap:
    name: {{ index . 2 }}
{{- with index . 1 }}
- name: secrets
  projected:
    defaultMode: 0444
    sources:
      {{- range $setting, $reference := . }}
      - secret:
          name: {{ regexReplaceAll "/.*" $reference "" }}
          items:
            - key: {{ regexReplaceAll "^[^/]*/" $reference "" }}
              path: fmdj_{{ replace "." "__" $setting }}
      {{- end }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 512Mi
{{- range $index, $mount := (((index . 0).Values.settings.kubernetes | default dict).mounts | default list) }}
- name: mount-{{ $index }}
  {{- if $mount.claim }}
  persistentVolumeClaim:
    claimName: {{ $mount.claim }}
  {{- else if $mount.nfs_server }}
  nfs:
    server: {{ $mount.nfs_server }}
    path: {{ $mount.nfs_path }}
  {{- else if $mount.config_map }}
  configMap:
    name: {{ $mount.config_map }}
  {{- else }}
  secret:
    secretName: {{ $mount.secret }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where the pods of a program may run. Call with its values. */}}
{{- define "fmdj.place" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Container of a command of fmdj. Call with the dict of "fmdj.command", and name and args of the container. */}}
{{- define "fmdj.commandContainer" -}}
name: {{ .name }}
{{ include "fmdj.programImage" .root }}
command: [fmdj]
args:
  {{- toYaml .args | nindent 2 }}
env:
  {{- include "fmdj.env" (list .root .secrets) | nindent 2 }}
resources:
  {{- toYaml .root.Values.jobs.resources | nindent 2 }}
securityContext:
  {{- include "fmdj.containerSecurity" .root | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "fmdj.mounts" (list .root .secrets) | nindent 2 }}
{{- end -}}

{{/*
PodSpec of a command that ends. Call with a dict: root, name (of the container), args, secrets, config (name of the
ConfigMap), account (empty: none), token (whether it talks to Kubernetes); first (args of a command before it), if any.
*/}}
{{- define "fmdj.command" -}}
restartPolicy: Never
automountServiceAccountToken: {{ .token }}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
enableServiceLinks: false
{{- include "fmdj.pullSecrets" .root }}
securityContext:
  {{- include "fmdj.podSecurity" .root | nindent 2 }}
{{- if .first }}
initContainers:
  - {{ include "fmdj.commandContainer" (merge (dict "name" "prepare" "args" .first) .) | nindent 4 | trim }}
{{- end }}
containers:
  - {{ include "fmdj.commandContainer" . | nindent 4 | trim }}
volumes:
  {{- include "fmdj.volumes" (list .root .secrets .config) | nindent 2 }}
{{- end -}}
