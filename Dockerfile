FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The module app alone: what the other modules need must not change the versions in the image.
COPY go.work ./
RUN go work edit -dropuse=./bench -dropuse=./infra
COPY app app
ARG TARGETOS TARGETARCH VERSION=development REVISION=unknown
# This downloads what the program needs, and nothing for tests. Later builds reuse both caches.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags grpcnotrace -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION" -o /prima-api ./app/cmd/prima-api

FROM scratch
ARG VERSION=development REVISION=unknown
LABEL org.opencontainers.image.title="prima-api" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /prima-api /prima-api
# A number, because Kubernetes cannot tell of a name that it is not root.
USER 65532:65532
EXPOSE 5000 9464
ENTRYPOINT ["/prima-api"]
