# The reference service. Build from the repository's root: docker build -t reference-service .
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements-service.txt .
# What the service needs and no more, pinned with hashes; no code of a package runs at its installation.
RUN /venv/bin/pip install --require-hashes --only-binary :all: -r requirements-service.txt
COPY backend/app /srv/app
# Neither is part of the service.
RUN rm -rf /srv/app/emulator /srv/app/cli \
    && /venv/bin/python -m compileall -q /srv/app

FROM python:${PYTHON}-slim
# A number, so that Kubernetes can tell that it is not root.
RUN groupadd --gid 10001 service && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin service
COPY --from=build /venv /venv
COPY --from=build /srv /srv
ARG COMMIT_SHA=""
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 COMMIT_SHA=${COMMIT_SHA} PORT=8080
WORKDIR /srv
USER 10001:10001
EXPOSE 8080
# exec: SIGTERM has to reach the server. TRUSTED_PROXIES says whom to believe about clients, uvicorn must not.
CMD ["sh", "-c", "exec uvicorn app.main:app --host 0.0.0.0 --port \"$PORT\" --no-proxy-headers --no-access-log"]
