# KubeBot's image for those who build with Docker; `make image` builds the same without.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=v0.1.0
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/kubebot/kubebot/internal/cmd.Version=${VERSION}" -o /kubebot .

FROM gcr.io/distroless/static:nonroot
COPY --from=build /kubebot /kubebot
USER 65534:65534
ENTRYPOINT ["/kubebot"]
