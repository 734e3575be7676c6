{{- define "shop.image" -}}
{{- $registry := .root.registry -}}
{{- if .global.imageRegistry }}{{ $registry = .global.imageRegistry }}{{ end -}}
{{- $separator := ":" -}}
{{- $termination := .root.tag | toString -}}
{{- if .root.digest }}{{ $separator = "@" }}{{ $termination = .root.digest | toString }}{{ end -}}
{{- if $registry }}{{ printf "%s/%s%s%s" $registry .root.repository $separator $termination }}
{{- else }}{{ printf "%s%s%s" .root.repository $separator $termination }}{{ end -}}
{{- end -}}
