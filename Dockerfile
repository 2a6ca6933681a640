# A static binary on nothing: no shell, no libc, no root.
#
#   docker build -t reminder-worker .
#   docker run -p 8001:8001 -v reminders:/data reminder-worker
#
# There is no HEALTHCHECK: probes are HTTP (/livez and /readyz on the ops port).
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# The dependencies alone first, so that a change of the source does not build them again.
RUN mkdir -p src benches && echo 'fn main() {}' | tee src/main.rs benches/main_job.rs >/dev/null && touch src/lib.rs \
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
