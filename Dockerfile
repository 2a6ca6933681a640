# A static binary on nothing: no shell, no libc, no root.
#
#   docker build -t reminder-worker .
#   docker run --network host -v reminders:/data reminder-worker
#
# Both ports listen on loopback. In Kubernetes that is enough for the app port, since the sidecar shares the pod's
# network, and not for the ops port: probes and Prometheus come to the pod's address, so k8s/base sets ops.host and
# ops.token. With plain Docker share the host's network as above, or open the ports to the container's network, which
# demands tokens:
#
#   docker run -p 8001:8001 -p 8080:8080 -v reminders:/data \
#     -e REMINDER_WORKER__APP__HOST=0.0.0.0 -e APP_API_TOKEN=… \
#     -e REMINDER_WORKER__OPS__HOST=0.0.0.0 -e REMINDER_WORKER__OPS__TOKEN=… \
#     -e DAPR_HTTP_ENDPOINT=http://… reminder-worker
#
# The root may be read-only: the worker writes below /data and nowhere else. There are no CA certificates and no tz
# files: the sidecar is spoken to in plain HTTP, and the tz database is compiled in.
# There is no HEALTHCHECK: probes are HTTP (/livez and /readyz on the ops port).
FROM rust:1-slim AS build
# For the allocator, which is C. Of this stage nothing but the binary is kept, and a version of make that was named here
# would be gone with the next release of the base image.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY config config
COPY src src
# Named in Cargo.toml, not built.
COPY tests tests
ENV RUSTFLAGS="-C target-feature=+crt-static"
# The allocator takes the largest page of its kernels from here (64 KiB on 64-bit ARM): made where pages are smaller, it
# would end at once on the others.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target=$(uname -m)-unknown-linux-gnu \
 && if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
 && cargo build --locked --release --bin reminder-worker --target "$target" \
 && mkdir -p /out/data && cp "target/$target/release/reminder-worker" /out/

# All that the image holds. A binary built elsewhere takes the place of this stage and of the one above:
#
#   docker build --build-context binary=DIR .     # DIR holds the static reminder-worker and an empty data/
FROM scratch AS binary
COPY --from=build /out /

FROM scratch
COPY --from=binary /reminder-worker /reminder-worker
COPY --from=binary --chown=65532:65532 /data /data
USER 65532:65532
ENV REMINDER_WORKER__STORE__PATH=/data/store
VOLUME /data
EXPOSE 8001 8080
ENTRYPOINT ["/reminder-worker"]
CMD ["serve"]
