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
