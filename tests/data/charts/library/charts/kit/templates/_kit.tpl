{{- define "kit.image" -}}
{{ .registry }}/{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- define "kit.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .top.Release.Name }}-{{ .name }}
spec:
  selector:
    matchLabels: {app: {{ .top.Release.Name }}-{{ .name }}}
  template:
    metadata:
      labels: {app: {{ .top.Release.Name }}-{{ .name }}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: {{ include "kit.image" .component.image }}
          readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
{{- end -}}
