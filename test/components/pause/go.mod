module github.com/kubebot/kubebot/test/components/pause

go 1.26.0
