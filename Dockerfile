# Both stages start from the same image, so that the virtual environment moves from one to the other unchanged.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
WORKDIR /src
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
COPY . .
# What is not needed at run time is left out: symbols of compiled modules (not of the libraries beside them, which strip can
# break), and the bytecode of modules that `serve` does not import. CONTRIBUTING.md has the figures.
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python3 -m venv --without-pip /opt/webcast-exporter \
    && python3 -m pip --python /opt/webcast-exporter/bin/python3 install --no-cache-dir --no-compile -c constraints.txt \
        "$(echo /wheels/*.whl)[postgresql]" \
    && find /opt/webcast-exporter -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} + \
    && /opt/webcast-exporter/bin/python3 -c 'import exporter.cli.serve, exporter.service.serve, psycopg, sqlalchemy.dialects.postgresql.psycopg, sqlalchemy.dialects.sqlite.pysqlite'

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="webcast-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Volcengine RTC WebCast tasks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /opt/webcast-exporter /opt/webcast-exporter
RUN mkdir -p /etc/webcast-exporter /state && chown 65532:65532 /state

# HEALTH_URL follows the listen address and the web config: another port, https.
ENV PATH=/opt/webcast-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WEBCAST_EXPORTER_REVISION=${REVISION} \
    HEALTH_URL=http://127.0.0.1:10960/-/healthy
USER 65532:65532
# The default state file is relative to the working directory: the one place that is written.
WORKDIR /state
VOLUME ["/state"]
EXPOSE 10960
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
    CMD ["python3", "-c", "import os, ssl, urllib.request as u; u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=ssl._create_unverified_context())).open(os.environ['HEALTH_URL'], timeout=4)"]
ENTRYPOINT ["webcast-exporter"]
CMD ["serve", "--config.file", "/etc/webcast-exporter/webcast-exporter.yml"]
