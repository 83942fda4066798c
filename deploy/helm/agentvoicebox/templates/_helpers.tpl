{{/* Names and labels. */}}
{{- define "avb.name" -}}
{{- if contains "agentvoicebox" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-agentvoicebox" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "avb.selector" -}}
app.kubernetes.io/name: agentvoicebox
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "avb.labels" -}}
{{ include "avb.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: agentvoicebox
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "avb.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "avb.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* The image of a role. */}}
{{- define "avb.image" -}}
{{- $image := get (dict "gateway" "gateway" "stt" "stt" "tts" "tts" "webrtc" "webrtc") .role | default "llm" -}}
{{- if and (eq .role "stt") .root.Values.roles.stt.gpu }}{{ $image = "stt-gpu" }}{{ end -}}
{{- printf "%s/%s:%s" .root.Values.image.registry $image (.root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{/* The internal port of a role: health, readiness, metrics. */}}
{{- define "avb.internalPort" -}}
{{- get (dict "gateway" "8003" "webhook" "8002") . | default "8004" -}}
{{- end -}}

{{/* The keys of the Secret that a role reads, by comma; those with ? may be missing. */}}
{{- define "avb.secretKeys" -}}
{{- $keys := dict
  "gateway" "AVB_REDIS_URL,AVB_POSTGRES_URL,AVB_API_KEYS,AVB_LLM_API_KEY?,AVB_LLM_KEYS?,AVB_HISTORY_KEYS?,AVB_OPA_TOKEN?,AVB_WEBRTC_TOKEN?"
  "stt" "AVB_REDIS_URL"
  "tts" "AVB_REDIS_URL"
  "llm" "AVB_REDIS_URL,AVB_LLM_API_KEY?,AVB_LLM_KEYS?"
  "tool" "AVB_REDIS_URL,AVB_POSTGRES_URL,AVB_TOOL_SECRET?,AVB_OPA_TOKEN?,AVB_SANITY_TOKEN?"
  "recorder" "AVB_REDIS_URL,AVB_POSTGRES_URL,AVB_HISTORY_KEYS?"
  "janitor" "AVB_REDIS_URL,AVB_POSTGRES_URL"
  "events" "AVB_POSTGRES_URL,AVB_HISTORY_KEYS?"
  "webhook" "AVB_POSTGRES_URL,AVB_API_KEYS,AVB_OPA_TOKEN?,AVB_SANITY_TOKEN?,AVB_SANITY_WEBHOOK_SECRET?,AVB_VAPI_HMAC_SECRET?,AVB_VAPI_BEARER_TOKENS?,AVB_VAPI_SECRETS?,AVB_RETELL_API_KEY?"
  "telephony" "AVB_TELEPHONY_KEY?,AVB_TELEPHONY_TOKEN?,AVB_TWILIO_AUTH_TOKEN?,AVB_ASTERISK_ARI_PASSWORD?"
  "webrtc" "AVB_WEBRTC_TOKEN,AVB_WEBRTC_TURN_PASSWORD?"
-}}
{{- get $keys . -}}
{{- end -}}

{{/* The settings of a role: those of all, of its part, its own, and what the chart itself needs. */}}
{{- define "avb.settings" -}}
{{- $values := .root.Values -}}
{{- $own := get $values.roles .role -}}
{{- $all := deepCopy $values.settings -}}
{{- if has .role (list "gateway" "llm") }}{{ $all = merge (deepCopy $values.languageModel) $all }}{{ end -}}
{{- if has .role (list "gateway" "recorder" "events") }}{{ $all = merge (deepCopy $values.history) $all }}{{ end -}}
{{- $all = merge (deepCopy $own.settings) $all -}}
{{- $all = merge (dict "AVB_INTERNAL_HOST" "0.0.0.0") $all -}}
{{- if eq .role "gateway" -}}
{{- $scaling := $own.autoscaling -}}
{{- $most := ternary $scaling.max $own.replicas $scaling.enabled -}}
{{- $all = merge (dict "AVB_HOST" "0.0.0.0" "AVB_PORT" "8000" "AVB_GATEWAY_INTERNAL_PORT" "8003" "AVB_GATEWAYS" (toString $most)) $all -}}
{{- else if eq .role "webhook" -}}
{{- $all = merge (dict "AVB_WEBHOOK_HOST" "0.0.0.0" "AVB_WEBHOOK_PORT" "8001" "AVB_INTERNAL_PORT" "8002") $all -}}
{{- else -}}
{{- $all = merge (dict "AVB_WORKER_INTERNAL_PORT" "8004") $all -}}
{{- end -}}
{{- if eq .role "telephony" -}}
{{- $gateways := printf "http://%s-gateway:%v/v1" (include "avb.name" .root) $values.service.port -}}
{{- $all = merge $all (dict "AVB_TELEPHONY_GATEWAYS" $gateways) -}}
{{- $all = merge (dict "AVB_TELEPHONY_HOST" "0.0.0.0" "AVB_TELEPHONY_PORT" "8005") $all -}}
{{- end -}}
{{- if eq .role "webrtc" -}}
{{- $gateways := printf "http://%s-gateway:%v/v1" (include "avb.name" .root) $values.service.port -}}
{{- $all = merge $all (dict "AVB_WEBRTC_GATEWAYS" $gateways) -}}
{{- $all = merge (dict "AVB_WEBRTC" "true" "AVB_WEBRTC_HOST" "0.0.0.0" "AVB_WEBRTC_PORT" "8006") $all -}}
{{- else if and (eq .role "gateway") $values.roles.webrtc.enabled -}}
{{- $all = merge $all (dict "AVB_WEBRTC_URLS" (printf "http://%s-webrtc:%v" (include "avb.name" .root) $values.service.port)) -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}
