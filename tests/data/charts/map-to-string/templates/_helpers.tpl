{{- define "image" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}
