# The image of Airflow's services and of the clusters: what a night needs, and nothing else.
#
#   docker build --build-arg EXTRAS="s3 spark dask demo" --tag stocktake-airflow .
#
# EXTRAS are those of pyproject.toml; without spark and dask, tables are built by pandas and DuckDB.

FROM python:3.11-slim-bookworm AS build
ARG EXTRAS="demo"
RUN pip install --no-cache-dir uv
WORKDIR /build
COPY pyproject.toml requirements.txt ./
# The versions are those of requirements.txt, of which only these are taken.
RUN uv venv /opt/venv && \
    uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python --constraint requirements.txt \
        --requirement pyproject.toml $(for extra in $EXTRAS; do echo --extra "$extra"; done)

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Stocktake" \
      org.opencontainers.image.description="The nightly orders-and-inventory pipeline on Airflow 3"
COPY --from=build /opt/venv /opt/venv
COPY dags /opt/stocktake/dags
COPY include /opt/stocktake/include
COPY plugins /opt/stocktake/plugins
COPY transforms /opt/stocktake/transforms
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home airflow && \
    mkdir -p /opt/airflow/state/lake /opt/airflow/state/reports /opt/airflow/logs /opt/airflow/spill \
        /opt/airflow/config && \
    echo 'import include.pipeline.preload' > /opt/airflow/config/airflow_local_settings.py && \
    chown -R 50000:0 /opt/airflow && chmod -R g=u /opt/airflow
ENV PATH="/opt/venv/bin:$PATH" PYTHONPATH=/opt/stocktake AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1
WORKDIR /opt/stocktake
USER 50000:0
