# A static binary on nothing: no shell, no libc, no root.
#
#   docker build -t reminder-worker .
#   docker run --network host -v reminders:/data reminder-worker
#
# Both ports listen on loopback. In Kubernetes that is enough: the sidecar shares the pod's network. With plain Docker
# share the host's network as above, or open the ports to the container's network, which demands tokens:
#
#   docker run -p 8001:8001 -p 8080:8080 -v reminders:/data \
#     -e REMINDER_WORKER__APP__HOST=0.0.0.0 -e APP_API_TOKEN=… \
#     -e REMINDER_WORKER__OPS__HOST=0.0.0.0 -e REMINDER_WORKER__OPS__TOKEN=… \
#     -e DAPR_HTTP_ENDPOINT=http://… reminder-worker
#
# There is no HEALTHCHECK: probes are HTTP (/livez and /readyz on the ops port).
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# The dependencies alone first, so that a change of the source does not build them again.
RUN mkdir -p src benches/main_job && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs benches/main_job/main.rs benches/store.rs >/dev/null \
 && cargo build --locked --release && rm -r src benches
COPY src src
COPY benches benches
COPY config config
RUN touch src/main.rs src/lib.rs && cargo build --locked --release \
 && mkdir /empty

FROM scratch
COPY --from=build /src/target/release/reminder-worker /reminder-worker
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENV REMINDER_WORKER__STORE__PATH=/data/store
VOLUME /data
EXPOSE 8001 8080
ENTRYPOINT ["/reminder-worker"]
CMD ["serve"]
