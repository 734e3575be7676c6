{{/* The labels of everything; of a component where one is given. */}}
{{- define "shop.labels" -}}
app.kubernetes.io/name: shop
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* A component's reference: with its tag, its digest, or both; without either, the chart's own version. */}}
{{- define "shop.image" -}}
{{- $version := .root.Chart.AppVersion -}}
{{- with (index .root.Values .component).image -}}
{{- .repository }}
{{- if or .tag (not .digest) }}:{{ .tag | default $version }}{{ end }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end }}

{{/* What no container of ours needs is taken from it. */}}
{{- define "shop.container-security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "shop.pod-security" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* A component's Deployment. */}}
{{- define "shop.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  replicas: {{ (index .root.Values .component).replicas }}
  selector:
    matchLabels:
      {{- include "shop.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "shop.labels" . | nindent 8 }}
    spec:
      {{- include "shop.pod-security" . | nindent 6 }}
      terminationGracePeriodSeconds: 10
      containers:
        - name: {{ .component }}
          image: {{ include "shop.image" . | quote }}
          {{- include "shop.container-security" . | nindent 10 }}
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 1
          livenessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 10
          resources:
            {{- toYaml .root.Values.resources | nindent 12 }}
{{- end }}

{{/* A component's Service. */}}
{{- define "shop.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "shop.labels" . | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
{{- end }}

{{/* A node that is drained takes a component's pods one by one. */}}
{{- define "shop.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "shop.labels" . | nindent 6 }}
{{- end }}
