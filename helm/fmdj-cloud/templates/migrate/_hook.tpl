{{/* When to migrate: before anything else; where the chart brings the database itself, once that is there. */}}
{{- define "fmdj.migrateHooks" -}}
{{- .Values.evaluation.mysql.enabled | ternary "post-install,post-upgrade" "pre-install,pre-upgrade" -}}
{{- end -}}
