"""Internal ports of the workers and the supervisor, and where all internal ports are listed."""

from pydantic import BaseModel, Field


class InternalPortSettings(BaseModel):
    """Internal ports of the workers and the supervisor, and where all internal ports are listed.

    Attributes:
        worker_internal_port: TCP port of a worker process's health, readiness and metrics, on AVB_INTERNAL_HOST. 0: the system
            chooses one. Another number suits machines with one worker process, such as containers.
        supervisor_internal_port: the same for `serve` itself.
        targets_dir: folder in which each process lists its internal port, as `file_sd_configs` of Prometheus read it. Empty:
            `targets` in AVB_DATA_DIR, which only the server's own user may enter. Who may read the folder may read what is
            in it, so a Prometheus under another user needs one of mode 755.
    """

    worker_internal_port: int = Field(default=0, ge=0, le=65535)
    supervisor_internal_port: int = Field(default=0, ge=0, le=65535)
    targets_dir: str = ""
