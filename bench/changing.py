"""A copy of what the images are made of, to change and build from; the repository stays as it is."""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from resolver import ROOT, lock, pins_in

ONE = "one image"


@dataclass(frozen=True)
class Kind:
    """One of the two that are compared: its Dockerfile, its lock and what the lock is made of, in the copy."""

    name: str
    folder: str
    source: str

    @property
    def dockerfile(self) -> str:
        return f"{self.folder}/Dockerfile"

    @property
    def lock(self) -> str:
        return f"{self.folder}/requirements.lock"


KINDS = (
    Kind("boosting", "services/boosting", "services/boosting/pyproject.toml"),
    Kind(ONE, "bench/one_image", "bench/one_image/requirements.in"),
)


class Copy:
    """A copy of what the images are made of, with the one image's lock; it is changed, the repository is not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("common", "services", "requirements", "scripts", "bench/one_image"):
            shutil.copytree(
                ROOT / part,
                folder / part,
                ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            )
        one = folder / KINDS[1].lock
        one.write_text("".join(f"{name}=={version}\n" for name, version in self.ours().items()))
        lock(folder / KINDS[1].source, one)

    def locked(self, name: str) -> dict[str, str]:
        """What a service's image holds."""
        return pins_in((self.folder / f"services/{name}/requirements.lock").read_text())

    def ours(self) -> dict[str, str]:
        """The newest version of each package that one of our images holds."""
        newest: dict[str, str] = {}
        for path in sorted(self.folder.glob("services/*/requirements.lock")):
            for package, version in pins_in(path.read_text()).items():
                newest[package] = max(newest.get(package, version), version, key=_order)
        return newest

    def held_back(self) -> dict[str, str]:
        """Packages of which the one image has another version than a service of ours, and both versions."""
        one = pins_in((self.folder / KINDS[1].lock).read_text())
        return {
            name: f"{version} -> {one[name]}"
            for name, version in self.ours().items()
            if name in one and one[name] != version
        }

    def change_code(self, _: Kind) -> None:
        """A line that no copy had before, in the service's package."""
        with (self.folder / "services/boosting/trainyard_boosting/main.py").open("a") as file:
            file.write(f"# {time.time_ns()}\n")

    def change_dependency(self, kind: Kind) -> None:
        """LightGBM to the version before; a comment keeps an earlier bench's layer from being taken."""
        source, path = self.folder / kind.source, self.folder / kind.lock
        before = pins_in(path.read_text())
        source.write_text(
            re.sub(
                r"\blightgbm\b(>=[\d.]+)?",
                f"lightgbm<{before['lightgbm']}",
                source.read_text(),
                count=1,
            )
        )
        lock(source, path)
        changed = {
            name
            for name, version in pins_in(path.read_text()).items()
            if before.get(name) != version
        }
        if changed != {"lightgbm"}:
            raise RuntimeError(f"expected LightGBM alone to change, not {changed}")
        path.write_text(f"{path.read_text()}# {time.time_ns()}\n")


def _order(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
