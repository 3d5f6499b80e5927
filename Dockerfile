# syntax=docker/dockerfile:1
# One image for the worker, the board and the migrations: the command chooses.

FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[postgres]"

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /app jobqueue
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "jobqueue[postgres]"
ENV PYTHONUNBUFFERED=1
# The working folder is first on sys.path: mount or copy handlers of your own here.
WORKDIR /app
USER jobqueue
# Exec form: SIGTERM reaches jobqueue itself, which then stops in good order.
ENTRYPOINT ["jobqueue"]
CMD ["worker"]
