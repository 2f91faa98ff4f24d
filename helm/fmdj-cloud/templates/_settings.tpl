{{/* The settings as the programs get them, and the Secrets that hold the rest. */}}

{{/* Setting -> secret/key for a program. Call with (list $ .Values.<program>.settingsFromSecrets); JSON. */}}
{{- define "fmdj.fromSecrets" -}}
{{- $root := index . 0 -}}
{{- $found := dict -}}
{{- if $root.Values.evaluation.mysql.enabled -}}
{{- $_ := set $found "database.password" (printf "%s-evaluation/mysql-password" (include "fmdj.name" $root)) -}}
{{- end -}}
{{- if $root.Values.evaluation.objectStore.enabled -}}
{{- $_ := set $found "storage.s3.access_key_id" (printf "%s-evaluation/access-key-id" (include "fmdj.name" $root)) -}}
{{- $_ := set $found "storage.s3.secret_access_key" (printf "%s-evaluation/secret-access-key" (include "fmdj.name" $root)) -}}
{{- end -}}
{{- range $setting, $reference := $root.Values.settingsFromSecrets -}}
{{- $_ := set $found $setting $reference -}}
{{- end -}}
{{- range $setting, $reference := index . 1 -}}
{{- $_ := set $found $setting $reference -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* All settings but secrets, as YAML: .Values.settings, and what the chart knows better than the defaults. */}}
{{- define "fmdj.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- range $section := list "database" "storage" "controller" "kubernetes" "load" "serve" "log" -}}
{{- $_ := set $settings $section (index $settings $section | default dict) -}}
{{- end -}}
{{- if not $settings.instance }}{{ $_ := set $settings "instance" (include "fmdj.name" .) }}{{ end -}}
{{- $_ := set $settings.controller "launcher" "kubernetes" -}}
{{- if not (hasKey $settings.serve "port") }}{{ $_ := set $settings.serve "port" 8080 }}{{ end -}}
{{- if not (hasKey $settings.log "format") }}{{ $_ := set $settings.log "format" "json" }}{{ end -}}
{{- if not (hasKey $settings.load "workdir") }}{{ $_ := set $settings.load "workdir" "/work" }}{{ end -}}
{{- if .Values.serve.enabled -}}
{{- $page := $settings.page | default dict -}}
{{- if not (hasKey $page "host") }}{{ $_ := set $page "host" "" }}{{ end -}}
{{- if not (hasKey $page "port") }}{{ $_ := set $page "port" 8090 }}{{ end -}}
{{- if not (hasKey $page "workdir") }}{{ $_ := set $page "workdir" "/work" }}{{ end -}}
{{- $_ := set $settings "page" $page -}}
{{- end -}}
{{- include "fmdj.settings.evaluation" (list . $settings) -}}
{{- include "fmdj.settings.selftest" (list . $settings) -}}
{{- if not $settings.pipelines -}}
{{- fail "settings.pipelines is empty: name at least one, as in examples/minimal.yaml." -}}
{{- end -}}
{{- $profiles := $settings.kubernetes.profiles | default dict -}}
{{- if not (hasKey $profiles "default") }}{{ $_ := set $profiles "default" dict }}{{ end -}}
{{- range $name, $profile := $profiles -}}
{{- $profile = $profile | default dict -}}
{{- $_ := set $profiles $name $profile -}}
{{- include "fmdj.settings.profile" (list $ $profile) -}}
{{- end -}}
{{- $_ := set $settings.kubernetes "profiles" $profiles -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* Fill a profile in place. Call with (list $ profile). */}}
{{- define "fmdj.settings.profile" -}}
{{- $root := index . 0 -}}
{{- $profile := index . 1 -}}
{{- $values := $root.Values -}}
{{- if not $profile.image }}{{ $_ := set $profile "image" (include "fmdj.image" (list $root "worker")) }}{{ end -}}
{{- if and $values.images.pullPolicy (not (hasKey $profile "image_pull_policy")) -}}
{{- $_ := set $profile "image_pull_policy" $values.images.pullPolicy -}}
{{- end -}}
{{- if and $values.images.pullSecrets (not (hasKey $profile "image_pull_secrets")) -}}
{{- $_ := set $profile "image_pull_secrets" $values.images.pullSecrets -}}
{{- end -}}
{{- range $setting, $id := dict "run_as_user" $values.security.runAsUser "run_as_group" $values.security.runAsGroup "fs_group" $values.security.fsGroup "supplemental_groups" $values.security.supplementalGroups -}}
{{- if and $id (not (hasKey $profile $setting)) }}{{ $_ := set $profile $setting $id }}{{ end -}}
{{- end -}}
{{- if and (not (hasKey $profile "secret_env")) (not $profile.service_account) -}}
{{- $env := dict -}}
{{- range $setting, $reference := include "fmdj.fromSecrets" (list $root dict) | fromJson -}}
{{- if hasPrefix "storage.s3." $setting -}}
{{- $_ := set $env (printf "FMDJ_%s" (replace "." "__" $setting | upper)) $reference -}}
{{- end -}}
{{- end -}}
{{- if $env }}{{ $_ := set $profile "secret_env" $env }}{{ end -}}
{{- end -}}
{{- if not $profile.service_account -}}
{{- $_ := set $profile "service_account" (include "fmdj.account" (list $root "worker")) -}}
{{- end -}}
{{- end -}}

{{/* Settings of the evaluation servers, in place. Call with (list $ settings). */}}
{{- define "fmdj.settings.evaluation" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 1 -}}
{{- $evaluation := or $root.Values.evaluation.mysql.enabled $root.Values.evaluation.objectStore.enabled -}}
{{- if and $evaluation (ne (include "fmdj.jobsNamespace" $root) $root.Release.Namespace) -}}
{{- fail "The evaluation servers are in the release's namespace, and Jobs elsewhere don't reach them: leave settings.kubernetes.namespace empty." -}}
{{- end -}}
{{- if $root.Values.evaluation.mysql.enabled -}}
{{- $server := dict "backend" "mysql" "host" (printf "%s-mysql" (include "fmdj.name" $root)) "port" 3306 "user" "root" -}}
{{- range $name, $value := $server }}{{ $_ := set $settings.database $name $value }}{{ end -}}
{{- end -}}
{{- if $root.Values.evaluation.objectStore.enabled -}}
{{- $s3 := $settings.storage.s3 | default dict -}}
{{- $server := dict "endpoint_url" (printf "http://%s-object-store:7070" (include "fmdj.name" $root)) "region" "us-east-1" "addressing_style" "path" "request_checksum_calculation" "when_required" "response_checksum_validation" "when_required" -}}
{{- range $name, $value := $server }}{{ $_ := set $s3 $name $value }}{{ end -}}
{{- $_ := set $settings.storage "s3" $s3 -}}
{{- end -}}
{{- end -}}

{{/* The pipeline of the end-to-end test, in place. Call with (list $ settings). */}}
{{- define "fmdj.settings.selftest" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 1 -}}
{{- if $root.Values.tests.endToEnd -}}
{{- $pipelines := $settings.pipelines | default list -}}
{{- $place := $root.Values.tests.root -}}
{{- if and (not $place) $pipelines -}}
{{- $place = printf "%s/fmdj-selftest" (trimSuffix "/" (first $pipelines).processed_root) -}}
{{- else if and (not $place) $root.Values.evaluation.objectStore.enabled -}}
{{- $place = printf "s3://%s/selftest" $root.Values.evaluation.objectStore.bucket -}}
{{- else if not $place -}}
{{- fail "tests.endToEnd needs a place for its recording: name a pipeline in settings.pipelines, or set tests.root." -}}
{{- end -}}
{{- $place = trimSuffix "/" $place -}}
{{- $schema := printf "%sfmdj_selftest" ($settings.database.prefix | default "") -}}
{{- $pipeline := dict "name" "selftest" "behavior_schema" $schema "video_roots" (list (printf "%s/raw" $place)) "processed_root" (printf "%s/processed" $place) -}}
{{- $_ := set $settings "pipelines" (append $pipelines $pipeline) -}}
{{- end -}}
{{- end -}}
