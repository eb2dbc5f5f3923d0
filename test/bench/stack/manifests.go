package main

import _ "embed"

var (
	//go:embed manifests/kubebot.yaml
	kubebotManifest string
	//go:embed manifests/recorder.yaml
	recorderManifest string
	//go:embed manifests/alertmanager.yaml
	alertmanagerManifest string
	// crashManifest takes the name of the Deployment.
	//go:embed manifests/crash.yaml
	crashManifest string
)
