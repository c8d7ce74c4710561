"""`make serve`, `make airflow` and `make stop`: MLflow, the trainers and Airflow on loopback, in the background."""

import os
import sys

from background import Program, StartError, running, start, stop, wait_until_ready
from programs import AIRFLOW_PORT, HOME, MLFLOW_PORT, TRAINER_PORTS, airflow, mlflow, trainer
from sessions import Started

TRACKING_URI = f"http://127.0.0.1:{MLFLOW_PORT}"


def main() -> None:
    """`serve.py start SERVICE...`, `serve.py airflow` or `serve.py stop`."""
    match sys.argv[1:]:
        case ["start", *services]:
            serve(
                [
                    mlflow(port=MLFLOW_PORT),
                    *(
                        trainer(
                            name,
                            port=TRAINER_PORTS[name],
                            tracking_uri=TRACKING_URI,
                            **acquainted(services),
                        )
                        for name in services
                    ),
                ]
            )
        case ["airflow"]:
            serve([airflow(port=AIRFLOW_PORT, tracking_uri=TRACKING_URI)])
        case ["stop"]:
            stop_all()
        case _:
            sys.exit("usage: serve.py start SERVICE... | serve.py airflow | serve.py stop")


def acquainted(services: list[str]) -> dict[str, str]:
    """The variable by which these services know each other, unless the caller has set it."""
    if "TRAINYARD_SERVICES" in os.environ or "TRAINYARD_INSTANCE" in os.environ:
        return {}
    pairs = (f"{name}=http://127.0.0.1:{TRAINER_PORTS[name]}" for name in services)
    return {"TRAINYARD_SERVICES": ",".join(pairs)}


def serve(programs: list[Program]) -> None:
    """Start what does not run yet and wait until all of it is ready; on a failure stop what this call started."""
    ours: dict[str, Started] = {}
    try:
        for program in programs:
            bring_up(program, ours)
    except (StartError, KeyboardInterrupt) as error:
        for name in reversed(ours):
            stop(name, HOME)
        sys.exit(str(error) or "interrupted; stopped again what was started")


def bring_up(program: Program, ours: dict[str, Started]) -> None:
    """Start one program unless it runs already, and wait until it answers."""
    process = running(program.name, HOME)
    word = "running already" if process else "started"
    if process is None:
        process = ours[program.name] = start(program, HOME)
    wait_until_ready(program, process, HOME)
    print(
        f"{program.name:<11} http://127.0.0.1:{program.port}  {word}, log {HOME.name}/{program.name}.log",
        flush=True,
    )


def stop_all() -> None:
    """Stop Airflow and the trainers, then MLflow, so that a run's last words still reach it."""
    stopped = [name for name in ("airflow", *TRAINER_PORTS, "mlflow") if stop(name, HOME)]
    print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


if __name__ == "__main__":
    main()
