"""The code stays readable: functions and files keep to a size."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("common/**/*.py"), *ROOT.glob("services/**/*.py")])
LONGEST_FUNCTION_LINES = 40


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function with its lines from the first of its signature to its end, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_longer_than_forty_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {name}": lines
        for path in FILES
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION_LINES
    }
    assert not long
