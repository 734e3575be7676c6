{{- define "image" -}}
{{- $image := mergeOverwrite (deepCopy .top) (default dict .own) -}}
{{ $image.registry }}/{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
