"""Who has a token: the file, the program that writes it, who is known by it, and what is kept of what they did."""

import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from trainyard.contract import Caller, Role, Run, RunStatus, Usage
from trainyard.errors import ServiceError
from trainyard.peers.services import Peers, peer_secret
from trainyard.people.audit import AuditTrail, Entry
from trainyard.people.known import KnownPeople
from trainyard.people.ledger import Ledger
from trainyard.people.tokens import Tokens, read_tokens, write_tokens
from trainyard.settings import Settings
from trainyard.supervisor.own_machine import peers_of

PROGRAM = (sys.executable, "-m", "trainyard.cli", "token")


def given(file: Path, name: str = "ana", role: Role = Role.TRAIN, team: str | None = None) -> bytes:
    """A token that was added to the file."""
    kept = read_tokens(file) if file.exists() else Tokens()
    changed, token = kept.with_token(name, role=role, team=team)
    write_tokens(file, changed)
    return token.encode()


def program(*arguments: str, file: Path) -> "subprocess.CompletedProcess[str]":
    variables = {"TRAINYARD_TOKENS_FILE": str(file), "COLUMNS": "200"}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={"PYTHONPATH": ":".join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


# The program


def test_a_token_is_printed_once_listed_without_it_and_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "new folder/tokens.json"
    added = program("add", "ana", "--role", "promote", "--team", "growth", file=file)
    assert (added.returncode, added.stderr) == (0, "")
    token = added.stdout.strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in file.read_text()
    listed = json.loads(program("list", "--json", file=file).stdout)
    assert [(each["name"], each["role"], each["team"]) for each in listed] == [
        ("ana", "promote", "growth")
    ]
    assert token not in program("list", file=file).stdout
    known = KnownPeople(None, file)
    assert known.caller(token.encode()) == Caller(name="ana", team="growth", role=Role.PROMOTE)
    assert program("revoke", "ana", file=file).returncode == 0
    assert known.caller(token.encode()) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "ana", "--role", "read"), "'ana' has a token; `trainyard token revoke ana` first"),
        (("add", "trainyard", "--role", "read"), "take another name"),
        (("add", "an a", "--role", "read"), "/name"),
        (("add", "bo", "--role", "read", "--team", "a\tb"), "/team"),
        (("revoke", "bo"), "'bo' has no token; these have: ana"),
    ],
)
def test_what_cannot_be_meant_is_said_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "tokens.json"
    given(file)
    before = file.read_bytes()
    done = program(*arguments, file=file)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert file.read_bytes() == before


def test_the_rights_that_somebody_gave_the_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    given(file)
    file.chmod(0o644)
    given(file, "bo")
    assert file.stat().st_mode & 0o777 == 0o644


# The file, in a service


