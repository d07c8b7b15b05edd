# The image of Signet. docs/image.md says how it is built and run, and what is in it.
# Only what every builder knows: no heredoc, no `COPY --link`, no `RUN --mount`.

# Both are Debian 13: the binary runs on the C library it was linked against. The first brings Rust and a C compiler,
# the second libc, libgcc and the certificates of public authorities, and neither shell nor package manager.
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
# A profile of Cargo. `dev` builds in a third of the time.
ARG PROFILE=release
WORKDIR /build

# The dependencies alone, with nothing for sources. What this made of our own packages is thrown away: cargo goes by the
# time of files, and the real ones may be older.
COPY Cargo.toml Cargo.lock ./
COPY argon2-kernel/Cargo.toml argon2-kernel/
COPY migrations/Cargo.toml migrations/
COPY tests/support/Cargo.toml tests/support/
RUN mkdir -p src argon2-kernel/src argon2-kernel/benches/kernels benches/service migrations/src tests/support/src \
    && echo 'fn main() {}' > build.rs \
    && cp build.rs src/main.rs \
    && touch argon2-kernel/benches/kernels/main.rs benches/service/main.rs \
    && touch src/lib.rs argon2-kernel/src/lib.rs migrations/src/lib.rs tests/support/src/lib.rs \
    && cargo build --locked --profile "$PROFILE" --bin signet \
    && cargo clean --profile "$PROFILE" --package signet --package signet-argon2-kernel \
        --package signet-migrations

COPY build.rs ./
COPY proto proto/
COPY argon2-kernel argon2-kernel/
COPY migrations migrations/
COPY src src/
# The files of the profile `dev` are in `debug`. The directory of the data is made here, as the last stage has no shell.
RUN cargo build --locked --profile "$PROFILE" --bin signet \
    && if [ "$PROFILE" = dev ]; then made=debug; else made=$PROFILE; fi \
    && install -D "target/$made/signet" /image/signet \
    && install -d -m 0700 /image/lib/signet

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="Signet" \
      org.opencontainers.image.description="A self-hosted gRPC authentication service" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/signet /usr/local/bin/signet
COPY --from=build --chown=65532:65532 /image/lib/ /var/lib/
# A container that listens on its loopback address only cannot be reached.
ENV SIGNET_GRPC_ADDR=0.0.0.0:50051 \
    SIGNET_REST_ADDR=0.0.0.0:8080 \
    SIGNET_OPS_ADDR=0.0.0.0:9090
EXPOSE 50051 8080 9090
USER 65532:65532
# Where sqlite://signet.db, the default, is. As a variable it would stand in the way of SIGNET_DATABASE_URL_FILE.
WORKDIR /var/lib/signet
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s --retries=3 CMD ["/usr/local/bin/signet", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/signet"]
CMD ["serve"]
