"""`make serve`, `make airflow` and `make stop`: MLflow, the trainers, the console and Airflow on loopback, in the background."""

import os
import sys

from background import Program, StartError, running, start, stop, wait_until_ready
from programs import (
    AIRFLOW_PORT,
    CONSOLE_PORT,
    HOME,
    MLFLOW_PORT,
    TRAINER_PORTS,
    airflow,
    console,
    engine,
    mlflow,
    ray_head,
    trainer,
    worker,
)
from sessions import Started

TRACKING_URI = f"http://127.0.0.1:{MLFLOW_PORT}"


def main() -> None:
    """`serve.py start SERVICE...`, `serve.py airflow` or `serve.py stop`."""
    match sys.argv[1:]:
        case ["start", *services]:
            serve(served(services))
        case ["airflow"]:
            serve([airflow(port=AIRFLOW_PORT, tracking_uri=TRACKING_URI)])
        case ["stop"]:
            stop_all()
        case _:
            sys.exit("usage: serve.py start SERVICE... | serve.py airflow | serve.py stop")


def served(services: list[str]) -> list[Program]:
    """Everything of `make serve`, in the order in which it is started."""
    ray = os.environ.get("ENGINE") == "ray"
    variables = acquainted(services) | (engine() if ray else {})
    return [
        mlflow(port=MLFLOW_PORT),
        *([ray_head(services[0])] if ray else []),
        *(
            trainer(name, port=TRAINER_PORTS[name], tracking_uri=TRACKING_URI, **variables)
            for name in services
        ),
        *(
            worker(name, number, tracking_uri=TRACKING_URI, **variables)
            for name in services
            for number in range(1, workers_asked_for(ray=ray) + 1)
        ),
        console(port=CONSOLE_PORT, **acquainted(services)),
    ]


def workers_asked_for(*, ray: bool) -> int:
    """How many hosts' worth of workers each service has, by WORKERS; one by default with the engine, none without."""
    asked = os.environ.get("WORKERS") or ("1" if ray else "0")
    if not asked.isdecimal() or (int(asked) and not ray):
        sys.exit(f"WORKERS={asked}: it is how many hosts each service has, with ENGINE=ray")
    return int(asked)


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
    place = f"http://127.0.0.1:{program.port}" if program.port else "a host of it"
    print(
        f"{program.name:<12} {place:<22} {word}, log {HOME.name}/{program.name}.log",
        flush=True,
    )


def stop_all() -> None:
    """Stop Airflow, the console, the trainers and their hosts, then MLflow, so that a run's last words still reach it."""
    hosts = sorted(each.stem for each in HOME.glob("*-[0-9]*.pid"))
    last = ("ray-head", "mlflow")
    names = ("airflow", "console", *TRAINER_PORTS, *hosts, *last)
    stopped = [name for name in names if stop(name, HOME)]
    print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


if __name__ == "__main__":
    main()
