{{- define "signet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- /* Leaves room for the longest suffix within the 63 characters of a DNS label. */ -}}
{{- define "signet.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Part of the Deployment's selector, which can never be changed: add nothing. Takes a list of context and component. */ -}}
{{- define "signet.selectorLabels" -}}
{{- $context := first . -}}
app.kubernetes.io/name: {{ include "signet.name" $context }}
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{- /* Takes a list of context and component. */ -}}
{{- define "signet.labels" -}}
{{- $context := first . -}}
{{- $own := dict
      "helm.sh/chart" (printf "%s-%s" $context.Chart.Name ($context.Chart.Version | replace "+" "_"))
      "app.kubernetes.io/version" $context.Chart.AppVersion
      "app.kubernetes.io/managed-by" $context.Release.Service -}}
{{- $selector := include "signet.selectorLabels" . | fromYaml -}}
{{- merge $selector $own $context.Values.commonLabels | toYaml -}}
{{- end -}}

{{- /* Without what changes when only the chart does: pods are not replaced for that. Takes a list of context and component. */ -}}
{{- define "signet.podLabels" -}}
{{- $context := first . -}}
{{- $version := dict "app.kubernetes.io/version" $context.Chart.AppVersion -}}
{{- $selector := include "signet.selectorLabels" . | fromYaml -}}
{{- merge $selector $version $context.Values.podLabels $context.Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "signet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "signet.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* Of the job, which runs before the release has a service account. */ -}}
{{- define "signet.migrations.serviceAccountName" -}}
{{- $existing := ternary "" .Values.serviceAccount.name .Values.serviceAccount.create -}}
{{- .Values.migrations.serviceAccountName | default $existing | default "default" -}}
{{- end -}}

{{- define "signet.isSqlite" -}}
{{- if eq .Values.database.engine "sqlite" }}true{{ end -}}
{{- end -}}

{{- define "signet.migrations.mode" -}}
{{- .Values.migrations.mode | default (ternary "initContainer" "job" (eq .Values.database.engine "sqlite")) -}}
{{- end -}}

{{- define "signet.replicas" -}}
{{- if kindIs "invalid" .Values.replicaCount -}}
{{- ternary 1 2 (eq .Values.database.engine "sqlite") -}}
{{- else -}}
{{- .Values.replicaCount | int -}}
{{- end -}}
{{- end -}}

{{- define "signet.terminationGracePeriodSeconds" -}}
{{- $least := add (.Values.stopDelaySeconds | int) (.Values.drainTimeoutSeconds | int) -}}
{{- .Values.terminationGracePeriodSeconds | int | default (add $least 10) -}}
{{- end -}}

{{- define "signet.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* Whether `helm test` can speak to the service: it needs what a caller needs. */ -}}
{{- define "signet.isTestable" -}}
{{- $tls := .Values.grpc.tls -}}
{{- if not $tls.existingSecret -}}
true
{{- else if and $tls.caKey (or (not $tls.clientCa.existingSecret) $tls.testClientSecret) -}}
true
{{- end -}}
{{- end -}}

{{- define "signet.grpc.serverName" -}}
{{- .Values.grpc.tls.serverName | default (printf "%s-grpc.%s.svc" (include "signet.fullname" .) .Release.Namespace) -}}
{{- end -}}

{{- /* Whole numbers of values are floats, and print as 1e+06. */ -}}
{{- define "signet.text" -}}
{{- if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* grpcurl knows the service by it, and has no other way with what is not in its own files. */ -}}
{{- define "signet.hasReflection" -}}
{{- if ne (dig "SIGNET_GRPC_REFLECTION" true .Values.settings | toString) "false" }}true{{ end -}}
{{- end -}}

{{- /*
The secrets that the release reads, each once however many values are in it: a YAML list of a name and the arguments of
`kubectl create secret generic`.
*/ -}}
{{- define "signet.notes.secrets" -}}
{{- $values := .Values -}}
{{- $tls := $values.grpc.tls -}}
{{- $keys := $values.masterKey.existingSecret -}}
{{- $wanted := list (list $keys.name $keys.key "literal" "\"$(openssl rand -base64 32)\"") -}}
{{- if $keys.previousKey -}}
{{- $wanted = append $wanted (list $keys.name $keys.previousKey "literal" "'THE OTHER MASTER KEY'") -}}
{{- end -}}
{{- with $values.database.existingSecret -}}
{{- if .name -}}
{{- $wanted = append $wanted (list .name .key "literal" "'postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full'") -}}
{{- end -}}
{{- end -}}
{{- with $values.mail.existingSecret -}}
{{- if .name -}}
{{- $wanted = append $wanted (list .name .key "literal" "'smtp://USER:PASSWORD@HOST:587?tls=required'") -}}
{{- end -}}
{{- end -}}
{{- $typed := list -}}
{{- with $tls.existingSecret -}}
{{- $typed = append $typed . -}}
{{- $wanted = concat $wanted (list (list . "tls.crt" "file" "tls.crt") (list . "tls.key" "file" "tls.key")) -}}
{{- with $tls.caKey -}}
{{- $wanted = append $wanted (list $tls.existingSecret . "file" "ca.crt") -}}
{{- end -}}
{{- end -}}
{{- with $tls.clientCa -}}
{{- if .existingSecret -}}
{{- $wanted = append $wanted (list .existingSecret .key "file" "client-ca.crt") -}}
{{- with $tls.testClientSecret -}}
{{- $typed = append $typed . -}}
{{- $wanted = concat $wanted (list (list . "tls.crt" "file" "client.crt") (list . "tls.key" "file" "client.key")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- $arguments := dict -}}
{{- $seen := dict -}}
{{- range $wanted -}}
{{- $name := index . 0 -}}
{{- if not (has $name $names) -}}
{{- $names = append $names $name -}}
{{- $_ := set $arguments $name (ternary (list "--type=kubernetes.io/tls") list (has $name $typed)) -}}
{{- end -}}
{{- $value := printf "%s/%s" $name (index . 1) -}}
{{- if not (hasKey $seen $value) -}}
{{- $_ := set $seen $value true -}}
{{- $argument := printf "--from-%s=%s=%s" (index . 2) (index . 1) (index . 3) -}}
{{- $_ := set $arguments $name (append (get $arguments $name) $argument) -}}
{{- end -}}
{{- end -}}
{{- $secrets := list -}}
{{- range $names -}}
{{- $secrets = append $secrets (dict "name" . "arguments" (get $arguments .)) -}}
{{- end -}}
{{- $secrets | toYaml -}}
{{- end -}}
