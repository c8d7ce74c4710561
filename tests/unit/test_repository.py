"""The repository keeps its own promises: settings are documented, locks are clean, the Makefile explains itself."""

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainyard.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted([*ROOT.glob("requirements/*.lock"), *ROOT.glob("services/*/*.lock")])
PYPROJECTS = sorted(ROOT.glob("services/*/pyproject.toml"))


def requirements(lock: Path) -> list[str]:
    """The lines of a lock that name a package, and anything else that is no hash and no comment."""
    return [
        line.removesuffix("\\").strip()
        for line in lock.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith(("#", "--hash=sha256:"))
    ]


def variable(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"TRAINYARD_{name.upper()}"


def example_variables() -> dict[str, str]:
    """Each variable of .env.example, commented out or not, and the line above it."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = {}
    for before, line in pairwise(lines):
        if match := re.fullmatch(r"#?([A-Z][A-Z0-9_]*)=.*", line):
            found[match[1]] = before
    return found


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_example_with_a_line_of_meaning(name: str) -> None:
    meaning = example_variables().get(variable(name))
    assert meaning is not None, f"{variable(name)} is missing from .env.example"
    assert re.match(r"# \w.{5,}", meaning), f"{variable(name)} has no line of meaning above it"


IN_COMPOSE_BY_OTHER_MEANS = {
    "instance",
    "port",
    "work_dir",
    "git_commit",  # the image's own
    "models_path",  # a model of one's own is built into an image
    "token_file",
    "tracking_uri",
}


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - IN_COMPOSE_BY_OTHER_MEANS))
def test_compose_hands_every_setting_to_the_trainers(name: str) -> None:
    text = (ROOT / "docker-compose.trainers.yml").read_text()
    assert re.search(rf"^  {variable(name)}:", text, flags=re.MULTILINE)


def test_every_variable_that_compose_reads_is_in_the_example() -> None:
    files = ROOT.glob("docker-compose*.yml")
    read = {
        name for file in files for name in re.findall(r"\$\{([A-Z][A-Z0-9_]*)", file.read_text())
    }
    of_make = {name for name in read if name.endswith("_COMMIT")} | {"COMPOSE_PROJECT_NAME"}
    assert not read - of_make - example_variables().keys()


def test_the_example_names_no_trainyard_variable_that_nothing_reads() -> None:
    known = {variable(name) for name in Settings.model_fields}
    # Compose and the tests read the rest; a TRAINYARD_ variable is always a setting.
    unknown = {name for name in example_variables() if name.startswith("TRAINYARD_")} - known
    assert not unknown


def test_the_example_is_accepted_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    for line in (ROOT / ".env.example").read_text().splitlines():
        if match := re.fullmatch(r"([A-Z][A-Z0-9_]*)=(.*)", line):
            monkeypatch.setenv(match[1], match[2])
    settings = Settings()
    assert settings.secret is None
    assert settings.data_roots == ()


def test_every_service_has_a_lock() -> None:
    assert PYPROJECTS
    assert [
        path.parent for path in PYPROJECTS if not (path.parent / "requirements.lock").exists()
    ] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_of_this_machine(lock: Path) -> None:
    lines = requirements(lock)
    assert lines
    wrong = [
        line
        for line in lines
        if not re.fullmatch(r"[a-z0-9][a-z0-9._\[\],-]*==[^\s/]+( ; .+)?", line)
    ]
    assert not wrong, "no index, no option, no path, no unpinned package belongs in a lock"
    assert "://" not in lock.read_text()
    assert lock.read_text().count("--hash=sha256:") >= len(lines)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_holds_no_gpu_libraries_and_no_strangers_trainyard(lock: Path) -> None:
    names = {re.split(r"[=\[]", line)[0] for line in requirements(lock)}
    names -= {"nvidia-ml-py"}  # asks the driver which GPUs there are, in 50 KB of Python
    assert not {name for name in names if name.startswith(("nvidia-", "trainyard"))}


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (\S+)$", makefile, flags=re.MULTILINE)
    patterns = re.findall(
        r"^([a-z]+[/-]%):", makefile, flags=re.MULTILINE
    )  # make takes no pattern for phony
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    described = dict(re.findall(r"^make (\S+) +(\S.*)$", answer.stdout, flags=re.MULTILINE))
    assert phony
    assert patterns
    assert set(described) == {*phony, *patterns}


def test_plain_make_shows_the_help() -> None:
    plain, asked = (
        subprocess.run(
            ["make", "--no-print-directory", *target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for target in ([], ["help"])
    )
    assert plain == asked


def test_every_script_that_make_names_exists() -> None:
    named = set(re.findall(r"scripts/[\w.]+", (ROOT / "Makefile").read_text()))
    assert named
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_images_and_environments_are_made_with_one_uv() -> None:
    makefile = (ROOT / "Makefile").read_text()
    version = re.search(r"^UV_VERSION +:= (\S+)$", makefile, flags=re.MULTILINE)
    assert version
    assert f"uv=={version[1]}" in requirements(ROOT / "requirements/build.lock")


def composed() -> dict[str, dict[str, Any]]:
    """The services of both Compose files, with the networks of each."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("docker-compose-mlops.yml", "docker-compose.trainers.yml"):
        found |= yaml.safe_load((ROOT / name).read_text())["services"]
    return found


def test_the_trainers_share_no_network_with_the_stores_or_the_login_of_airflow() -> None:
    services = composed()
    trainers = {"boosting", "tensorflow", "pytorch"}
    reached = {network for name in trainers for network in services[name]["networks"]}
    near = {name for name, each in services.items() if reached & {*each["networks"]}}
    assert near - trainers == {"mlflow", "console", "airflow-triggerer", "airflow-worker"}


def test_every_container_has_a_bound_for_its_processes() -> None:
    for name, each in composed().items():
        assert "pids" in each["deploy"]["resources"]["limits"], name


def test_no_secret_of_the_stack_has_a_default() -> None:
    text = "".join(each.read_text() for each in ROOT.glob("docker-compose*.yml"))
    for name in ("AIRFLOW_ADMIN_PASSWORD", "TRAINYARD_TOKEN", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(:-[^}}]*)\}}", text)) == set()
        assert f"${{{name}:?is not set; run make env}}" in text
        assert f"\n{name}=\n" in (ROOT / ".env.example").read_text()


