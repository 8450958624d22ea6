FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The workspace without the others: what they need has no say in which versions end up in the image.
COPY go.work ./
RUN go work edit -dropuse=./bench -dropuse=./infra
COPY app app
ARG TARGETOS TARGETARCH VERSION=development REVISION=unknown
# What is built is downloaded, and nothing that only tests need; both are kept from build to build.
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
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 5000 9464
ENTRYPOINT ["/prima-api"]
