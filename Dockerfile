# guard as a container: built with the locks, run as nobody in particular, made for a read-only root.
#
# The base is pinned by tag here. Where you want the very same bytes every time, give its digest:
#   docker buildx imagetools inspect python:3.13-slim-trixie
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:... -t guard .
ARG PYTHON_IMAGE=python:3.13-slim-trixie

# ---- build: pip and the build backend stay behind in this stage -------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# The environment that is shipped has no pip in it. Both stages have one base, so its Python is there as well.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/guard

# Dependencies first: they change less often than the code. Wheels only, so that no foreign build script runs; each by
# its hash. The bytecode does not ask for the time of its source, which COPY may change and reproducible builds do:
# stale bytecode on a read-only root would be compiled again at every start, seconds for ccxt.
COPY .ci/build.lock .ci/runtime.lock .ci/
RUN /opt/build/bin/pip install --only-binary :all: --require-hashes -r .ci/build.lock \
    && /opt/build/bin/pip --python /opt/guard/bin/python install --no-compile --only-binary :all: --require-hashes \
        -r .ci/runtime.lock \
    && /opt/guard/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/guard/lib

COPY pyproject.toml README.md LICENSE ./
COPY guard guard
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/guard/bin/python install --no-compile --no-index --no-deps dist/*.whl \
    && /opt/guard/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/guard/lib/python*/site-packages/guard

# ---- what runs ---------------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}

# A numeric owner, so that secret files on the host can be given to it: `chown 10001 main.key && chmod 400 main.key`.
RUN groupadd --gid 10001 guard \
    && useradd --no-log-init --uid 10001 --gid guard --home-dir /var/lib/guard --shell /usr/sbin/nologin guard \
    && install -d -o guard -g guard -m 0700 /var/lib/guard

# The same path as in the first stage: the scripts of a venv know where they live.
COPY --from=build /opt/guard /opt/guard

# The bytecode is there already and the root is read-only: do not try to write more.
# A process that is killed because it hangs (SIGABRT) says where; the traces name lines, never values.
ENV PATH=/opt/guard/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1

USER 10001:10001
WORKDIR /var/lib/guard
# The journal, and nothing else, is written. It must be a local disk: SQLite's WAL needs shared memory.
VOLUME /var/lib/guard

# Healthy: every account was read afresh. It asks the daemon ([web] in the config) and no exchange. Docker only shows it;
# where something restarts what is unhealthy, ask /healthz instead: a restart does not bring an exchange back.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 9464, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]

# exec form: the signal reaches Python itself, which stops within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["guard"]
CMD ["run"]
