{{- /* What all pods of this chart have in common. Takes a list of context and service account. */ -}}
{{- define "signet.pod" -}}
{{- $context := first . -}}
{{- $values := $context.Values -}}
serviceAccountName: {{ last . }}
automountServiceAccountToken: false
# The variables that Kubernetes would set for a service called signet look like settings.
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What all containers have in common. */ -}}
{{- define "signet.container" -}}
image: {{ include "signet.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{- /* The variables by which a container finds the database. */ -}}
{{- define "signet.database.env" -}}
{{- $database := .Values.database -}}
{{- if include "signet.isSqlite" . -}}
- name: SIGNET_DATABASE_URL
  value: sqlite:///var/lib/signet/signet.db
{{- else if $database.url -}}
- name: SIGNET_DATABASE_URL
  value: {{ $database.url | quote }}
{{- else -}}
- name: SIGNET_DATABASE_URL_FILE
  value: /etc/signet/database/url
{{- end -}}
{{- end -}}

{{- define "signet.database.mounts" -}}
{{- if include "signet.isSqlite" . }}
- name: data
  mountPath: /var/lib/signet
# SQLite sorts what is large in files.
- name: tmp
  mountPath: /tmp
{{- else if .Values.database.existingSecret.name }}
- name: database
  mountPath: /etc/signet/database
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signet.database.volumes" -}}
{{- $database := .Values.database }}
{{- if include "signet.isSqlite" . }}
- name: data
  persistentVolumeClaim:
    claimName: {{ $database.volume.existingClaim | default (include "signet.fullname" .) }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- else if $database.existingSecret.name }}
{{ include "signet.secretVolume" (list "database" $database.existingSecret.name (dict $database.existingSecret.key "url")) }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Takes a list: name of the volume, name of the secret, and which of its keys is which file. */ -}}
{{- define "signet.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
    items:
      {{- range $key, $path := index . 2 }}
      - key: {{ $key }}
        path: {{ $path }}
      {{- end }}
{{- end -}}

{{- /* The container that migrates, in a job or before the service. */ -}}
{{- define "signet.migrate" -}}
name: migrate
{{ include "signet.container" . }}
args: [migrate]
env:
  {{- include "signet.database.env" . | nindent 2 }}
  {{- range $name, $value := .Values.settings }}
  {{- if hasPrefix "SIGNET_DATABASE_" $name }}
  - name: {{ $name }}
    value: {{ include "signet.text" $value | quote }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "signet.database.mounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
{{- end -}}

{{- /* The variables of the service. */ -}}
{{- define "signet.env" -}}
{{- $values := .Values -}}
{{ include "signet.database.env" . }}
- name: SIGNET_MASTER_KEY_FILE
  value: /etc/signet/keys/master-key
{{- if $values.masterKey.existingSecret.previousKey }}
- name: SIGNET_PREVIOUS_MASTER_KEY_FILE
  value: /etc/signet/keys/previous-master-key
{{- end }}
- name: SIGNET_PUBLIC_URL
  value: {{ $values.publicUrl | quote }}
{{- range $name, $port := $values.ports }}
- name: SIGNET_{{ upper $name }}_ADDR
  value: {{ printf "%s:%d" $values.listenHost (int $port) | quote }}
{{- end }}
- name: SIGNET_STOP_DELAY
  value: {{ printf "%ds" (int $values.stopDelaySeconds) | quote }}
- name: SIGNET_DRAIN_TIMEOUT
  value: {{ printf "%ds" (int $values.drainTimeoutSeconds) | quote }}
{{- if $values.mail.existingSecret.name }}
- name: SIGNET_SMTP_URL_FILE
  value: /etc/signet/mail/smtp-url
{{- end }}
{{- if $values.mail.from }}
- name: SIGNET_MAIL_FROM
  value: {{ $values.mail.from | quote }}
{{- end }}
{{- if $values.grpc.tls.existingSecret }}
- name: SIGNET_GRPC_TLS_CERT
  value: /etc/signet/tls/tls.crt
- name: SIGNET_GRPC_TLS_KEY
  value: /etc/signet/tls/tls.key
{{- if $values.grpc.tls.clientCa.existingSecret }}
- name: SIGNET_GRPC_CLIENT_CA
  value: /etc/signet/client-ca/ca.crt
{{- end }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: {{ $name }}
  value: {{ include "signet.text" $value | quote }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signet.mounts" -}}
- name: keys
  mountPath: /etc/signet/keys
  readOnly: true
{{- if .Values.mail.existingSecret.name }}
- name: mail
  mountPath: /etc/signet/mail
  readOnly: true
{{- end }}
{{- if .Values.grpc.tls.existingSecret }}
- name: tls
  mountPath: /etc/signet/tls
  readOnly: true
{{- if .Values.grpc.tls.clientCa.existingSecret }}
- name: client-ca
  mountPath: /etc/signet/client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- include "signet.database.mounts" . }}
{{- end -}}

{{- define "signet.volumes" -}}
{{- $key := .Values.masterKey.existingSecret -}}
{{- $keys := dict $key.key "master-key" -}}
{{- with $key.previousKey }}{{ $_ := set $keys . "previous-master-key" }}{{ end -}}
{{ include "signet.secretVolume" (list "keys" $key.name $keys) }}
{{- with .Values.mail.existingSecret }}
{{- if .name }}
{{ include "signet.secretVolume" (list "mail" .name (dict .key "smtp-url")) }}
{{- end }}
{{- end }}
{{- with .Values.grpc.tls }}
{{- if .existingSecret }}
{{ include "signet.secretVolume" (list "tls" .existingSecret (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}
{{- if .clientCa.existingSecret }}
{{ include "signet.secretVolume" (list "client-ca" .clientCa.existingSecret (dict .clientCa.key "ca.crt")) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "signet.database.volumes" . }}
{{- end -}}

{{- /* Kubernetes' gRPC probes speak no TLS. The operations listener runs as long as the gRPC one: without either the process ends. */ -}}
{{- define "signet.probe" -}}
{{- if .Values.grpc.tls.existingSecret -}}
httpGet: {path: /livez, port: ops}
{{- else -}}
grpc: {port: {{ int .Values.ports.grpc }}}
{{- end -}}
{{- end -}}