def test_hosts_that_join_in_compose_have_what_the_trainers_have_for_their_data() -> None:
    trainers, workers = (
        (ROOT / f"docker-compose.{name}.yml").read_text() for name in ("trainers", "workers")
    )
    access = re.compile(
        r"^ +((?:TRAINYARD_(?:CONNECTIONS|QUERY|HTTP|S3|OUTPUT|MIN_FREE)|AWS)_\w+):(.*)$",
        re.MULTILINE,
    )
    found = dict(access.findall(trainers))
    assert len(found) >= 10
    assert dict(access.findall(workers)) == found
    assert "/etc/trainyard:ro" in workers
    assert "host.docker.internal:host-gateway" in workers


def test_paths_with_spaces_are_one_word_in_recipes() -> None:
    recipes = (ROOT / "Makefile").read_text().splitlines()
    bare = [line for line in recipes if re.search(r"(?<![\"\w])\$\((UV|CURDIR)\)", line)]
    assert [line for line in bare if not line.startswith("UV ")] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("DATA_PATH=./data", "./data"),
        ('DATA_PATH="/srv/my data"', "/srv/my data"),
        ("DATA_PATH='~/data'", "/home/ana/data"),
        ("DATA_PATH=~/data", "/home/ana/data"),
        ("DATA_PATH=", "here"),
        ("", "here"),
    ],
)
def test_a_setting_is_read_as_compose_reads_it(tmp_path: Path, line: str, found: str) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", scripts)
    (tmp_path / ".env").write_text(f"{line}\n")
    said = subprocess.run(
        [scripts / "stack.sh", "setting", "DATA_PATH", "here"],
        env={"PATH": os.environ["PATH"], "HOME": "/home/ana"},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert said.stdout == f"{found}\n"


@pytest.mark.parametrize(
    ("service", "variables", "image"),
    [
        ("boosting", {}, "trainyard-boosting:latest"),
        ("boosting", {"ENGINE": "ray", "GPU": "1"}, "trainyard-boosting-ray:latest"),
        ("boosting", {"WORKERS": "2"}, "trainyard-boosting-ray:latest"),
        ("pytorch", {"WORKERS": "2"}, "trainyard-pytorch:latest"),
        ("pytorch", {"ENGINE": "ray"}, "trainyard-pytorch-ray:latest"),
        ("pytorch", {"ENGINE": "ray", "GPU": "1"}, "trainyard-pytorch-gpu:latest"),
        ("mlflow", {"ENGINE": "ray", "GPU": "1", "IMAGE_TAG": "a"}, "trainyard-mlflow:a"),
    ],
)
def test_images_are_called_as_the_compose_files_call_them(
    service: str, variables: dict[str, str], image: str
) -> None:
    said = subprocess.run(
        [ROOT / "scripts/stack.sh", "image", service],
        env={"PATH": os.environ["PATH"], "HOME": "/", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"{image}\n"