def test_the_one_token_is_an_admins_who_is_no_person(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    ana = given(file, role=Role.READ)
    known = KnownPeople("the one", file)
    one = known.caller(b"the one")
    assert one is not None
    assert (one.role, one.is_a_person) == (Role.ADMIN, False)
    found = known.caller(ana)
    assert found is not None
    assert (found.name, found.role, found.is_a_person) == ("ana", Role.READ, True)
    assert known.caller(b"") is None
    assert known.caller(ana[:-1]) is None


@pytest.mark.parametrize("damage", ["{", '{"tokens": [{"name": "ana"}]}', None])
def test_a_file_that_is_damaged_or_gone_changes_nothing_until_it_is_mended(
    tmp_path: Path, damage: str | None
) -> None:
    file = tmp_path / "tokens.json"
    ana = given(file)
    known = KnownPeople(None, file)
    assert known.caller(ana)
    whole = file.read_text()
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    with capture_logs() as logs:
        assert known.caller(ana)
        assert known.caller(ana)
    assert [each["log_level"] for each in logs] == ["error"]
    file.write_text(whole)
    given(file, "bo")
    write_tokens(file, read_tokens(file).without("ana"))
    assert known.caller(ana) is None


@pytest.mark.parametrize(
    "content", ["", "{", '{"tokens": 1}', '{"services": "x"}', '{"people": []}']
)
def test_a_service_does_not_start_with_a_file_that_holds_no_tokens(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(content)
    with pytest.raises(ValidationError, match=r"TRAINYARD_TOKENS_FILE\) is no file of tokens"):
        Settings(tokens_file=file)
    with pytest.raises(ValidationError, match="cannot be read"):
        Settings(tokens_file=tmp_path / "nowhere")


def test_a_name_and_a_token_are_there_once(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    given(file)
    twice = json.loads(file.read_text())
    twice["tokens"] *= 2
    file.write_text(json.dumps(twice))
    with pytest.raises(ServiceError, match="is there twice"):
        read_tokens(file)


def test_a_file_of_tokens_closes_a_service_and_an_empty_variable_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(tmp_path / "tokens.json")
    assert Settings(host="0.0.0.0", tokens_file=tmp_path / "tokens.json").closed
    monkeypatch.setenv("TRAINYARD_TOKENS_FILE", "")
    assert not Settings().closed


def test_services_that_share_the_file_know_each_other_by_it_unless_they_have_a_token(
    tmp_path: Path,
) -> None:
    given(tmp_path / "tokens.json")
    named = {"tokens_file": tmp_path / "tokens.json", "services": "a=http://a,b=http://b"}

    def peers(instance: str, **more: str) -> Peers:
        return peers_of(Settings.model_validate({**named, **more}), instance)

    assert peers("a").secret == peers("b").secret
    assert peers("a").secret not in (None, peer_secret("the one"))
    assert peers("a", token="the one").secret == peer_secret("the one")


# The audit


def entry(number: int, about: str = "") -> Entry:
    return Entry(
        at=datetime.now(UTC), by="ana", call=f"POST /train/{number}", status=202, about=about
    )


def numbers(trail: AuditTrail, limit: int = 3) -> list[int]:
    """All entries, read page by page."""
    found: list[int] = []
    cursor = None
    while True:
        page = trail.page(limit=limit, before=cursor)
        found += [int(each.call.rpartition("/")[2]) for each in page.entries]
        cursor = page.cursor
        if cursor is None:
            return found


def test_pages_hold_every_entry_once_newest_first_over_files_and_restarts(tmp_path: Path) -> None:
    assert AuditTrail(tmp_path).page(limit=5).entries == []
    for start in (0, 4, 8):
        trail = AuditTrail(tmp_path, file_bytes=300)
        for number in range(start, start + 4):
            trail.write(entry(number))
    assert len(list(tmp_path.iterdir())) > 2
    for limit in (1, 3, 12, 50):
        assert numbers(trail, limit) == list(range(11, -1, -1))


def test_what_somebody_without_a_token_did_is_read_too(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    done = entry(1).model_copy(update={"by": None})
    trail.write(done)
    assert trail.page(limit=5).entries == [done]


def test_the_audit_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path, file_bytes=2_000, most_files=3)
    for number in range(300):
        trail.write(entry(number))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 6_000
    found = numbers(trail, 7)
    assert found == list(range(299, 299 - len(found), -1))
    assert 20 < len(found) < 300


def test_a_line_that_a_crash_left_half_written_is_cut_off_and_a_damaged_one_passed_over(
    tmp_path: Path,
) -> None:
    trail = AuditTrail(tmp_path)
    for number in range(3):
        trail.write(entry(number))
    (file,) = tmp_path.iterdir()
    first, _, third = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + b"damaged\n" + third + third[:20])
    later = AuditTrail(tmp_path)
    later.write(entry(3))
    assert numbers(later, 2) == [3, 2, 0]


def test_entries_of_many_threads_are_all_there(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path, file_bytes=5_000)
    threads = [
        threading.Thread(target=lambda: [trail.write(entry(each)) for each in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(trail, 64)) == sorted([*range(50)] * 4)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is nearly full: of what is beyond, only the beginning is written, and that is no error."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_entry_that_a_disk_had_no_room_for_is_told_and_spoils_no_other(tmp_path: Path) -> None:
    """Its beginning stood before the next one, and neither could be read."""
    trail = AuditTrail(tmp_path)
    trail.write(entry(1))
    (file,) = tmp_path.iterdir()
    with files_of_at_most(file.stat().st_size + 20), pytest.raises(OSError, match="No space left"):
        trail.write(entry(2))
    trail.write(entry(3))
    assert numbers(trail) == [3, 1]


def test_what_a_run_used_is_told_where_a_disk_had_no_room_for_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    used = Usage(queue_seconds=1, run_seconds=2, cpu_seconds=3, gpu_seconds=0, peak_memory_mb=4)
    run = Run.model_construct(run_id="r1", status=RunStatus.FINISHED, usage=used, ended_at=now)
    run = run.model_copy(update={"team": None, "submitted_by": None})
    ledger = Ledger(tmp_path)
    with files_of_at_most(20), pytest.raises(OSError, match="No space left"):
        ledger.write(run)
    ledger.write(run)
    assert [each.runs for each in ledger.report()] == [1]
