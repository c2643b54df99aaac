FROM debian:13-slim
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends pgbouncer && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home app
USER 10001
EXPOSE 6432
# Ends when the transactions have ended; SIGTERM would wait for all clients to leave.
STOPSIGNAL SIGINT
CMD ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
